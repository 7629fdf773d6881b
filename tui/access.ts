/** What the caller may have at a server and what it has there: both in one go, ready to be shown. */
import type { WhoamiResponse } from '../node/http/contract.ts';
import { printableWhoami } from './identity.ts';
import type { Api } from './api.ts';
import { skewOf } from './clock.ts';
import { kubeconfigPaths, readKubeconfig } from './kubeconfig-file.ts';
import { ownContexts } from './kubeconfig-entries.ts';
import type { Runtime } from './runtime.ts';
import { listSessions, type SessionRow } from './session-list.ts';

export interface Access {
  readonly whoami: WhoamiResponse;
  readonly sessions: readonly SessionRow[];
}

export interface AccessOptions {
  readonly api: Api;
  readonly server: string;
  readonly signal: AbortSignal;
  /** The kubeconfig to look for contexts in; default: the user's. */
  readonly kubeconfig?: string | undefined;
}

export async function readAccess(
  runtime: Pick<Runtime, 'env' | 'now'>,
  { api, server, signal, kubeconfig }: AccessOptions,
): Promise<Access> {
  const [whoami, { sessions }] = await Promise.all([api.whoami({ signal }), api.sessions({ signal })]);
  const contexts = ownContexts(readKubeconfig(kubeconfigPaths(runtime.env, kubeconfig)).files);
  const skewMs = skewOf(api, runtime.now);
  return { whoami: printableWhoami(whoami), sessions: listSessions(runtime, { server, sessions, contexts, skewMs }) };
}
