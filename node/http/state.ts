/** State from the middleware for the routes, on `ctx.state`. */
import type { Middleware, ParameterizedContext } from 'koa';
import type { Grants, Rule } from './grants.ts';
import type { Identity } from './identity.ts';

export interface Caller {
  readonly subject: string;
  readonly username: string;
  readonly identity: Identity;
  readonly grants: Grants;
}

/** What the audit line of this request says besides its result. Routes fill it in as they decide. */
export interface AuditDraft {
  /** Absent: only a refusal of this request is worth a line. */
  event?: 'login' | 'logout' | 'kubeconfig';
  caller?: Caller;
  rule?: Rule;
  session?: string;
}

export interface RequestState {
  readonly requestId: string;
  /** Aborts when the caller disconnects. */
  readonly signal: AbortSignal;
  readonly audit: AuditDraft;
}

export type ApiContext = ParameterizedContext<RequestState>;
export type ApiMiddleware = Middleware<RequestState>;

/** For routes: they run only once the caller is known. */
export function callerOf(ctx: ApiContext): Caller {
  const { caller } = ctx.state.audit;
  if (caller === undefined) throw new Error('a route ran before its caller was known');
  return caller;
}
