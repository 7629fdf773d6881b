/**
 * client-go's lock: `<file>.lock`, created exclusively. kubectl holds it while it rewrites a kubeconfig, and so do we.
 *
 * The guarded work is synchronous, so no signal and no other task comes between taking a lock and giving it back. Waiting is
 * not: it ends with the signal, or after `waitMs` with an error that names the lock and the remedy. A lock is never broken: its
 * holder may be on another machine.
 */
import { closeSync, openSync, unlinkSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { systemCode, UserError } from './errors.ts';

export interface LockOptions {
  readonly signal: AbortSignal;
  readonly waitMs: number;
}

/** Runs `work` while holding the lock of every path that can be locked, in client-go's order. */
export async function withFileLocks<T>(paths: readonly string[], work: () => T, options: LockOptions): Promise<T> {
  const ordered = [...new Set(paths)].sort();
  for (let waitedMs = 0; ; waitedMs += retryMs) {
    options.signal.throwIfAborted();
    const outcome = tryLocked(ordered, work);
    if (outcome.done) return outcome.value;
    if (waitedMs >= options.waitMs) throw lockedError(outcome.held);
    await delay(retryMs, undefined, { signal: options.signal });
  }
}

const retryMs = 20;

type Outcome<T> = { readonly done: true; readonly value: T } | { readonly done: false; readonly held: string };

function tryLocked<T>(paths: readonly string[], work: () => T): Outcome<T> {
  const taken: string[] = [];
  try {
    for (const path of paths) {
      const lock = `${path}.lock`;
      const state = take(lock);
      if (state === 'held') return { done: false, held: lock };
      if (state === 'taken') taken.push(lock);
    }
    return { done: true, value: work() };
  } finally {
    for (const lock of taken) unlinkSync(lock);
  }
}

function take(lock: string): 'taken' | 'held' | 'impossible' {
  try {
    closeSync(openSync(lock, 'wx', 0o600));
    return 'taken';
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return 'held';
    // Nobody can write in there, ourselves included: an attempt to change such a file fails by itself, with its own name.
    return 'impossible';
  }
}

function lockedError(lock: string): UserError {
  return new UserError(`another program holds ${lock}`, [
    'kubectl and tka hold it for milliseconds. If none of them is running, one was killed: remove the file and try again.',
  ]);
}
