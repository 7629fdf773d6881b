/** The server that the user's kubeconfig has sessions of, for commands that go on from a login. */
import { UserError } from './errors.ts';
import { kubeconfigPaths, readKubeconfig } from './kubeconfig-file.ts';
import { ownContexts, rememberedServer } from './kubeconfig-entries.ts';
import type { Runtime } from './runtime.ts';
import { sameServers } from './same-server.ts';

/** Undefined also where the kubeconfig cannot be read: a command that only looks does not need it. */
export function rememberedHere(env: Runtime['env'], kubeconfig?: string): string | undefined {
  try {
    const contexts = ownContexts(readKubeconfig(kubeconfigPaths(env, kubeconfig)).files);
    return rememberedServer(contexts, sameServers(env));
  } catch (error) {
    if (error instanceof UserError) return undefined;
    throw error;
  }
}
