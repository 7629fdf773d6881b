/** One session in the shape of the login calls. */
import type { LoginResponse, Session } from './contract.ts';
import type { SessionView } from './deps.ts';

export function loginAnswer({ username, role, until, name, namespaces }: SessionView): LoginResponse {
  return { username, role, until, session: name, ...(namespaces === undefined ? {} : { namespaces: [...namespaces] }) };
}

export function sessionAnswer(session: SessionView): Session {
  return { ...loginAnswer(session), session: session.name, ready: session.ready };
}
