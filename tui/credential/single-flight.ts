/**
 * One of many processes does the work, the others take its result: a lock file, created exclusively, names its holder. A waiter
 * takes over if the holder is dead, or has held it for longer than any holder may. If no lock can be created, each does
 * the work itself.
 */
import { linkSync, renameSync, statSync, unlinkSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { ifSystemAllows } from '../errors.ts';
import { readJson } from '../files/json.ts';
import { takeLock } from '../files/lock.ts';
import { makeDirectories } from '../files/make-directory.ts';
import { isOwner, type Owner, ownerOf, stateOf } from '../files/process-owner.ts';

export interface FlightOptions<T> {
  /** The lock file; its directory is made. */
  readonly path: string;
  readonly pid: number;
  /** What another has done meanwhile; undefined: nothing yet. */
  readonly landed: () => T | undefined;
  readonly work: () => Promise<T>;
  /** No holder takes longer. */
  readonly staleMs: number;
  readonly signal: AbortSignal;
}

/** Rejects with the signal's reason, or as `work` does. */
export async function singleFlight<T>(options: FlightOptions<T>): Promise<T> {
  const { path, pid, landed, work, staleMs, signal } = options;
  for (;;) {
    signal.throwIfAborted();
    const outcome = take(path, pid);
    if (outcome !== 'held') {
      try {
        return landed() ?? (await work());
      } finally {
        if (outcome === 'taken') release(path, pid);
      }
    }
    const result = landed();
    if (result !== undefined) return result;
    if (isLeft(path, staleMs)) remove(path, pid, staleMs);
    else await delay(pollMs, undefined, { signal });
  }
}

const pollMs = 20;

function take(path: string, pid: number): ReturnType<typeof takeLock> {
  const directory = ifSystemAllows(() => ({ made: makeDirectories(dirname(path)) }));
  return directory === undefined ? 'impossible' : takeLock(path, JSON.stringify(ownerOf(pid)));
}

/** Only our own: a slow holder may have lost the lock. */
function release(path: string, pid: number): void {
  ifSystemAllows(() => {
    if (holderOf(path)?.pid === pid) unlinkSync(path);
  });
}

function isLeft(path: string, staleMs: number): boolean {
  const holder = holderOf(path);
  if (holder !== undefined && stateOf(holder) === 'dead') return true;
  const stat = ifSystemAllows(() => statSync(path));
  return stat !== undefined && Date.now() - stat.mtimeMs > staleMs;
}

/** Another process may have replaced it already: a lock that was moved away by mistake is restored. */
function remove(path: string, pid: number, staleMs: number): void {
  const aside = `${path}.${pid}`;
  ifSystemAllows(() => {
    renameSync(path, aside);
    if (!isLeft(aside, staleMs)) linkSync(aside, path);
  });
  ifSystemAllows(() => unlinkSync(aside));
}

/** Undefined also in the moment between the file's making and its content. */
function holderOf(path: string): Owner | undefined {
  const holder = readJson(path);
  return isOwner(holder) ? holder : undefined;
}
