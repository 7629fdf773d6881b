/**
 * Which ClusterRoles and namespaces exist, and what a role allows. Found ones are cached for 10 s, so that consecutive logins ask
 * once; missing ones are looked up each time, so that creating them takes effect at once.
 *
 * Rejects with ForbiddenError for a role that tka may not bind.
 */
import type { V1ClusterRole, V1PolicyRule } from '@kubernetes/client-node';
import { type Clock, withSignal } from '../clock.ts';
import { type Clients, during } from '../cluster.ts';
import { NotFoundError } from '../errors.ts';

export interface Roles {
  /** Its rules, or undefined where the ClusterRole does not exist. */
  rulesOf(role: string, signal: AbortSignal): Promise<readonly V1PolicyRule[] | undefined>;
  namespaceExists(namespace: string, signal: AbortSignal): Promise<boolean>;
}

const believedMs = 10_000;
/** Deadline of a look-up that several callers wait for; each of them leaves by its own signal. */
const lookupMs = 10_000;

export function createRoles(cluster: Clients, clock: Clock): Roles {
  const role = remember(
    clock,
    async (name: string, signal) => await cluster.rbac.readClusterRole({ name }, during(signal)),
  );
  const namespace = remember(
    clock,
    async (name: string, signal) => await cluster.core.readNamespace({ name }, during(signal)),
  );
  return {
    async rulesOf(name, signal) {
      const found: V1ClusterRole | undefined = await role(name, signal);
      return found === undefined ? undefined : (found.rules ?? []);
    },
    async namespaceExists(name, signal) {
      const found = await namespace(name, signal);
      return found !== undefined && found.metadata?.deletionTimestamp === undefined;
    },
  };
}

function remember<T>(
  clock: Clock,
  read: (name: string, signal: AbortSignal) => Promise<T>,
): (name: string, signal: AbortSignal) => Promise<T | undefined> {
  const known = new Map<string, { readonly at: number; readonly answer: Promise<T | undefined> }>();
  return async (name, signal) => {
    const now = clock.now();
    const before = known.get(name);
    // An entry from the future means that the clock was set back.
    if (before !== undefined && now >= before.at && now - before.at < believedMs)
      return await withSignal(before.answer, signal);
    for (const [other, { at }] of known) if (now < at || now - at >= believedMs) known.delete(other);
    const answer = read(name, AbortSignal.timeout(lookupMs)).catch((error: unknown) => {
      known.delete(name);
      if (error instanceof NotFoundError) return undefined;
      throw error;
    });
    known.set(name, { at: now, answer });
    return await withSignal(answer, signal);
  };
}
