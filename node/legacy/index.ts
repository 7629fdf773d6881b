/**
 * What the Go product that was called tka before leaves in a cluster: TkaSignins of the same name with another schema, a
 * ServiceAccount `tka-user-NAME` beside each, and a ClusterRoleBinding `tka-user-NAME-binding`. Nothing ends those sessions any more:
 * the bindings would stay forever.
 *
 * findLegacy() reports what the current credential may see; tka's own rights show the bindings and the sign-ins, not the accounts.
 * removeLegacy() needs an administrator's credential: bindings first, because they are the access, each object by its UID.
 */
import type { V1ClusterRoleBinding, V1ServiceAccount } from '@kubernetes/client-node';
import * as z from 'zod';
import { group, kind, labels, managedByValue, plural, version } from '../../crd/tkasignin.ts';
import { type Cluster, during } from '../../reconciler/cluster.ts';
import { ForbiddenError, NotFoundError } from '../../reconciler/errors.ts';

export interface LegacyObject {
  readonly kind: 'ClusterRoleBinding' | 'ServiceAccount' | 'TkaSignin';
  /** Undefined for a ClusterRoleBinding. */
  readonly namespace: string | undefined;
  readonly name: string;
  readonly uid: string;
  readonly finalizers: readonly string[];
  /** What it gives, for people: the role of a binding or of a sign-in. */
  readonly role?: string;
}

export interface LegacyFindings {
  readonly objects: readonly LegacyObject[];
  /** False where the credential may not list all kinds: there may be more. */
  readonly complete: boolean;
}

export interface LegacyRemoval {
  readonly removed: readonly LegacyObject[];
  /** Deleted, but held by finalizers that are not tka's. */
  readonly held: readonly LegacyObject[];
}

type LegacyCluster = Pick<Cluster, 'core' | 'rbac' | 'custom'>;

const accountPattern = /^tka-user-./;

export async function findLegacy(cluster: LegacyCluster, signal: AbortSignal): Promise<LegacyFindings> {
  const bindings = await listBindings(cluster, signal);
  const signins = await orHidden(listSignins(cluster, signal));
  const owners = new Set([
    ...bindings.map(({ account }) => account),
    ...(signins ?? []).map(({ object }) => `${object.namespace ?? ''}/tka-user-${object.username}`),
  ]);
  const accounts = await orHidden(listAccounts(cluster, owners, signal));
  return {
    objects: [
      ...bindings.map(({ object }) => object),
      ...(accounts ?? []),
      ...(signins ?? []).map(({ object: { username: _username, ...object } }) => object),
    ],
    complete: signins !== undefined && accounts !== undefined,
  };
}

export async function removeLegacy(
  cluster: LegacyCluster,
  objects: readonly LegacyObject[],
  signal: AbortSignal,
): Promise<LegacyRemoval> {
  const removed: LegacyObject[] = [];
  const held: LegacyObject[] = [];
  for (const wanted of ['ClusterRoleBinding', 'ServiceAccount', 'TkaSignin'] as const) {
    for (const object of objects) {
      if (object.kind !== wanted) continue;
      await remove(cluster, object, signal);
      (object.finalizers.length > 0 ? held : removed).push(object);
    }
  }
  return { removed, held };
}

/** "ClusterRoleBinding tka-user-alice-binding (cluster-admin)". */
export function describeLegacy({ kind: what, namespace, name, role }: LegacyObject): string {
  const where = namespace === undefined ? name : `${namespace}/${name}`;
  return role === undefined ? `${what} ${where}` : `${what} ${where} (${role})`;
}

async function remove(cluster: LegacyCluster, object: LegacyObject, signal: AbortSignal): Promise<void> {
  const { name, namespace = '', uid } = object;
  const body = { preconditions: { uid } };
  try {
    switch (object.kind) {
      case 'ClusterRoleBinding':
        await cluster.rbac.deleteClusterRoleBinding({ name, body }, during(signal));
        break;
      case 'ServiceAccount':
        await cluster.core.deleteNamespacedServiceAccount({ name, namespace, body }, during(signal));
        break;
      case 'TkaSignin':
        await cluster.custom.deleteNamespacedCustomObject(
          { group, version, plural, namespace, name, body },
          during(signal),
        );
        break;
    }
  } catch (error) {
    if (!(error instanceof NotFoundError)) throw error;
  }
}

