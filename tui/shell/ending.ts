/**
 * Ends what a shell has left: decide under the lock, then revoke, then remove the directory. A session
 * that cannot be revoked now stays recorded, without its kubeconfig, for a later command to try again.
 */
import { resolve, sep } from 'node:path';
import { systemCode, UserError } from '../errors.ts';
import { shellKubeconfigs } from './integration/environment.ts';
import type { OwnContext } from '../kubeconfig/entries.ts';
import type { Runtime } from '../runtime.ts';
import { type SameServer, sameServers } from '../trust/same-server.ts';
import { type Decision, decide, type Use } from './decision.ts';
import { remove, runDirectories } from './directories.ts';
import { ownerOf, stateOf } from '../files/process-owner.ts';
import {
  isOver,
  kubeconfigIn,
  listRecords,
  readRecord,
  type Registered,
  type ShellRecord,
  withRecords,
  writeRecord,
} from './records.ts';

export type Ended =
  | { readonly outcome: 'nothing' }
  | { readonly outcome: 'revoked'; readonly session: string; readonly server: string }
  | { readonly outcome: 'kept'; readonly session: string; readonly because: string }
  /** `reason`: why the server could not be asked. */
  | { readonly outcome: 'postponed'; readonly session: string; readonly reason?: string };

export interface EndOptions {
  /** Bounds the call to the server. */
  readonly signal: AbortSignal;
  readonly warn: (line: string) => void;
  /** Looked at under the lock: what another process is already ending, or has again, is left to it. */
  readonly isStillOurs: (record: ShellRecord) => boolean;
}

/** Rejects only because of a fault of ours: a shell's exit code must come through whatever else happens. */
export async function endSession(runtime: Runtime, directory: string, options: EndOptions): Promise<Ended> {
  try {
    const settled = await settleLocked(runtime, directory, options);
    if (settled === undefined) return { outcome: 'nothing' };
    if (settled.action === 'keep') return { outcome: 'kept', session: settled.session, because: settled.because };
    if (settled.action === 'postpone') return { outcome: 'postponed', session: settled.session };
    return await revoke(runtime, settled.record, directory, options);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    // The record stays, and with its owner gone a later command finds it.
    const session = readRecord(directory)?.session;
    return session === undefined ? { outcome: 'nothing' } : { outcome: 'postponed', session, reason: error.message };
  }
}

async function settleLocked(
  runtime: Runtime,
  directory: string,
  { isStillOurs }: EndOptions,
): Promise<Settled | undefined> {
  const contextsOf = await createContextFinder(runtime.env);
  const work = (): Settled | undefined => {
    const record = readRecord(directory);
    if (record === undefined || !isStillOurs(record)) return undefined;
    return settle({ directory, record }, runtime, contextsOf);
  };
  // Not by the caller's signal: the lock is held for milliseconds, and without it nothing may be decided.
  return withRecords(runtime.env, work, new AbortController().signal);
}

type Settled =
  | { readonly action: 'keep'; readonly session: string; readonly because: string }
  | { readonly action: 'postpone'; readonly session: string }
  | { readonly action: 'revoke'; readonly record: ShellRecord & { readonly session: string } };

/** Writes what follows from the decision, so that the next to look sees it. Undefined: there was no session. */
function settle(own: Registered, runtime: Runtime, contextsOf: ContextFinder): Settled | undefined {
  const record = withSession(own, contextsOf);
  const { session, server, opened = false } = record;
  if (session === undefined) {
    remove(own.directory);
    return undefined;
  }
  const isSame = sameServers(runtime.env);
  const others = listRecords(runtime.env).filter(({ directory }) => directory !== own.directory);
  const decision = decideSafely(
    { server, session, opened },
    others.map(({ record }) => toUse(record, runtime)),
    isSame,
    () => contextsOf.ofUser(record.kubeconfigs, { server, session }),
  );
  if (decision.action === 'revoke') {
    const ending = { ...record, session, owner: ownerOf(runtime.pid), phase: 'ending' as const };
    note({ directory: own.directory, record: ending });
    return { ...decision, record: ending };
  }
  if (decision.action === 'keep') remove(own.directory);
  else leave({ directory: own.directory, record }, runtime);
  return { ...decision, session };
}

