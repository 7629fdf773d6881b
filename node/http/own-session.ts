/**
 * Which of the caller's sessions a call means: the one it names; else the one that a login without a role would get; else the newest.
 * Another subject's session is answered like one that does not exist.
 */
import { ApiError } from './errors.ts';
import type { SessionView, Sessions } from './deps.ts';
import { coversScope } from './grants.ts';
import { chooseRule, isSameScope } from './rules.ts';
import type { Caller } from './state.ts';

/**
 * The caller's sessions, newest first. One whose role or scope no rule of the calling node covers any more is not ready: it is
 * about to end, and the proxy refuses its requests from that node.
 */
export function ownSessions(sessions: Sessions, { subject, grants }: Caller): readonly SessionView[] {
  return sessions
    .list(subject)
    .map((session) => (session.ready && !coversScope(grants.rules, session) ? { ...session, ready: false } : session));
}

/** Throws 404 for a name that is not one of the caller's, 401 where there is no session at all. */
export function ownSession(sessions: Sessions, caller: Caller, name: string | undefined): SessionView {
  const own = ownSessions(sessions, caller);
  if (name !== undefined) {
    const named = own.find((session) => session.name === name);
    if (named === undefined)
      throw new ApiError(404, 'not_found', 'you have no session of that name', {
        advice: ['`tka status` lists your sessions'],
      });
    return named;
  }
  const session = defaultSession(own, caller);
  if (session === undefined)
    throw new ApiError(401, 'not_logged_in', 'you are not logged in', { advice: ['run `tka login`'] });
  return session;
}

export function defaultSession(own: readonly SessionView[], caller: Caller): SessionView | undefined {
  const choice = chooseRule(caller.grants.rules);
  if (choice.kind !== 'chosen') return own[0];
  const { role, namespaces } = choice.rule;
  return own.find((session) => session.role === role && isSameScope(session.namespaces, namespaces)) ?? own[0];
}

/** Throws where the session cannot become usable until something changes. */
export function refuseBrokenSession(session: SessionView): void {
  if (session.problem === undefined) return;
  throw new ApiError(422, 'unprocessable', session.problem, { advice: ['ask the admin of this cluster'] });
}

/** The `session` of the query; throws 400 where it is repeated or not a name. */
export function sessionInQuery(
  query: Readonly<Record<string, string | readonly string[] | undefined>>,
): string | undefined {
  const value = query['session'];
  if (value === undefined || value === '') return undefined;
  if (typeof value !== 'string' || value.length > 63)
    throw new ApiError(400, 'bad_request', '`session` must be the name of one session');
  return value;
}
