/**
 * Ends sessions at the server, then removes what this machine has of them: contexts, and credentials. Where the server cannot
 * be reached they live on, so nothing is removed and it fails, unless only this machine is meant (`local`).
 */
import { reach } from './connect.ts';
import { removeCredentials } from './credential-cache.ts';
import { exitCodes, RefusedError, UnreachableError, UserError, usageError } from './errors.ts';
import type { GlobalFlags } from './flags.ts';
import { editKubeconfig, kubeconfigPaths, readKubeconfig } from './kubeconfig-file.ts';
import { removeEntries } from './kubeconfig-entries.ts';
import type { Runtime } from './runtime.ts';
import { isSessionName } from './token.ts';

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
  /** False: the server was asked, and there was nothing to end. */
  readonly ended: boolean;
}

export async function logOut(runtime: Runtime, options: LogOutOptions): Promise<LoggedOut> {
  const { server, session, kubeconfig, local, warn, signal = runtime.signal } = options;
  if (session !== undefined && !isSessionName(session)) {
    throw usageError(`--session ${JSON.stringify(session)} is no name of a session`, ['`tka status` lists them.']);
  }
  const paths = kubeconfigPaths(runtime.env, kubeconfig);
  // Read before anything is ended: that a file is broken must not be found out too late.
  readKubeconfig(paths);
  const ended = local === true || (await endSession(runtime, options, signal));
  const matches = (marker: { server: string; session: string }): boolean =>
    marker.server === server && (session === undefined || marker.session === session);
  const contexts = await editKubeconfig(paths, ({ files }) => removeEntries(files, matches), { signal });
  if (!removeCredentials(runtime.env, { server, session }))
    warn('the cache directory cannot be written: a credential stays in it');
  return { contexts, ended };
}

async function endSession(runtime: Runtime, options: LogOutOptions, signal: AbortSignal): Promise<boolean> {
  const { server, session, timeoutMs = 15_000, flags, warn, onWait } = options;
  const reached = await reach(runtime, { ...flags, server }, { purpose: 'look', warn, onWait, signal });
  try {
    return await reached.api.logout(session === undefined ? {} : { session }, { signal, timeoutMs });
  } catch (error) {
    // No such session: what is left of it here can go.
    if (error instanceof RefusedError && error.status === 404) return false;
    if (!(error instanceof UserError) || error.exitCode !== exitCodes.unreachable) throw error;
    const advice = [
      'The session goes on until it ends by itself, so nothing was removed here. Try again,',
      'or remove what this machine has of it: tka logout --local',
    ];
    throw new UnreachableError(error.message, [...error.advice, ...advice], error);
  } finally {
    reached.close();
  }
}