function decideSafely(
  ending: Parameters<typeof decide>[0],
  others: readonly Use[],
  isSame: SameServer,
  contexts: () => readonly string[],
): Decision {
  try {
    return decide(ending, others, ending.opened ? contexts() : [], isSame);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return { action: 'keep', because: error.message };
  }
}

async function revoke(
  runtime: Runtime,
  record: ShellRecord & { readonly session: string },
  directory: string,
  { signal, warn }: EndOptions,
): Promise<Ended> {
  const { server, session } = record;
  try {
    const { logOut } = await import('../sessions/logout.ts');
    // Our own signal: the runtime's may be why the session ends.
    const own = Object.create(runtime, { signal: { value: signal } }) as Runtime;
    await logOut(own, { server, session, kubeconfig: kubeconfigIn(directory), signal, warn });
    remove(directory);
    return { outcome: 'revoked', session, server };
  } catch (error) {
    if (!(error instanceof UserError) && !signal.aborted) throw error;
    const notBefore = new Date(runtime.now().getTime() + 60_000).toISOString();
    leave({ directory, record: { ...record, notBefore } }, runtime);
    const reason = error instanceof UserError ? error.message : `${server} did not answer in time`;
    return { outcome: 'postponed', session, reason };
  }
}

function leave({ directory, record }: Registered, { now }: Runtime): void {
  remove(kubeconfigIn(directory));
  // With an unknown end it is given up after a day.
  const until = record.until ?? new Date(now().getTime() + 24 * 3_600_000).toISOString();
  note({ directory, record: { ...record, until, phase: 'left' } });
}

/** A full disk must not keep a session from being ended. */
function note(registered: Registered): void {
  try {
    writeRecord(registered);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
  }
}

function toUse(record: ShellRecord, runtime: Runtime): Use {
  const { server, session, phase, owner } = record;
  const state = stateOf(owner);
  // Of another machine's processes only the session's end is known.
  const mayRun = state === 'unknown' && phase === 'open' && !isOver(record, runtime);
  return { server, session, phase, isLive: state === 'alive' || mayRun };
}

/** One that was killed while it logged in may have come as far as its kubeconfig, which says what it got. */
function withSession({ directory, record }: Registered, contextsOf: ContextFinder): ShellRecord {
  if (record.session !== undefined) return record;
  const session = contextsOf.inFile(kubeconfigIn(directory)).find(({ server }) => server === record.server)?.session;
  if (session === undefined) return record;
  return { ...record, session, opened: record.before?.includes(session) === false };
}

interface ContextFinder {
  /** Empty where the file is not there or not understood. */
  inFile(path: string): readonly OwnContext[];
  /** The contexts of a session in the user's kubeconfigs. Throws UserError where one of them cannot be read. */
  ofUser(kubeconfigs: readonly string[], of: { readonly server: string; readonly session: string }): readonly string[];
}

async function createContextFinder(env: Runtime['env']): Promise<ContextFinder> {
  const [{ readKubeconfig, userKubeconfigs }, { ownContexts }] = await Promise.all([
    import('../kubeconfig/file.ts'),
    import('../kubeconfig/entries.ts'),
  ]);
  const contexts = (path: string): readonly OwnContext[] => ownContexts(readKubeconfig([path]).files);
  return {
    inFile(path) {
      try {
        return contexts(path);
      } catch (error) {
        if (!(error instanceof UserError) && systemCode(error) === undefined) throw error;
        return [];
      }
    },
    ofUser(kubeconfigs, { server, session }) {
      const isSame = sameServers(env);
      const own = [...kubeconfigs, ...userKubeconfigs(env)]
        .map((path) => resolve(path))
        .filter((path) => !isInside(path, env));
      return [...new Set([...own, ...shellKubeconfigs(env)])]
        .flatMap(contexts)
        .filter((context) => isSame(context.server, server) && context.session === session)
        .map(({ context }) => context);
    },
  };
}

/** Whether the file is one that a shell of ours has made, for itself or for a login in it. */
function isInside(path: string, env: Runtime['env']): boolean {
  return runDirectories(env).some((run) => path.startsWith(run + sep));
}
