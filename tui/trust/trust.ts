/**
 * Whether a server is the machine that its user trusts: the node that the local tailscaled sees behind its name, against
 * what is pinned. Decides nothing about what follows (consent.ts does).
 */
import { isSameTailnet, type KnownServer } from './known-servers.ts';
import { type Peer, peerAt, type Tailnet } from '../tailnet/types.ts';

/**
 * pinned: the node that the user trusts. new: never trusted. changed: another node or other tags than the trusted ones.
 * unverifiable: no local tailscaled knows which node it is.
 */
export type Trust = 'pinned' | 'new' | 'changed' | 'unverifiable';

export interface Judgement {
  readonly trust: Trust;
  readonly peer?: Peer;
  /** What is pinned for this very origin. */
  readonly pin?: KnownServer;
  /** The tailnet that the pin is of, where that is not this one. */
  readonly elsewhere?: string;
}

/** `tailnet`: undefined where it cannot be asked. */
export function judge(server: string, known: readonly KnownServer[], tailnet: Tailnet | undefined): Judgement {
  const pins = known.filter((one) => one.server === server);
  const here = tailnet === undefined ? undefined : pins.find((one) => isOfTailnet(one, tailnet));
  const pin = here ?? pins[0];
  const peer = tailnet === undefined ? undefined : peerAt(tailnet, new URL(server).hostname);
  const judged = {
    ...(pin === undefined ? {} : { pin }),
    ...(peer === undefined ? {} : { peer }),
    ...(tailnet === undefined || here !== undefined || pin?.tailnet === undefined ? {} : { elsewhere: pin.tailnet }),
  };
  if (tailnet === undefined) return { trust: 'unverifiable', ...judged };
  // A name that no node has any longer resolves to whatever DNS says.
  if (pin !== undefined) {
    return {
      trust: here !== undefined && peer !== undefined && isPinned(peer, here) ? 'pinned' : 'changed',
      ...judged,
    };
  }
  if (peer === undefined) return { trust: 'unverifiable' };
  const isKnown = known.some(
    (one) => isOfTailnet(one, tailnet) && isPinned(peer, one) && isSameService(one.server, server),
  );
  return { trust: isKnown ? 'pinned' : 'new', ...judged };
}

/** How a pin says of which tailnet it is. */
export function tailnetOf({ suffix, control }: Tailnet): Pick<KnownServer, 'tailnet' | 'control'> {
  return { tailnet: suffix, ...(control === undefined ? {} : { control }) };
}

export function isOfTailnet(pin: KnownServer, tailnet: Tailnet): boolean {
  return isSameTailnet(pin, tailnetOf(tailnet));
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
