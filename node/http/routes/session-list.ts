/** GET sessions: the caller's own, newest first. */
import type { SessionsResponse } from '../contract.ts';
import type { HttpDeps } from '../deps.ts';
import { sessionAnswer } from '../login-answer.ts';
import { ownSessions } from '../own-session.ts';
import type { ApiMiddleware } from '../state.ts';
import { callerOf } from '../state.ts';

export function sessionListRoute(deps: HttpDeps): ApiMiddleware {
  return (ctx) => {
    const answer: SessionsResponse = { sessions: ownSessions(deps.sessions, callerOf(ctx)).map(sessionAnswer) };
    ctx.body = answer;
  };
}
