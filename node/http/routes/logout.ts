/**
 * POST logout: ends the session that the body names, else all of the caller's, and answers once their access is gone. 200 also without
 * a session. Only the subject counts: ending access needs no grant.
 */
import { logoutRequestSchema } from '../contract.ts';
import type { LoginResponse } from '../contract.ts';
import { readBody } from '../body.ts';
import type { HttpDeps, SessionView } from '../deps.ts';
import { ApiError } from '../errors.ts';
import { loginAnswer } from '../login-answer.ts';
import { defaultSession } from '../own-session.ts';
import type { ApiMiddleware } from '../state.ts';
import { callerOf } from '../state.ts';

export function logoutRoute(deps: HttpDeps): ApiMiddleware {
  return async (ctx) => {
    ctx.state.audit.event = 'logout';
    const caller = callerOf(ctx);
    const { session: name } = await readBody(ctx.req, logoutRequestSchema);
    const own = deps.sessions.list(caller.subject);
    const ending = name === undefined ? own : own.filter((session) => session.name === name);
    if (ending.length > 0) ctx.state.audit.session = ending.map((session) => session.name).join(' ');
    await endAll(ending, ctx.state.signal, deps);
    const told = defaultSession(ending, caller);
    const nothing: LoginResponse = { username: caller.username, role: '', until: '' };
    ctx.body = told === undefined ? nothing : loginAnswer(told);
  };
}

async function endAll(sessions: readonly SessionView[], gone: AbortSignal, deps: HttpDeps): Promise<void> {
  const time = AbortSignal.timeout(deps.settings.logoutTimeoutMs);
  const signal = AbortSignal.any([gone, time]);
  const results = await Promise.allSettled(sessions.map(({ name }) => deps.sessions.end(name, 'logout', signal)));
  const failed = results.find((result) => result.status === 'rejected');
  if (failed === undefined) return;
  if (!time.aborted) throw failed.reason;
  throw new ApiError(503, 'unavailable', 'the access is not removed yet', {
    advice: ['log out again; if that does not help, tell the admin of this cluster'],
    retryAfterSeconds: deps.settings.retryAfterSeconds,
    cause: failed.reason,
  });
}
