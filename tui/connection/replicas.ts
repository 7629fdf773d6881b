/**
 * Several machines that are one server: which replicas a trusted server names, and which of them may stand in for it.
 *
 * A replica is taken for one on that server's word alone, never on its own; it is the node that the word names, by stable node
 * ID, and carries the tags that the server carries. It is kept among the known servers, so that it is pinned like any other, and
 * goes when the server no longer names it.
 */
import type { Replica } from '../../node/http/contract.ts';
import { forgetServer, type KnownServer, readKnownServers, rememberServer } from '../trust/known-servers.ts';
import type { Runtime } from '../runtime.ts';
import type { Peer, Tailnet } from '../tailnet/types.ts';
import { isOfTailnet, judge, type Judgement, tailnetOf } from '../trust/trust.ts';

export interface Sibling extends Judgement {
  /** The origin. */
  readonly server: string;
}

/** The others of the same installation that are the machines they were, those that are online first. */
export function siblingsOf(
  server: string,
  known: readonly KnownServer[],
  tailnet: Tailnet | undefined,
): readonly Sibling[] {
  if (tailnet === undefined) return [];
  const here = known.filter((one) => isOfTailnet(one, tailnet));
  const group = groupOf(server, here);
  return here
    .filter((one) => one.server !== server && groupOf(one.server, here) === group)
    .map((one) => ({ server: one.server, ...judge(one.server, here, tailnet) }))
    .filter(({ trust }) => trust === 'pinned')
    .toSorted((a, b) => Number(b.peer?.online ?? false) - Number(a.peer?.online ?? false));
}

/** The trusted server on whose word this one is known, or itself. */
export function groupOf(server: string, known: readonly KnownServer[]): string {
  return known.find((one) => one.server === server)?.replicaOf ?? server;
}

export interface Learnt {
  /** The origin of a trusted server, or of a replica of it. */
  readonly server: string;
  readonly peer: Peer;
  readonly tailnet: Tailnet;
  readonly replicas: readonly Replica[];
}

/** Keeps which replicas there are; throws UserError where that cannot be written. */
export function learnReplicas(env: Runtime['env'], { server, peer, tailnet, replicas }: Learnt): void {
  const known = readKnownServers(env).filter((one) => isOfTailnet(one, tailnet));
  const group = groupOf(server, known);
  const cluster = known.find((one) => one.server === group)?.cluster;
  const named = new Set(replicas.slice(0, maxReplicas).map(({ node }) => node));
  for (const one of known) {
    if (one.replicaOf === group && !named.has(one.nodeId)) forgetServer(env, one.server, one);
  }
  for (const node of named) {
    const other = tailnet.peers.find(({ id }) => id === node);
    if (other === undefined || other.id === peer.id || other.shared === true || !isAlike(other, peer)) continue;
    const origin = originLike(server, other);
    const before = known.find((one) => one.server === origin);
    // The user trusts another machine of that name: only the user changes that.
    if (before !== undefined && (before.nodeId !== node || before.replicaOf === group)) continue;
    if (origin === undefined || origin === group || known.some((one) => one.server === group && one.nodeId === node))
      continue;
    const { id: nodeId, tags } = other;
    rememberServer(env, {
      server: origin,
      nodeId,
      tags,
      replicaOf: group,
      ...tailnetOf(tailnet),
      ...(cluster === undefined ? {} : { cluster }),
    });
  }
}

/** More than anybody runs. */
const maxReplicas = 16;

function isAlike(one: Peer, other: Peer): boolean {
  return one.tags.length === other.tags.length && one.tags.every((tag) => other.tags.includes(tag));
}

/** The replica's address in the form that the user has for the server: by name or by address, the same port and protocol. */
function originLike(server: string, { name, addresses }: Peer): string | undefined {
  const url = new URL(server);
  const isAddress = !/[a-z]/.test(url.hostname) || url.hostname.startsWith('[');
  const host = isAddress || name === '' ? addresses[0] : name;
  if (host === undefined) return undefined;
  url.hostname = host.includes(':') ? `[${host}]` : host;
  return url.origin;
}
