/**
 * Who asks, and with which session's rights: everything that must hold before a byte goes to the API server.
 *
 * The caller comes from the connection, the session from the token, and the two must belong together: the session's subject
 * is the caller's, the caller's own node is granted the session's role and scope now, and the session is neither over nor being
 * ended. Whatever of that does not hold is one and the same 401: nobody learns which sessions there are.
 */
import { Refusal } from './status-error.ts';
import { readToken, type SessionKeys } from './session-key.ts';

export interface ProxyCaller {
  readonly subject: string;
  readonly username: string;
  /** Stable node ID. */
  readonly node: string;
  /** Whether a rule in force for this node gives the role on all of the namespaces; undefined: the whole cluster. */
  covers(role: string, namespaces: readonly string[] | undefined): boolean;
}

export interface ProxySession {
  readonly name: string;
  readonly uid: string;
  readonly subject: string;
  readonly role: string;
  readonly namespaces?: readonly string[];
  /** Milliseconds since the epoch. */
  readonly endsAt: number;
  /** Its access is being removed. */
  readonly isEnding: boolean;
}

export interface DecisionDeps {
  readonly keys: Pick<SessionKeys, 'isKeyOf'>;
  session(name: string): ProxySession | undefined;
  now(): number;
}

/** Throws Refusal 401 unless all of it holds. */
export function decide(deps: DecisionDeps, caller: ProxyCaller, token: string | undefined): ProxySession {
  const read = token === undefined ? undefined : readToken(token);
  const session = read === undefined ? undefined : deps.session(read.session);
  const isKey = read !== undefined && deps.keys.isKeyOf(read.key, session?.uid);
  if (session === undefined || !isKey || !holds(deps, session, caller)) {
    throw new Refusal(401, 'your tka session has ended or is not yours; run: tka login');
  }
  return session;
}

/** What is asked again for streams that are open. */
export function holds(deps: Pick<DecisionDeps, 'now'>, session: ProxySession, caller: ProxyCaller): boolean {
  return (
    session.subject === caller.subject &&
    !session.isEnding &&
    session.endsAt > deps.now() &&
    caller.covers(session.role, session.namespaces)
  );
}
