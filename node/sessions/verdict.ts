/**
 * What the identity of the node that logged in says of a session now: the reason to end it, or the longest period that a rule in
 * force grants.
 */
import { annotations, type TkaSignin } from '../../crd/tkasignin.ts';
import type { Caller } from '../http/state.ts';
import type { Identity } from '../tsnet/peer.ts';

export interface VerdictDeps {
  /** Throws where the identity must be refused. */
  callerFrom(identity: Identity): Caller;
  /** The longest period of a rule in force that grants the role on all of the namespaces; undefined: no rule does. */
  periodMs(
    caller: Caller,
    session: { readonly role: string; readonly namespaces?: readonly string[] | undefined },
  ): number | undefined;
}

/** Stable ID of the node that logged in; empty where it is not recorded: such a session ends as if its node had left. */
export function nodeOf({ metadata }: TkaSignin): string {
  return metadata.annotations?.[annotations.node] ?? '';
}

/** The fields of an audit line about the session. */
export function auditOf({ metadata, spec }: TkaSignin): object {
  return { audit: true, session: metadata.name, subject: spec.subject, username: spec.username };
}

type Verdict = { readonly reason: string } | { readonly periodMs: number };

export function judge(deps: VerdictDeps, { spec }: TkaSignin, identity: Identity): Verdict {
  if (identity.refusal !== undefined) return { reason: `the node that logged in is refused (${identity.refusal})` };
  let caller: Caller;
  try {
    caller = deps.callerFrom(identity);
  } catch {
    return { reason: 'the owner of the node that logged in is unknown' };
  }
  if (caller.subject !== spec.subject) return { reason: 'the node that logged in belongs to another user now' };
  if (caller.username !== spec.username) return { reason: 'the login name has changed' };
  const periodMs = deps.periodMs(caller, spec);
  return periodMs === undefined ? { reason: 'the tailnet policy no longer grants it' } : { periodMs };
}
