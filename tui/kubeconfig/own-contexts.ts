import type { Runtime } from '../runtime.ts';
import { type OwnContext, ownContexts } from './entries.ts';
import { kubeconfigPaths, readKubeconfig } from './file.ts';

/** The contexts that tka wrote, of --kubeconfig or the user's own files. Throws UserError where one cannot be read. */
export function readOwnContexts(env: Runtime['env'], kubeconfig: string | undefined): readonly OwnContext[] {
  return ownContexts(readKubeconfig(kubeconfigPaths(env, kubeconfig)).files);
}
