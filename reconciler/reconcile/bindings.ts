/**
 * A session's bindings at the API server, where users with rights in a namespace may write too.
 *
 * A binding that does not name the session's own account grants the session nothing: it counts as absent for a removal, and a
 * binding to be created uses the next of its names. So no object that a user writes keeps a session from ending or being repaired.
 */
import type { V1RoleBinding } from '@kubernetes/client-node';
import { bindingNames } from '../../crd/tkasignin.ts';
import { type Clients, during } from '../cluster.ts';
import { gone, isHeld, preconditions, stillThere } from '../kubernetes/deletes.ts';
import { type DesiredBinding, grantsTheSame, namesAccount } from './desired.ts';
import { ApiUnavailableError, ConflictError, HeldError, NotFoundError } from '../errors.ts';

type Where = Pick<DesiredBinding, 'name' | 'namespace'>;

export interface Bindings {
  /** Creates the binding, under another of its names where an object that is not tka's has the first; replaces one that drifted. */
  createBinding(binding: DesiredBinding, signal: AbortSignal): Promise<void>;
  /** Removes every binding of the session's account under one of the binding's names. */
  deleteBinding(binding: DesiredBinding, signal: AbortSignal): Promise<void>;
  /** Removes the binding of this name, whatever is in it. */
  deleteBindingNamed(where: Where, signal: AbortSignal): Promise<void>;
}

export function createBindings(cluster: Clients): Bindings {
  const api = createApi(cluster);

  const readOrUndefined = async (where: Where, signal: AbortSignal): Promise<V1RoleBinding | undefined> => {
    try {
      return await api.read(where, signal);
    } catch (error) {
      if (error instanceof NotFoundError) return undefined;
      throw error;
    }
  };

  const remove = async (where: Where, found: V1RoleBinding, signal: AbortSignal): Promise<void> => {
    await gone(async () => {
      await api.delete(where, preconditions(found), signal);
      if (isHeld(found)) throw stillThere(await api.read(where, signal), describe(where));
    });
  };

  /** Whether the binding exists under this name now; false: the name is taken. */
  const createAs = async (binding: DesiredBinding, signal: AbortSignal): Promise<boolean> => {
    try {
      await api.create(binding, signal);
      return true;
    } catch (error) {
      if (!(error instanceof ConflictError)) throw error;
      const found = await api.read(binding, signal).catch(orConflict(error));
      // A binding that is being deleted may be gone the next moment.
      if (grantsTheSame(found, binding.object)) return found.metadata?.deletionTimestamp === undefined;
      if (!namesAccount(found, binding)) return false;
      try {
        // A roleRef cannot be changed.
        await remove(binding, found, signal);
        await api.create(binding, signal);
        return true;
      } catch (cause) {
        signal.throwIfAborted();
        if (cause instanceof ApiUnavailableError) throw cause;
        return false;
      }
    }
  };

  return {
    async createBinding(binding, signal) {
      for (const name of bindingNames(binding.name)) {
        if (await createAs(renamed(binding, name), signal)) return;
      }
      throw new HeldError(
        `${describe(binding)} and its other names are taken by bindings that are not tka's: delete them`,
      );
    },
    async deleteBinding(binding, signal) {
      let failure: unknown;
      for (const name of bindingNames(binding.name)) {
        const where = { name, namespace: binding.namespace };
        const found = await readOrUndefined(where, signal);
        if (found === undefined) {
          // Later names are used only where the one before is taken.
          if (name !== binding.name) break;
          continue;
        }
        if (!namesAccount(found, binding)) continue;
        try {
          await remove(where, found, signal);
        } catch (error) {
          signal.throwIfAborted();
          if (error instanceof ApiUnavailableError) throw error;
          failure ??= error;
          continue;
        }
        if (grantsTheSame(found, binding.object)) break;
      }
      if (failure !== undefined) throw failure;
    },
    async deleteBindingNamed(where, signal) {
      const found = await readOrUndefined(where, signal);
      if (found !== undefined) await remove(where, found, signal);
    },
  };
}

interface Api {
  create(binding: DesiredBinding, signal: AbortSignal): Promise<unknown>;
  read(where: Where, signal: AbortSignal): Promise<V1RoleBinding>;
  delete(where: Where, preconditions: { readonly uid?: string }, signal: AbortSignal): Promise<unknown>;
}

/** One interface for ClusterRoleBindings and RoleBindings. */
function createApi({ rbac }: Clients): Api {
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

function renamed(binding: DesiredBinding, name: string): DesiredBinding {
  const { object } = binding;
  return {
    ...binding,
    name,
    object: Object.assign({}, object, { metadata: Object.assign({}, object.metadata, { name }) }),
  };
}

function describe({ name, namespace }: Where): string {
  return namespace === undefined ? `ClusterRoleBinding ${name}` : `RoleBinding ${namespace}/${name}`;
}

/** Deleted between the two requests: the pass is retried. */
function orConflict(conflict: ConflictError): (error: unknown) => never {
  return (error) => {
    throw error instanceof NotFoundError ? conflict : error;
  };
}
