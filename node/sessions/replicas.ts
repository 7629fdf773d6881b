/**
 * Settings for several replicas: the Lease, this replica's name on it, its times, and what each replica publishes there about itself:
 * its tailnet node.
 *
 * A server tells its callers its replicas. A caller that trusts one of them can recognize the others by their stable node IDs, which no
 * other machine can have.
 */
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import * as z from 'zod';
import { createLeaseStore } from '../../reconciler/election/lease.ts';
import type { Replicas } from '../../reconciler/election/leadership.ts';
import type { Replica } from '../http/contract.ts';
import type { Kubernetes } from '../kubernetes/connection.ts';
import { electionLease } from '../kubernetes/access.ts';
import type { Config } from '../config/settings.ts';
import type { NodeState } from '../tsnet/node.ts';

const cardPrefix = 'replica.tka.specht-labs.de/';
const cardSchema = z.object({ name: z.string().min(1) });

/** Undefined for a single replica. */
export function replicasOf(
  config: Config,
  cluster: Pick<Kubernetes, 'apart'>,
  node: () => Pick<NodeState, 'stableNodeId' | 'dnsName'> | undefined,
): Replicas | undefined {
  if (!config['replicas.election']) return undefined;
  const leaseMs = config['replicas.leaseSeconds'] * 1000;
  const own = config['replicas.identity'];
  return {
    // A renewal must not wait behind a hundred logins.
    store: createLeaseStore(cluster.apart, electionLease),
    identity: own === '' ? `${hostname()}_${randomBytes(8).toString('hex')}` : own,
    leaseMs,
    renewDeadlineMs: (leaseMs * 2) / 3,
    retryMs: (leaseMs * 2) / 15,
    card() {
      const { stableNodeId = '', dnsName = '' } = node() ?? {};
      // Nothing to publish before the node is on the tailnet.
      if (stableNodeId === '' || dnsName === '') return undefined;
      return { key: `${cardPrefix}${stableNodeId}`, value: JSON.stringify({ name: dnsName }) };
    },
  };
}

/** How long news of the tailnet may take from one replica's node to another's: seconds, where both reach the control server. */
export function newsMs(replicas: Replicas | undefined): number {
  return replicas === undefined ? 0 : 60_000;
}

/** All replicas, this one included, by name. Other annotations of the Lease are ignored. */
export function listReplicas(cards: Readonly<Record<string, string>>): readonly Replica[] {
  return Object.entries(cards)
    .flatMap(([key, value]): readonly Replica[] => {
      if (!key.startsWith(cardPrefix)) return [];
      const card = cardSchema.safeParse(parsed(value));
      return card.success ? [{ node: key.slice(cardPrefix.length), name: card.data.name }] : [];
    })
    .toSorted((a, b) => (a.name < b.name ? -1 : Number(a.name > b.name)));
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
