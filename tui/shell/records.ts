/**
 * What each `tka shell` and `tka exec` says of itself, in `record.json` of its private directory, so that others can tell which
 * sessions are in use and what a killed one has left. `config` beside it is the kubeconfig of its child.
 *
 * Decisions that depend on the records are taken, and their results written, inside `withRecords`.
 */
import { randomBytes } from 'node:crypto';
import { basename, join } from 'node:path';
import { writeFileAtomically } from '../files/atomic-write.ts';
import { readUntil } from '../credential/cache.ts';
import { systemCode, UserError } from '../errors.ts';
import { fieldsOf, readJson } from '../files/json.ts';
import { withFileLocks } from '../files/lock.ts';
import type { Runtime } from '../runtime.ts';
import { listDirectories, makePrivateDirectory, runDirectories, runDirectory } from './directories.ts';
import { isOwner, type Owner, ownerOf, stateOf } from '../files/process-owner.ts';
import { isSessionName } from '../api/token.ts';

/**
 * opening: a login is under way. open: the child runs. ending: the owner revokes the session. left: has no owner any more, to be
 * ended by a later command.
 */
export type Phase = 'opening' | 'open' | 'ending' | 'left';

export interface ShellRecord {
  readonly owner: Owner;
  readonly phase: Phase;
  /** The server's origin. */
  readonly server: string;
  /** The user's kubeconfigs when the shell started. */
  readonly kubeconfigs: readonly string[];
  /** While opening: the sessions that were there before; absent where the server has not said. */
  readonly before?: readonly string[];
  /** From `open` on. */
  readonly session?: string;
  /** Whether this shell, or another that used it before, has opened the session. */
  readonly opened?: boolean;
  /** RFC 3339. */
  readonly until?: string;
  /** RFC 3339: when to try again, after a server did not answer. */
  readonly notBefore?: string;
}

export interface Registered {
  readonly directory: string;
  readonly record: ShellRecord;
}

export function kubeconfigIn(directory: string): string {
  return join(directory, 'config');
}

/** Holds the records still while `work`, which is synchronous, reads and writes them. */
export function withRecords<T>(env: Runtime['env'], work: () => T, signal: AbortSignal): Promise<T> {
  const paths = runDirectories(env).map((run) => join(run, 'sessions'));
  return withFileLocks(paths, work, { signal, waitMs: 10_000 });
}

export function createDirectory(runtime: Pick<Runtime, 'env' | 'pid'>): string {
  const name = `${runtime.pid}-${randomBytes(4).toString('hex')}`;
  const directory = join(runDirectory(runtime.env), 'sessions', name);
  makePrivateDirectory(directory);
  return directory;
}

/** Throws UserError where it cannot be written. */
export function writeRecord({ directory, record }: Registered): void {
  const path = join(directory, 'record.json');
  try {
    writeFileAtomically(path, `${JSON.stringify(record)}\n`);
  } catch (cause) {
    const code = systemCode(cause);
    if (code === undefined) throw cause;
    throw new UserError(
      `the private file ${path} cannot be written: ${code}`,
      ['Check whether its file system is full or read-only, or set XDG_CACHE_HOME to another directory.'],
      1,
      cause,
    );
  }
}

export function listRecords(env: Runtime['env']): readonly Registered[] {
  return listDirectories(env, 'sessions').flatMap((directory) => {
    const record = readRecord(directory);
    return record === undefined ? [] : [{ directory, record }];
  });
}

/** Directories without a record, of processes that are gone. */
export function listBroken(env: Runtime['env']): readonly string[] {
  return listDirectories(env, 'sessions').filter((directory) => {
    const pid = Number(/^(\d{1,10})-[0-9a-f]{8}$/.exec(basename(directory))?.[1] ?? 0);
    return pid > 1 && readRecord(directory) === undefined && stateOf(ownerOf(pid)) === 'dead';
  });
}

export function readRecord(directory: string): ShellRecord | undefined {
  const value = readJson(join(directory, 'record.json'));
  return isRecord(value) ? value : undefined;
}

/** Its session has ended, as far as this machine knows: renewals move the end in the until-file alone. */
export function isOver({ server, session, until }: ShellRecord, { env, now }: Pick<Runtime, 'env' | 'now'>): boolean {
  const renewed = session === undefined ? undefined : readUntil(env, { server, session })?.until.getTime();
  const end = Math.max(Date.parse(until ?? ''), renewed ?? 0);
  return end + 60_000 < now().getTime();
}

function isRecord(value: unknown): value is ShellRecord {
  const { owner, phase, server, kubeconfigs, before, session, opened, until, notBefore } = fieldsOf(value);
  return (
    isOwner(owner) &&
    phases.some((known) => known === phase) &&
    typeof server === 'string' &&
    isTexts(kubeconfigs) &&
    (before === undefined || isTexts(before)) &&
    (session === undefined || (typeof session === 'string' && isSessionName(session))) &&
    (opened === undefined || typeof opened === 'boolean') &&
    [until, notBefore].every((date) => date === undefined || typeof date === 'string')
  );
}

const phases: readonly Phase[] = ['opening', 'open', 'ending', 'left'];

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}
