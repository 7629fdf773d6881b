/**
 * `tka logout`: ends the session at the server, then removes this machine's credential and entries, and only those.
 *
 * Where the server cannot be reached the session lives on, so nothing is removed and the command fails;
 * --local removes what is here without asking the server.
 */
import { connect } from '../connect.ts';
import { chooseServer } from '../config.ts';
import { removeCredentials } from '../credential-cache.ts';
import { RefusedError, UnreachableError } from '../errors.ts';
import { editKubeconfig, kubeconfigPaths, readKubeconfig } from '../kubeconfig-file.ts';
import { ownContexts, rememberedServer, removeEntries } from '../kubeconfig-entries.ts';
import { createWords } from '../output.ts';
import type { Runtime } from '../runtime.ts';

export interface LogoutFlags {
  readonly server?: string;
  readonly session?: string;
  readonly kubeconfig?: string;
  readonly local?: boolean;
  readonly quiet?: boolean;
}

export async function logout(runtime: Runtime, flags: LogoutFlags): Promise<void> {
  const words = createWords(runtime, flags.quiet === true);
  const { session } = flags;
  const paths = kubeconfigPaths(runtime.env, flags.kubeconfig);
  // Read before anything is ended: that a file is broken must not be found out too late.
  const remembered = rememberedServer(ownContexts(readKubeconfig(paths).files));
  const server = await chooseServer(runtime, flags.server, remembered);
  if (flags.local !== true) await endSession(runtime, server, session);
  const matches = (marker: { server: string; session: string }): boolean =>
    marker.server === server && (session === undefined || marker.session === session);
  const removed = await editKubeconfig(paths, ({ files }) => removeEntries(files, matches), { signal: runtime.signal });
  if (!removeCredentials(runtime.env, { server, session }))
    words.warn('the cache directory cannot be written: a credential stays in it');
  const what = session === undefined ? 'every session' : `the session ${session}`;
  words.say(
    flags.local === true
      ? `Removed what this machine had of ${what} at ${server}; at the server it goes on until it ends.`
      : `Logged out of ${what} at ${server}.`,
  );
  for (const context of removed) words.say(`Removed context ${context}.`);
}

async function endSession(runtime: Runtime, server: string, session: string | undefined): Promise<void> {
  const connection = await connect(runtime, server);
  try {
    await connection.api.logout(session === undefined ? {} : { session }, {
      signal: runtime.signal,
      timeoutMs: 30_000,
    });
  } catch (error) {
    // No such session: what is left of it here can go.
    if (error instanceof RefusedError && error.status === 404) return;
    if (!(error instanceof UnreachableError)) throw error;
    const advice = [
      'The session goes on until it ends by itself, so nothing was removed here. Try again,',
      'or remove what this machine has of it: tka logout --local',
    ];
    throw new UnreachableError(error.message, [...error.advice, ...advice], error);
  } finally {
    connection.close();
  }
}