async function listBindings(
  { rbac }: LegacyCluster,
  signal: AbortSignal,
): Promise<readonly { readonly object: LegacyObject; readonly account: string }[]> {
  const found = await allPages((page) => rbac.listClusterRoleBinding(page, during(signal)));
  return found.flatMap((binding) => {
    const account = legacyAccountOf(binding);
    const { name, uid, finalizers = [] } = binding.metadata ?? {};
    if (account === undefined || name === undefined || uid === undefined) return [];
    const role = binding.roleRef.name;
    return [{ object: { kind: 'ClusterRoleBinding', namespace: undefined, name, uid, finalizers, role }, account }];
  });
}

/** NAMESPACE/NAME of the account a binding of the earlier product names; undefined for any other binding. */
function legacyAccountOf({ metadata, subjects }: V1ClusterRoleBinding): string | undefined {
  const [subject, ...others] = subjects ?? [];
  if (subject?.kind !== 'ServiceAccount' || others.length > 0) return undefined;
  if (!accountPattern.test(subject.name) || metadata?.name !== `${subject.name}-binding`) return undefined;
  if (metadata.labels?.[labels.managedBy] === managedByValue) return undefined;
  return `${subject.namespace ?? ''}/${subject.name}`;
}

async function listAccounts(
  { core }: LegacyCluster,
  owners: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<readonly LegacyObject[]> {
  const found = await allPages((page) => core.listServiceAccountForAllNamespaces(page, during(signal)));
  return found.flatMap((account) => {
    const { name, namespace, uid, finalizers = [] } = account.metadata ?? {};
    if (name === undefined || namespace === undefined || uid === undefined) return [];
    const isLegacy = accountPattern.test(name) && (owners.has(`${namespace}/${name}`) || isOwnedBySignin(account));
    return isLegacy ? [{ kind: 'ServiceAccount', namespace, name, uid, finalizers }] : [];
  });
}

function isOwnedBySignin({ metadata }: V1ServiceAccount): boolean {
  return (metadata?.ownerReferences ?? []).some(
    (owner) => owner.kind === kind && owner.apiVersion.startsWith(`${group}/`),
  );
}

const signinSchema = z.object({
  metadata: z.object({
    name: z.string(),
    namespace: z.string(),
    uid: z.string(),
    finalizers: z.array(z.string()).optional(),
  }),
  // Under this version's CRD the old period is pruned from what is read; a subject was never there.
  spec: z.object({ username: z.string(), role: z.string(), subject: z.undefined().optional() }),
});
const pageSchema = z.object({
  metadata: z.object({ continue: z.string().optional() }),
  items: z.array(z.unknown()),
});

async function listSignins(
  { custom }: LegacyCluster,
  signal: AbortSignal,
): Promise<readonly { readonly object: LegacyObject & { readonly username: string } }[]> {
  const found = await allPages(async (page) => {
    const answer: unknown = await custom.listCustomObjectForAllNamespaces(
      { group, version, resourcePlural: plural, ...page },
      during(signal),
    );
    const { metadata, items } = pageSchema.parse(answer);
    return { items, metadata: metadata.continue === undefined ? {} : { _continue: metadata.continue } };
  });
  return found.flatMap((item) => {
    const parsed = signinSchema.safeParse(item);
    if (!parsed.success) return [];
    const { metadata, spec } = parsed.data;
    const { name, namespace, uid, finalizers = [] } = metadata;
    const { role, username } = spec;
    return [{ object: { kind, namespace, name, uid, finalizers, role, username } }];
  });
}

interface PageQuery {
  readonly limit: number;
  readonly _continue?: string;
}

async function allPages<T>(
  read: (
    query: PageQuery,
  ) => Promise<{ readonly items: readonly T[]; readonly metadata?: { readonly _continue?: string } }>,
): Promise<readonly T[]> {
  const items: T[] = [];
  let from: string | undefined;
  do {
    const page = await read({ limit: 500, ...(from === undefined ? {} : { _continue: from }) });
    items.push(...page.items);
    from = page.metadata?._continue;
  } while (from !== undefined && from !== '');
  return items;
}

/** Undefined where the credential may not look. */
async function orHidden<T>(listing: Promise<T>): Promise<T | undefined> {
  try {
    return await listing;
  } catch (error) {
    if (error instanceof ForbiddenError) return undefined;
    throw error;
  }
}
