/**
 * One line in the log for each request that reaches the proxy; a stream has one at its start and one at its end. Names of
 * people and objects, never a credential. An exec's command line is the user's own words, and is what an audit is for.
 */
import type { Attributes } from './attributes.ts';
import type { Outcome } from './request.ts';

export interface AuditSubject {
  readonly subject: string;
  readonly username: string;
  /** Stable node ID. */
  readonly node: string;
  /** Absent where the caller's session could not be told. */
  readonly session?: string;
  readonly role?: string;
}

export interface AuditLog {
  info(line: object, message: string): void;
  warn(line: object, message: string): void;
}

export interface Audited {
  readonly requestId: string;
  /** Who carried it. */
  readonly by: 'engine' | 'server';
  readonly who: Partial<AuditSubject>;
  readonly what: Attributes;
}

export function auditStart(log: AuditLog, entry: Audited, status: number): void {
  log.info(Object.assign(line(entry), { phase: 'start', status }), 'audit');
}

export function auditEnd(log: AuditLog, entry: Audited, outcome: Outcome & { readonly seconds: number }): void {
  const { status, sentBytes, receivedBytes, seconds, cut } = outcome;
  const figures = { status, sentBytes, receivedBytes, seconds: Math.round(seconds * 1e4) / 1e4 };
  const whole = Object.assign(line(entry), entry.what.isStream ? { phase: 'end' } : undefined, figures);
  log.info(cut === undefined ? whole : { ...whole, cut }, 'audit');
}

export function auditRefused(log: AuditLog, entry: Audited, status: number, reason: string): void {
  log.warn(Object.assign(line(entry), { result: 'refused', status, reason }), 'audit');
}

/** A new object; what is undefined in it is not in the line. */
function line({ requestId, by, who, what }: Audited): object {
  const { subject, username, node, session, role } = who;
  const { verb, group, resource, subresource, namespace, name, path, pod, container, image, command } = what;
  return {
    audit: true,
    event: 'k8s',
    subject,
    username,
    node,
    session,
    role,
    verb,
    group,
    resource,
    subresource,
    namespace,
    name,
    path,
    pod,
    container,
    image,
    command,
    by,
    requestId,
  };
}
