/**
 * Carries actions on a session's ServiceAccount and bindings out. Every one may be repeated: what is there already is
 * looked at and kept if it is right, what is gone already is done. Deletes carry the UID of what was looked at.
 */
import type { V1RoleBinding, V1ServiceAccount } from '@kubernetes/client-node';
import { labels } from '../crd/tkasignin.ts';
import { type Clients, during } from './cluster.ts';
import { type Desired, type DesiredBinding, grantsTheSame } from './desired.ts';
import { ConflictError, HeldError, NotFoundError } from './errors.ts';

export interface Apply {
  createAccount(account: Desired['account'], signal: AbortSignal): Promise<void>;
  createBinding(binding: DesiredBinding, signal: AbortSignal): Promise<void>;
  /** Deletes the binding and makes it again: a roleRef cannot be changed. */
  replaceBinding(binding: DesiredBinding, signal: AbortSignal): Promise<void>;
  deleteAccount(
    account: { readonly metadata: { readonly name: string; readonly namespace: string } },
    signal: AbortSignal,
  ): Promise<void>;
  deleteBinding(binding: Pick<DesiredBinding, 'name' | 'namespace'>, signal: AbortSignal): Promise<void>;
}

export function createApply(cluster: Clients): Apply {
  const bindings = createBindings(cluster);
  const apply: Apply = {
    async createAccount(account, signal) {
      const { name, namespace } = account.metadata;
      try {
        await cluster.core.createNamespacedServiceAccount({ namespace, body: account }, during(signal));
      } catch (error) {
        if (!(error instanceof ConflictError)) throw error;
        const found = await cluster.core.readNamespacedServiceAccount({ name, namespace }, during(signal));
        assertUsable(found, account);
      }
    },
    async createBinding(binding, signal) {
      try {
        await bindings.create(binding, signal);
      } catch (error) {
        if (!(error instanceof ConflictError)) throw error;
        const found = await bindings.read(binding, signal);
        if (!grantsTheSame(found, binding.object)) await apply.replaceBinding(binding, signal);
      }
    },
    async replaceBinding(binding, signal) {
      await apply.deleteBinding(binding, signal);
      await bindings.create(binding, signal);
    },
    async deleteAccount({ metadata: { name, namespace } }, signal) {
      await gone(async () => {
        const found = await cluster.core.readNamespacedServiceAccount({ name, namespace }, during(signal));
        const body = { preconditions: preconditions(found) };
        await cluster.core.deleteNamespacedServiceAccount({ name, namespace, body }, during(signal));
        if (!isHeld(found)) return;
        const left = await cluster.core.readNamespacedServiceAccount({ name, namespace }, during(signal));
        throw stillThere(left, `ServiceAccount ${namespace}/${name}`);
      });
    },
    async deleteBinding({ name, namespace }, signal) {
      await gone(async () => {
        const found = await bindings.read({ name, namespace }, signal);
        await bindings.delete({ name, namespace }, preconditions(found), signal);
        if (!isHeld(found)) return;
        const left = await bindings.read({ name, namespace }, signal);
        throw stillThere(
          left,
          namespace === undefined ? `ClusterRoleBinding ${name}` : `RoleBinding ${namespace}/${name}`,
        );
      });
    },
  };
  return apply;
}

interface Bindings {
  create(binding: DesiredBinding, signal: AbortSignal): Promise<unknown>;
  read(binding: Pick<DesiredBinding, 'name' | 'namespace'>, signal: AbortSignal): Promise<V1RoleBinding>;
  delete(
    binding: Pick<DesiredBinding, 'name' | 'namespace'>,
    preconditions: { readonly uid?: string },
    signal: AbortSignal,
  ): Promise<unknown>;
}

/** ClusterRoleBindings and RoleBindings through one door. */
function createBindings({ rbac }: Clients): Bindings {
  return {
    async create({ namespace, object: body }, signal) {
      return namespace === undefined
        ? await rbac.createClusterRoleBinding({ body }, during(signal))
        : await rbac.createNamespacedRoleBinding({ namespace, body }, during(signal));
    },
    async read({ name, namespace }, signal) {
      return namespace === undefined
        ? await rbac.readClusterRoleBinding({ name }, during(signal))
        : await rbac.readNamespacedRoleBinding({ name, namespace }, during(signal));
    },
    async delete({ name, namespace }, preconditions, signal) {
      const body = { preconditions };
      return namespace === undefined
        ? await rbac.deleteClusterRoleBinding({ name, body }, during(signal))
        : await rbac.deleteNamespacedRoleBinding({ name, namespace, body }, during(signal));
    },
  };
}

async function gone(remove: () => Promise<void>): Promise<void> {
  try {
    await remove();
  } catch (error) {
    if (!(error instanceof NotFoundError)) throw error;
  }
}

function preconditions(found: V1ServiceAccount | V1RoleBinding): { readonly uid?: string } {
  const uid = found.metadata?.uid;
  return uid === undefined ? {} : { uid };
}

/** An account that is there already must be the session's own, and not on its way out. */
function assertUsable(found: V1ServiceAccount, wanted: Desired['account']): void {
  const what = `ServiceAccount ${wanted.metadata.namespace}/${wanted.metadata.name}`;
  if (found.metadata?.labels?.[labels.signinUid] !== wanted.metadata.labels?.[labels.signinUid]) {
    throw new HeldError(`${what} exists and belongs to no session of tka: delete it`);
  }
  if (found.metadata?.deletionTimestamp !== undefined) {
    throw new HeldError(`${what} is being deleted and held by ${held(found.metadata.finalizers)}`);
  }
}

/** A delete of what has finalizers only marks it. */
function isHeld(found: V1ServiceAccount | V1RoleBinding): boolean {
  return (found.metadata?.finalizers?.length ?? 0) > 0;
}

function stillThere(left: V1ServiceAccount | V1RoleBinding, what: string): HeldError {
  return new HeldError(`${what} was deleted but is held by ${held(left.metadata?.finalizers)}: remove what holds it`);
}

function held(finalizers: readonly string[] | undefined): string {
  return finalizers === undefined || finalizers.length === 0 ? 'nobody' : `finalizer ${finalizers.join(', ')}`;
}
