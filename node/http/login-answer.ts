/** One session in the shape of the login calls. */
import type { DroppedRule, LoginResponse, Session } from './contract.ts';
import type { SessionView } from './deps.ts';
import type { Caller } from './state.ts';

/** `caller`: adds the rules of the policy for this caller that are invalid. */
export function loginAnswer(session: SessionView, caller?: Caller): LoginResponse {
  const { username, role, until, name, namespaces } = session;
  const dropped = caller === undefined ? [] : droppedRules(caller);
  return {
    username,
    role,
    until,
    session: name,
    ...(namespaces === undefined ? {} : { namespaces: [...namespaces] }),
    ...(dropped.length === 0 ? {} : { dropped }),
  };
}

export function droppedRules({ grants }: Caller): DroppedRule[] {
  return grants.dropped.map(({ rule, reason }) => ({ rule, reason }));
}

export function sessionAnswer(session: SessionView): Session {
  const { username, role, until, name, namespaces, ready } = session;
  return {
    session: name,
    username,
    role,
    until,
    ready,
    ...(namespaces === undefined ? {} : { namespaces: [...namespaces] }),
  };
}
