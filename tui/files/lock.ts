/**
 * client-go's lock: `<file>.lock`, created exclusively. kubectl holds it while it rewrites a kubeconfig, and so do we.
 *
 * The guarded work is synchronous, so no signal and no other task comes between taking a lock and giving it back. Waiting is
 * not: it ends with the signal, or after `waitMs` with an error that names the lock and the remedy. A lock is never broken: its
 * holder may be on another machine.
 */
import { closeSync, openSync, readFileSync, statSync, unlinkSync, writeSync } from 'node:fs';
import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { ifSystemAllows, systemCode, UserError } from '../errors.ts';
import { printable } from '../terminal/output.ts';
import { posixWord } from '../terminal/posix-word.ts';

export interface LockOptions {
  readonly signal: AbortSignal;
  readonly waitMs: number;
  /** Hears what is waited for, once, after `noticeMs`; default: a second. */
  readonly onWait?: ((line: string) => void) | undefined;
  readonly noticeMs?: number;
}

/** Runs `work` while holding the lock of every path that can be locked, in client-go's order. */
export async function withFileLocks<T>(paths: readonly string[], work: () => T, options: LockOptions): Promise<T> {
  const ordered = [...new Set(paths)].sort();
  const { noticeMs = 1000 } = options;
  let isTold = false;
  for (let waitedMs = 0; ; waitedMs += retryMs) {
    options.signal.throwIfAborted();
    const outcome = tryLocked(ordered, work);
    if (outcome.done) return outcome.value;
    if (waitedMs >= noticeMs && !isTold) {
      isTold = true;
      options.onWait?.(`waiting for the lock ${outcome.held}, held by ${describeHolder(outcome.held)}`);
    }
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
      const state = takeLock(lock, `tka ${process.pid} ${hostname()}\n`);
      if (state === 'held') return { done: false, held: lock };
      if (state === 'taken') taken.push(lock);
    }
    return { done: true, value: work() };
  } finally {
    for (const lock of taken) unlinkSync(lock);
  }
}

/** Creates the lock exclusively, with `text` in it; `impossible`: nothing can be created there. */
export function takeLock(lock: string, text: string): 'taken' | 'held' | 'impossible' {
  let fd: number;
  try {
    fd = openSync(lock, 'wx', 0o600);
  } catch (error) {
    // A directory that is not writable: an attempt to change the file itself fails, with its own message.
    return systemCode(error) === 'EEXIST' ? 'held' : 'impossible';
  }
  // The text is for those who wait; a full disk must not stop the holder.
  ifSystemAllows(() => writeSync(fd, text));
  closeSync(fd);
  return 'taken';
}

function lockedError(lock: string): UserError {
  return new UserError(`${lock} is held by ${describeHolder(lock)}`, [
    'kubectl and tka hold it for milliseconds. If neither is running, one was killed: remove the lock and try again:',
    `rm ${posixWord(lock)}`,
  ]);
}

/** As far as the lock tells: tka writes who it is, client-go does not. */
function describeHolder(lock: string): string {
  try {
    const since = statSync(lock).mtime.toTimeString().slice(0, 8);
    const [, pid, host] = /^tka (\d{1,10}) (\S{1,253})\n$/.exec(readFileSync(lock, 'utf8')) ?? [];
    const who =
      pid === undefined ? 'kubectl or another program' : `tka, process ${pid} on ${printable(host ?? '', 253)},`;
    return `${who} since ${since}`;
  } catch (error) {
    if (systemCode(error) === undefined) throw error;
    return 'another program';
  }
}
