/**
 * The TkaSignin resource: one object is one session, that is a subject in a role with a scope.
 *
 * Guarantees: `subject`, `username`, `role` and `namespaces` never change after creation (the CRD's CEL rules hold
 * that); `expiresAt` is the session's end and the only mutable field of the spec. The types here mirror
 * `tkasignin.yaml`; a test compares the two. Names and labels of everything that belongs to a session are
 * made only in this file.
 */
import { createHash } from 'node:crypto';
import type { Condition } from './conditions.ts';

export const group = 'tka.specht-labs.de';
export const version = 'v1alpha1';
export const plural = 'tkasignins';
export const kind = 'TkaSignin';
export const apiVersion = `${group}/${version}`;

/** A DNS label (RFC 1123): the name of a namespace, for example. */
export const dnsLabelPattern = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/** What a person or machine is signed in as. Times are RFC 3339 in UTC with whole seconds. */
export interface TkaSigninSpec {
  /** Stable identity: `<control host>|user:<id>` or `<control host>|node:<stable id>`. Immutable. */
  readonly subject: string;
  /** Login name or node name, for display only. Immutable. */
  readonly username: string;
  /** Name of the ClusterRole that is bound. Immutable. */
  readonly role: string;
  /** Absent: bound cluster-wide. Present: bound in each of these, never empty. Immutable. */
  readonly namespaces?: readonly string[];
  /** The session's end. */
  readonly expiresAt: string;
}

/** What the reconciler has seen and done. Written once a pass, by the reconciler alone. */
export interface TkaSigninStatus {
  readonly observedGeneration?: number;
  readonly conditions?: readonly Condition[];
  /** Name of the session's ServiceAccount, in the TkaSignin's own namespace. */
  readonly serviceAccountName?: string;
  /** The end that was last applied; repeats `spec.expiresAt`. */
  readonly expiresAt?: string;
}

export interface ObjectMeta {
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly generation: number;
  readonly creationTimestamp: string;
  readonly deletionTimestamp?: string;
  readonly finalizers?: readonly string[];
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface TkaSignin {
  readonly apiVersion: typeof apiVersion;
  readonly kind: typeof kind;
  readonly metadata: ObjectMeta;
  readonly spec: TkaSigninSpec;
  readonly status?: TkaSigninStatus;
}

/** The reconciler's finalizer on each TkaSignin, so that `kubectl delete tkasignin` is a revocation. */
export const finalizer = `${group}/revoke`;

export const labels = {
  managedBy: 'app.kubernetes.io/managed-by',
  /** Which installation made it; two installations in one cluster leave each other's objects alone. */
  install: `${group}/install`,
  /** Name of the TkaSignin an account or binding belongs to. */
  signin: `${group}/signin`,
  /** UID of that TkaSignin; one created later under the same name has another. */
  signinUid: `${group}/signin-uid`,
  /** Digest of the subject: a label cannot hold a login name, and more people may list than read objects. */
  user: `${group}/user`,
} as const;

/** The label of everything that belongs to a person or machine. */
export function userLabel({ subject }: Pick<TkaSigninSpec, 'subject'>): string {
  return digest([subject]).slice(0, 16);
}

export const annotations = {
  /** Login name or node name of the person or machine, so that the API server's audit log names them. */
  username: `${group}/username`,
  subject: `${group}/subject`,
  /** Stable node ID of the node that last logged in. */
  node: `${group}/node`,
  /** Why the session is ended; the replica that was asked tells the one that removes it. */
  endReason: `${group}/end-reason`,
} as const;

export const managedByValue = 'tka';

/**
 * The name of a session: a readable slug and 10 hex digits that tell look-alikes apart.
 * The digest covers subject, role and scope with each part's length before it, so that no two triples share an input.
 */
export function signinName(spec: Pick<TkaSigninSpec, 'subject' | 'username' | 'role' | 'namespaces'>): string {
  const scope = spec.namespaces === undefined ? ['cluster'] : ['namespaces', ...[...spec.namespaces].sort()];
  return `${slug(spec.username)}-${digest([spec.subject, spec.role, ...scope]).slice(0, 10)}`;
}

/** The name of a session's ServiceAccount and bindings: the session's name and 8 hex digits of its UID's digest. */
export function accountName(signin: { readonly metadata: Pick<ObjectMeta, 'name' | 'uid'> }): string {
  return `tka-${signin.metadata.name}-${digest([signin.metadata.uid]).slice(0, 8)}`;
}

/**
 * The names that a session's binding may have in one place, in the order they are tried: the account's own first. Users who may
 * write bindings can occupy one with an object of theirs; then the next is used.
 */
export function bindingNames(account: string): readonly string[] {
  return [account, ...[2, 3, 4, 5].map((n) => `${account}-${n}`)];
}

/** What accountName() makes; the sweep touches no object whose name does not match. */
export const accountNamePattern = /^tka-[a-z0-9](?:[a-z0-9-]*[a-z0-9])?-[0-9a-f]{10}-[0-9a-f]{8}$/;

/** SHA-256 over length-prefixed parts, in hex. */
export function digest(parts: readonly string[]): string {
  const hash = createHash('sha256');
  for (const part of parts) {
    const bytes = Buffer.from(part, 'utf8');
    hash.update(`${bytes.length}:`);
    hash.update(bytes);
  }
  return hash.digest('hex');
}

/** At most 30 characters of a DNS label made from a display name; never empty. */
function slug(name: string): string {
  const plain = name
    .normalize('NFKD')
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .slice(0, 30)
    .replaceAll(/^-+|-+$/g, '');
  return plain === '' ? 'session' : plain;
}
