/**
 * Deletes of objects that others may write too: by the UID that was read, and with an error of its own where a finalizer keeps the object.
 */
import type { V1RoleBinding, V1ServiceAccount } from '@kubernetes/client-node';
import { HeldError, NotFoundError } from '../errors.ts';

export async function gone(remove: () => Promise<void>): Promise<void> {
  try {
    await remove();
  } catch (error) {
    if (!(error instanceof NotFoundError)) throw error;
  }
}

export function preconditions(found: V1ServiceAccount | V1RoleBinding): { readonly uid?: string } {
  const uid = found.metadata?.uid;
  return uid === undefined ? {} : { uid };
}

/** A delete of what has finalizers only marks it. */
export function isHeld(found: V1ServiceAccount | V1RoleBinding): boolean {
  return (found.metadata?.finalizers?.length ?? 0) > 0;
}

export function stillThere(left: V1ServiceAccount | V1RoleBinding, what: string): HeldError {
  return new HeldError(`${what} was deleted but is held by ${heldBy(left.metadata?.finalizers)}: remove what holds it`);
}

export function heldBy(finalizers: readonly string[] | undefined): string {
  return finalizers === undefined || finalizers.length === 0 ? 'no finalizer' : `finalizer ${finalizers.join(', ')}`;
}
