/**
 * Why a server cannot be reached, as far as the local tailscaled knows: this machine is off its tailnet, the node is offline
 * or unknown, or it is there and tka does not answer. A server that has nothing to do with a tailnet is left alone.
 */
import { isIP } from 'node:net';
import { levenshtein } from '../config/levenshtein.ts';
import { PassingError, ProxyError, UnreachableError } from '../errors.ts';
import { type Peer, peerAt, type Tailnet, TailnetError } from '../tailnet/types.ts';

export interface Situation {
  /** The origin. */
  readonly server: string;
  readonly hasProxy: boolean;
  /** What the local tailscaled said, or why it said nothing. */
  readonly tailnet: Tailnet | TailnetError;
  /** MagicDNS suffixes of tailnets that servers were pinned on: one of one's own need not end in ts.net. */
  readonly suffixes?: readonly string[];
}

/** The same error with more to it: its message stays at the beginning, its advice at the end. */
export function explainUnreachable(error: UnreachableError, situation: Situation): UnreachableError {
  if (error instanceof ProxyError) return error;
  const explanation = explain(situation);
  if (explanation === undefined) return error;
  const { reason, advice } = explanation;
  // What tailscaled knows does not pass while a command waits.
  const Kind = error instanceof PassingError && explanation.isFinal !== true ? PassingError : UnreachableError;
  // Whether this machine is on the tailnet, and what its policy says, is answered better here.
  const rest = error.advice.filter((line) => !/tailscale status|tailnet policy|nothing listens/.test(line));
  return new Kind(`${error.message}: ${reason}`, [...advice, ...rest], error);
}

interface Explanation {
  readonly reason: string;
  readonly advice: readonly string[];
  /** No later attempt will find it otherwise. */
  readonly isFinal?: boolean;
}

function explain({ server, hasProxy, tailnet, suffixes = [] }: Situation): Explanation | undefined {
  const { hostname } = new URL(server);
  if (tailnet instanceof TailnetError) {
    // With a proxy into the tailnet, this machine needs none of its own.
    if ((tailnet.problem === 'absent' && hasProxy) || !mayBeOnTailnet(hostname, suffixes)) return undefined;
    return { reason: tailnet.message, advice: tailnet.advice, isFinal: isDown(tailnet) };
  }
  const peer = peerAt(tailnet, hostname);
  if (peer === undefined) {
    const isOfTailnet = tailnet.suffix !== '' && hostname.endsWith(`.${tailnet.suffix}`);
    return isOfTailnet || mayBeOnTailnet(hostname) ? unknownPeer(hostname, tailnet) : undefined;
  }
  const name = peer.name === '' ? peer.hostName : peer.name;
  if (peer.expired === true) {
    return { reason: `the node key of ${name} has expired`, advice: ['Its admin has to renew it.'], isFinal: true };
  }
  if (!peer.online) {
    const advice = ['The server is offline. Contact its admin or retry later.'];
    return { reason: `${name} is offline`, advice, isFinal: true };
  }
  if (tailnet.userspace === true && !hasProxy) {
    const advice = ['Set HTTP_PROXY and HTTPS_PROXY to the proxy that it listens at (--outbound-http-proxy-listen).'];
    return { reason: 'tailscaled has no network interface on this machine', advice };
  }
  return {
    reason: `${name} is online, but nothing answers there`,
    advice: ["Check that tka runs on it, and that the tailnet's policy lets you reach its ports 80 and 443."],
  };
}

/** This machine is off its tailnet, by its own word. */
export function isDown(tailnet: Tailnet | TailnetError | undefined): boolean {
  return tailnet instanceof TailnetError && (tailnet.problem === 'logged-out' || tailnet.problem === 'stopped');
}

function unknownPeer(hostname: string, tailnet: Tailnet): Explanation {
  const near = nearest(hostname, tailnet);
  return {
    reason: `no machine of this tailnet has the ${isIP(hostname) === 0 ? 'name' : 'address'} ${hostname}`,
    advice: [
      ...(near.length === 0 ? [] : [`Did you mean ${near.map(({ name }) => name).join(' or ')}?`]),
      'List the servers: tka clusters',
    ],
  };
}

/** Machines whose name is nearly this one, or that look like tka. */
function nearest(hostname: string, { peers }: Tailnet): readonly Peer[] {
  const label = hostname.split('.', 1)[0] ?? '';
  const scored = peers
    .filter(({ name, shared }) => name !== '' && shared !== true)
    .map((peer) => ({ peer, steps: levenshtein(label, peer.name.split('.', 1)[0] ?? '') }));
  const close = scored.filter(({ steps }) => steps <= Math.max(1, Math.floor(label.length / 3)));
  const alike = close.length > 0 ? close : scored.filter(({ peer }) => peer.name.startsWith('tka'));
  return alike
    .toSorted((a, b) => a.steps - b.steps)
    .slice(0, 3)
    .map(({ peer }) => peer);
}

/** A name without a dot, one under Tailscale's own domain, or an address of its ranges; any other may be anywhere. */
export function mayBeOnTailnet(hostname: string, suffixes: readonly string[] = []): boolean {
  if (hostname.startsWith('[fd7a:115c:a1e0:')) return true;
  const [, second] = /^100\.(\d+)\.\d+\.\d+$/.exec(hostname) ?? [];
  if (second !== undefined) return Number(second) >= 64 && Number(second) < 128;
  if (hostname === 'localhost' || hostname.startsWith('[') || isIP(hostname) !== 0) return false;
  return !hostname.includes('.') || ['ts.net', ...suffixes].some((suffix) => hostname.endsWith(`.${suffix}`));
}
