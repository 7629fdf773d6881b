/**
 * GET login: 200 the session, 202 while it is being provisioned, 401 none, 422 where it cannot be provisioned. With
 * `Prefer: wait=N` it answers as POST login does: 200 as soon as the credential works, or 202 when the time is up.
 */
import type { HttpDeps } from '../deps.ts';
import { coversScope } from '../grants.ts';
import { loginAnswer } from '../login-answer.ts';
import { ownSession, refuseBrokenSession, sessionInQuery } from '../own-session.ts';
import type { ApiMiddleware } from '../state.ts';
import { callerOf } from '../state.ts';
import { preferredWait, usableWithin } from './login.ts';

export function loginStatusRoute(deps: HttpDeps): ApiMiddleware {
  return async (ctx) => {
    const caller = callerOf(ctx);
    const session = ownSession(deps.sessions, caller, sessionInQuery(ctx.query));
    refuseBrokenSession(session);
    const wait = preferredWait(ctx.get('Prefer'));
    // Its credential may work although its grant is gone: then it is about to end.
    const mayWork = coversScope(caller.grants.rules, session);
    const usable = wait === 0 || !mayWork ? undefined : await usableWithin(session, wait, ctx.state.signal, deps);
    if (wait > 0) ctx.set('Preference-Applied', `wait=${wait}`);
    if (wait === 0 ? !session.ready : usable === undefined) {
      ctx.status = 202;
      ctx.set('Retry-After', String(deps.settings.retryAfterSeconds));
    }
    ctx.body = loginAnswer(usable ?? session, callerOf(ctx));
  };
}
