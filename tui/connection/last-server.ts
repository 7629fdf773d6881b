/** The server that the user's kubeconfig has sessions of, for commands that go on from a login. */
import { UserError } from '../errors.ts';
import { readOwnContexts } from '../kubeconfig/own-contexts.ts';
import { type OwnContext, lastServer } from '../kubeconfig/entries.ts';
import type { Runtime } from '../runtime.ts';
import { sameServers } from '../trust/same-server.ts';

/** Undefined also where the kubeconfig cannot be read: a command that only looks does not need it. */
export function lastServerHere(env: Runtime['env'], kubeconfig?: string): string | undefined {
  try {
    return lastServer(ownContextsHere(env, kubeconfig), sameServers(env));
  } catch (error) {
    if (error instanceof UserError) return undefined;
    throw error;
  }
}

/** None where the kubeconfig cannot be read. */
export function ownContextsHere(env: Runtime['env'], kubeconfig?: string): readonly OwnContext[] {
  try {
    return readOwnContexts(env, kubeconfig);
  } catch (error) {
    if (error instanceof UserError) return [];
    throw error;
  }
}
