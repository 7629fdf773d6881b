/**
 * Ends sessions at the server, then removes what this machine has of them: contexts, and credentials. Where the server cannot
 * be reached they live on, so nothing is removed and it fails, unless only this machine is meant (`local`).
 */
import { reach } from '../connection/connect.ts';
import { removeCredentials } from '../credential/cache.ts';
import { exitCodes, RefusedError, UnreachableError, UserError, usageError } from '../errors.ts';
import type { GlobalFlags } from '../flags.ts';
import { editKubeconfig, kubeconfigPaths, readKubeconfig } from '../kubeconfig/file.ts';
import { type OwnContext, ownContexts, removeEntries } from '../kubeconfig/entries.ts';
import { readKnownServers } from '../trust/known-servers.ts';
import type { Runtime } from '../runtime.ts';
import { type SameServer, sameServers } from '../trust/same-server.ts';
import type { SessionData } from './session-data.ts';
import { isSessionName } from '../api/token.ts';

export interface LogOutOptions {
  /** The origin. */
  readonly server: string;
  /** Absent: all of the caller's there. */
  readonly session?: string | undefined;
  readonly kubeconfig?: string | undefined;
  readonly local?: boolean | undefined;
  readonly timeoutMs?: number | undefined;
  /** What else tells the way to the server. */
  readonly flags?: Pick<GlobalFlags, 'config'>;
  readonly signal?: AbortSignal;
  readonly warn: (line: string) => void;
  readonly onWait?: ((line: string) => void) | undefined;
}

export interface LoggedOut {
  /** Those that are gone. */
  readonly contexts: readonly string[];
  /** Those that this machine had contexts of, and the one that was named. */
  readonly sessions: readonly SessionData[];
  /** False: the server was asked, and there was nothing to end. */
  readonly ended: boolean;
}

export async function logOut(runtime: Runtime, options: LogOutOptions): Promise<LoggedOut> {
  const { server, session, kubeconfig, local, warn, signal = runtime.signal } = options;
  if (session !== undefined && !isSessionName(session)) {
    throw usageError(`--session ${JSON.stringify(session)} is not a session name`, ['`tka status` lists them.']);
  }
  const paths = kubeconfigPaths(runtime.env, kubeconfig);
  // Read before anything is ended: that a file is broken must not be found out too late.
  const all = ownContexts(readKubeconfig(paths).files);
  const ending = local === true ? undefined : await endSession(runtime, options, signal);
  const isSame = ending?.isSame ?? sameServers(runtime.env);
  const before = all.filter((context) => isSame(context.server, server));
  const matches = (marker: { server: string; session: string }): boolean =>
    isSame(marker.server, server) && (session === undefined || marker.session === session);
  const { names, contexts } = await editKubeconfig(
    paths,
    ({ files }) => {
      const named = ownContexts(files).map((context) => context.server);
      return { names: named, contexts: removeEntries(files, matches) };
    },
    { signal, onWait: warn },
  );
  const known = readKnownServers(runtime.env).map((one) => one.server);
  const own = new Set([server, ...names, ...known].filter((name) => isSame(name, server)));
  if ([...own].map((name) => removeCredentials(runtime.env, { server: name, session })).includes(false))
    warn('the cache directory cannot be written: a credential was left in it');
  return { contexts, ended: ending?.ended ?? true, sessions: endedSessions(before, options) };
}

function endedSessions(
  before: readonly OwnContext[],
  { server, session, local }: LogOutOptions,
): readonly SessionData[] {
  const names = session === undefined ? [...new Set(before.map((context) => context.session))] : [session];
  return names.map((name) => {
    const own = before.filter((context) => context.session === name);
    const contexts = own.map(({ context }) => context);
    const state = local === true ? 'unknown' : 'ended';
    return { server, session: name, state, contexts, current: own.some(({ current }) => current) };
  });
}

interface Ending {
  /** False: there was nothing to end. */
  readonly ended: boolean;
  readonly isSame: SameServer;
}

async function endSession(runtime: Runtime, options: LogOutOptions, signal: AbortSignal): Promise<Ending> {
  const { server, session, timeoutMs = 15_000, flags, warn, onWait } = options;
  const reached = await reach(runtime, { ...flags, server }, { purpose: 'look', warn, onWait, signal });
  const { isSame } = reached;
  try {
    const ended = await reached.api.logout(session === undefined ? {} : { session }, { signal, timeoutMs });
    return { ended, isSame };
  } catch (error) {
    // No such session: what is left of it here can go.
    if (error instanceof RefusedError && error.status === 404) return { ended: false, isSame };
    if (!(error instanceof UserError) || error.exitCode !== exitCodes.unreachable) throw error;
    const advice = [
      'The session is still active, so nothing was removed here. Try again,',
      'or remove the local data only: tka logout --local',
    ];
    throw new UnreachableError(error.message, [...error.advice, ...advice], error);
  } finally {
    reached.close();
  }
}
