/**
 * Compares every account and binding of this installation with the sessions: what belongs to no live TkaSignin is removed, what a
 * live one lacks is reported for its next pass.
 *
 * Removed is only an object that carries this installation's ID, has the name of a session's account or binding, names (if it is a
 * binding) one account in the sessions namespace, and whose TkaSignin does not exist at the API server, which is asked directly
 * because the cache may be behind. Also removed is a binding in that form whose account is not that of the session in its labels:
 * the admission policy tka-bindings cannot compare the two, so a stolen token of tka's account could create one that no session
 * would end. Nothing else is touched.
 */
import type { RbacV1Subject, V1ObjectMeta, V1RoleBinding, V1ServiceAccount } from '@kubernetes/client-node';
import type { Logger } from 'pino';
import {
  accountName,
  accountNamePattern,
  bindingNames,
  labels,
  managedByValue,
  type TkaSignin,
} from '../../crd/tkasignin.ts';
import type { Apply } from '../reconcile/apply.ts';
import type { SigninCache } from '../informer/cache.ts';
import { type Clients, during } from '../cluster.ts';
import { accountKey, bindingKey, desired, grantsTheSame } from '../reconcile/desired.ts';
import { ApiUnavailableError, NotFoundError } from '../errors.ts';
import { isProvisioned, type Observed } from '../reconcile/plan.ts';
import type { Signins } from '../kubernetes/tkasignin-client.ts';
import { eachAtMost, inTurns } from '../queue/turns.ts';

export interface SweepDeps {
  readonly cluster: Clients;
  /** The sessions namespace; its name is the installation's ID. */
  readonly namespace: string;
  readonly cache: SigninCache;
  readonly signins: Signins;
  readonly apply: Apply;
  readonly log: Logger;
  readonly onOrphan: (kind: OwnedKind) => void;
  /** A live session that says it is ready lacks something. */
  readonly onDamage: (signin: TkaSignin, observed: Observed) => void;
}

/** Sessions whose orphans are removed at once. */
const sessionsAtOnce = 8;

export type OwnedKind = 'ServiceAccount' | 'ClusterRoleBinding' | 'RoleBinding';

/** An account or binding with tka's labels. */
export interface Owned {
  readonly kind: OwnedKind;
  readonly name: string;
  readonly namespace: string | undefined;
  readonly signin: string;
  readonly signinUid: string;
  readonly grant?: Pick<V1RoleBinding, 'roleRef' | 'subjects'>;
}

/** Resolves with the names of sessions whose objects cannot be removed. */
export async function sweep(deps: SweepDeps, signal: AbortSignal): Promise<readonly string[]> {
  // Before the lists: a session that becomes ready while they are read is not in them as a whole.
  const before = deps.cache.list();
  const owned = await listOwned(deps, signal);
  const byUid = Map.groupBy(owned, (object) => object.signinUid);
  const provisioned = before.filter((candidate) => isProvisioned(candidate));
  for await (const signin of inTurns(provisioned)) {
    const { name, uid } = signin.metadata;
    const now = deps.cache.get(name);
    if (now?.metadata.uid !== uid || now.metadata.deletionTimestamp !== undefined) continue;
    const observed = compare(signin, byUid.get(uid) ?? []);
    if (observed.size > 0) deps.onDamage(now, observed);
  }
  // A session that has ended meanwhile was cleaned up by its own pass.
  const known = new Set([...before, ...deps.cache.list()].map((signin) => signin.metadata.uid));
  return await removeOrphans(deps, owned, known, signal);
}

/** Which of a session's objects are absent or drifted; empty for none. */
export function compare(signin: TkaSignin, owned: readonly Owned[]): Observed {
  const damage = new Map<string, 'absent' | 'drifted'>();
  const wanted = desired(signin);
  if (!owned.some(({ kind, name }) => kind === 'ServiceAccount' && name === wanted.account.metadata.name)) {
    damage.set(accountKey, 'absent');
  }
  for (const binding of wanted.bindings) {
    const names = bindingNames(binding.name);
    const grants = owned.flatMap(({ grant, name, namespace }) =>
      grant !== undefined && names.includes(name) && namespace === binding.namespace ? [grant] : [],
    );
    if (grants.some((grant) => grantsTheSame(grant, binding.object))) continue;
    damage.set(bindingKey(binding.namespace), grants.length === 0 ? 'absent' : 'drifted');
  }
  return damage;
}

/** The part of the decision that needs no API server: whether it may be removed if it has no TkaSignin. */
export function isOurs(object: Owned, namespace: string): boolean {
  if (object.kind === 'ServiceAccount') {
    return (
      accountNamePattern.test(object.name) && object.name === namedAccount(object) && object.namespace === namespace
    );
  }
  const [subject, ...others] = object.grant?.subjects ?? [];
  if (subject === undefined || others.length > 0 || !isSessionAccount(subject, namespace)) return false;
  // What the policy lets a token of tka's account create.
  const suffix = object.name.startsWith(subject.name) ? object.name.slice(subject.name.length) : undefined;
  return (
    accountNamePattern.test(subject.name) &&
    subject.name.slice(0, -9) === `tka-${object.signin}` &&
    suffix !== undefined &&
    /^(?:-[0-9a-z]{1,16})?$/.test(suffix)
  );
}

