/**
 * Whether a server is the machine that its user agreed to: the node that the local tailscaled sees behind its name, against
 * what is pinned. Decides nothing about what follows (connect.ts does).
 */
import type { Trust } from './clusters.ts';
import type { KnownServer } from './known-servers.ts';
import { type Peer, peerAt, type Tailnet } from './tailnet.ts';

export interface Judgement {
  readonly trust: Trust;
  readonly peer?: Peer;
  /** What was agreed to under this very origin. */
  readonly pin?: KnownServer;
}

/** `tailnet`: undefined where it cannot be asked. */
export function judge(server: string, known: readonly KnownServer[], tailnet: Tailnet | undefined): Judgement {
  const pin = known.find((one) => one.server === server);
  const peer = tailnet === undefined ? undefined : peerAt(tailnet, new URL(server).hostname);
  const judged = { ...(pin === undefined ? {} : { pin }), ...(peer === undefined ? {} : { peer }) };
  if (tailnet === undefined) return { trust: 'unverifiable', ...judged };
  // A name that was a node's and is no node's any more resolves to whatever DNS says by now.
  if (pin !== undefined) return { trust: peer !== undefined && isPinned(peer, pin) ? 'pinned' : 'changed', ...judged };
  if (peer === undefined) return { trust: 'unverifiable' };
  const elsewhere = known.some((one) => isPinned(peer, one) && isSameService(one.server, server));
  return { trust: elsewhere ? 'pinned' : 'new', ...judged };
}

/** Two origins of one machine are one server only if the same program answers: on http and https, or on the same port. */
export function isSameService(one: string, other: string): boolean {
  const service = (server: string): string => {
    const { port } = new URL(server);
    return port === '80' || port === '443' ? '' : port;
  };
  return service(one) === service(other);
}

/** `node nXYZ, tag:tka`: as questions and refusals name a machine. */
export function describeNode(node: { readonly id: string; readonly tags: readonly string[] }): string {
  return [`node ${node.id}`, ...(node.tags.length === 0 ? ['without tags'] : node.tags)].join(', ');
}

function isPinned(peer: Peer, { nodeId, tags }: KnownServer): boolean {
  return peer.id === nodeId && peer.tags.length === tags.length && peer.tags.every((tag) => tags.includes(tag));
}
