/** GET login: 200 the session, 202 while it is being provisioned, 401 none, 422 where it cannot be provisioned. */
import type { HttpDeps } from '../deps.ts';
import { loginAnswer } from '../login-answer.ts';
import { ownSession, refuseBrokenSession, sessionInQuery } from '../own-session.ts';
import type { ApiMiddleware } from '../state.ts';
import { callerOf } from '../state.ts';

export function loginStatusRoute(deps: HttpDeps): ApiMiddleware {
  return (ctx) => {
    const session = ownSession(deps.sessions, callerOf(ctx), sessionInQuery(ctx.query));
    refuseBrokenSession(session);
    if (!session.ready) {
      ctx.status = 202;
      ctx.set('Retry-After', String(deps.settings.retryAfterSeconds));
    }
    ctx.body = loginAnswer(session);
  };
}
