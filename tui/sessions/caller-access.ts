/** What the caller may have at a server and what it has there: both in one go, ready to be shown. */
import type { WhoamiResponse } from '../../node/http/contract.ts';
import { printableWhoami } from './identity.ts';
import type { Api } from '../api/api.ts';
import { skewOf } from '../api/clock-skew.ts';
import { readOwnContexts } from '../kubeconfig/own-contexts.ts';
import type { OwnContext } from '../kubeconfig/entries.ts';
import type { Runtime } from '../runtime.ts';
import { listSessions, type SessionRow } from './session-list.ts';

export interface Access {
  readonly whoami: WhoamiResponse;
  readonly sessions: readonly SessionRow[];
}

export interface AccessOptions {
  readonly api: Api;
  readonly server: string;
  readonly signal: AbortSignal;
  /** Default: those of the user's kubeconfig. */
  readonly contexts?: readonly OwnContext[];
}

export async function readAccess(
  runtime: Pick<Runtime, 'env' | 'now'>,
  { api, server, signal, contexts }: AccessOptions,
): Promise<Access> {
  const [whoami, { sessions }] = await Promise.all([api.whoami({ signal }), api.sessions({ signal })]);
  const own = contexts ?? readOwnContexts(runtime.env, undefined);
  const skewMs = skewOf(api, runtime.now);
  return {
    whoami: printableWhoami(whoami),
    sessions: listSessions(runtime, { server, sessions, contexts: own, skewMs }),
  };
}