/** A binding of another account than that of the session in its labels. */
export function isForged(object: Owned): boolean {
  return object.grant !== undefined && object.grant.subjects?.[0]?.name !== namedAccount(object);
}

/** Any user may write labels; the name that they lead to must match. */
function namedAccount({ signin, signinUid }: Owned): string {
  return accountName({ metadata: { name: signin, uid: signinUid } });
}

function isSessionAccount(subject: RbacV1Subject, namespace: string): boolean {
  return subject.kind === 'ServiceAccount' && subject.namespace === namespace;
}

/** Resolves with the names of sessions whose objects cannot be removed; they do not stop the removal of others. */
async function removeOrphans(
  deps: SweepDeps,
  owned: readonly Owned[],
  known: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const suspects = owned.filter(
    (object) => (!known.has(object.signinUid) || isForged(object)) && isOurs(object, deps.namespace),
  );
  const stuck: string[] = [];
  const bySession = Map.groupBy(suspects, (object) => object.signinUid);
  await eachAtMost(sessionsAtOnce, bySession.values(), async (objects) => {
    const [first] = objects;
    if (first === undefined) return;
    try {
      const isLive = known.has(first.signinUid) || (await isAlive(deps.signins, first, signal));
      const leavings = isLive ? objects.filter(isForged) : objects;
      if (leavings.length > 0) await removeLeavings(deps, leavings, signal);
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof ApiUnavailableError) throw error;
      stuck.push(first.signin);
      deps.log.error(
        { err: error, session: first.signin, name: first.name },
        'cannot remove an object that belongs to no session',
      );
    }
  });
  return stuck;
}

async function removeLeavings(deps: SweepDeps, objects: readonly Owned[], signal: AbortSignal): Promise<void> {
  const results = await Promise.allSettled(
    objects.map(async ({ kind, name, namespace }) => {
      deps.log.warn({ kind, name, namespace }, 'removing an object that belongs to no session');
      if (kind === 'ServiceAccount') {
        await deps.apply.deleteAccount({ metadata: { name, namespace: deps.namespace } }, signal);
      } else {
        await deps.apply.deleteBindingNamed({ name, namespace }, signal);
      }
      deps.onOrphan(kind);
    }),
  );
  for (const result of results) if (result.status === 'rejected') throw result.reason;
}

async function isAlive(signins: Signins, object: Owned, signal: AbortSignal): Promise<boolean> {
  try {
    return (await signins.read(object.signin, signal)).metadata.uid === object.signinUid;
  } catch (error) {
    if (error instanceof NotFoundError) return false;
    throw error;
  }
}

async function listOwned({ cluster, namespace }: SweepDeps, signal: AbortSignal): Promise<readonly Owned[]> {
  const labelSelector = `${labels.managedBy}=${managedByValue},${labels.install}=${namespace},${labels.signinUid}`;
  const query = (_continue: string | undefined): { labelSelector: string; limit: number; _continue?: string } => ({
    labelSelector,
    limit: 500,
    ...(_continue === undefined ? {} : { _continue }),
  });
  const lists = await Promise.all([
    pages(
      'ServiceAccount',
      async (from) => await cluster.core.listNamespacedServiceAccount({ namespace, ...query(from) }, during(signal)),
    ),
    pages('ClusterRoleBinding', async (from) => await cluster.rbac.listClusterRoleBinding(query(from), during(signal))),
    pages(
      'RoleBinding',
      async (from) => await cluster.rbac.listRoleBindingForAllNamespaces(query(from), during(signal)),
    ),
  ]);
  return lists.flat();
}

interface Page {
  readonly metadata?: { readonly _continue?: string };
  readonly items: readonly (V1ServiceAccount | V1RoleBinding)[];
}

async function pages(kind: OwnedKind, read: (from: string | undefined) => Promise<Page>): Promise<readonly Owned[]> {
  const found: Owned[] = [];
  let from: string | undefined;
  do {
    const page = await read(from);
    for (const item of page.items) {
      const object = toOwned(kind, item.metadata, 'roleRef' in item ? item : undefined);
      if (object !== undefined) found.push(object);
    }
    from = page.metadata?._continue;
  } while (from !== undefined && from !== '');
  return found;
}

function toOwned(
  kind: OwnedKind,
  metadata: V1ObjectMeta | undefined,
  grant: Pick<V1RoleBinding, 'roleRef' | 'subjects'> | undefined,
): Owned | undefined {
  const signin = metadata?.labels?.[labels.signin];
  const signinUid = metadata?.labels?.[labels.signinUid];
  if (metadata?.name === undefined || signin === undefined || signinUid === undefined) return undefined;
  return {
    kind,
    name: metadata.name,
    namespace: metadata.namespace,
    signin,
    signinUid,
    ...(grant === undefined
      ? {}
      : { grant: { roleRef: grant.roleRef, ...(grant.subjects && { subjects: grant.subjects }) } }),
  };
}
