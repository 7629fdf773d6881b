/**
 * Applies actions to a session's ServiceAccount and bindings. Each may be repeated: an object that exists already is checked and
 * kept if it is right, one that is gone already counts as deleted. Deletes carry the UID of the object that was read.
 */
import type { V1ServiceAccount } from '@kubernetes/client-node';
import { labels } from '../../crd/tkasignin.ts';
import { type Bindings, createBindings } from './bindings.ts';
import { type Clients, during } from '../cluster.ts';
import { gone, heldBy, isHeld, preconditions, stillThere } from '../kubernetes/deletes.ts';
import type { Desired } from './desired.ts';
import { ConflictError, ForbiddenError, HeldError, NotFoundError } from '../errors.ts';

export interface Apply extends Bindings {
  createAccount(account: Desired['account'], signal: AbortSignal): Promise<void>;
  deleteAccount(
    account: { readonly metadata: { readonly name: string; readonly namespace: string } },
    signal: AbortSignal,
  ): Promise<void>;
}

export function createApply(cluster: Clients): Apply {
  return {
    ...createBindings(cluster),
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
    async deleteAccount({ metadata: { name, namespace } }, signal) {
      try {
        await gone(async () => {
          const found = await cluster.core.readNamespacedServiceAccount({ name, namespace }, during(signal));
          const body = { preconditions: preconditions(found) };
          await cluster.core.deleteNamespacedServiceAccount({ name, namespace, body }, during(signal));
          if (!isHeld(found)) return;
          const left = await cluster.core.readNamespacedServiceAccount({ name, namespace }, during(signal));
          throw stillThere(left, `ServiceAccount ${namespace}/${name}`);
        });
      } catch (error) {
        // tka's rights in a namespace end with it; the namespace controller removes the account.
        if (!(error instanceof ForbiddenError) || !(await isLeaving(cluster, namespace, signal))) throw error;
      }
    },
  };
}

/** Whether a namespace is being deleted, or gone. */
async function isLeaving(cluster: Clients, name: string, signal: AbortSignal): Promise<boolean> {
  try {
    const { metadata } = await cluster.core.readNamespace({ name }, during(signal));
    return metadata?.deletionTimestamp !== undefined;
  } catch (error) {
    if (error instanceof NotFoundError) return true;
    throw error;
  }
}

/** An account that exists already must be the session's own, and not be terminating. */
function assertUsable(found: V1ServiceAccount, wanted: Desired['account']): void {
  const what = `ServiceAccount ${wanted.metadata.namespace}/${wanted.metadata.name}`;
  if (found.metadata?.labels?.[labels.signinUid] !== wanted.metadata.labels?.[labels.signinUid]) {
    throw new HeldError(`${what} exists and belongs to no session of tka: delete it`);
  }
  if (found.metadata?.deletionTimestamp !== undefined) {
    throw new HeldError(`${what} is being deleted and held by ${heldBy(found.metadata.finalizers)}`);
  }
}
