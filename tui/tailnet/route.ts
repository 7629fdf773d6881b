/**
 * The way to a server. A node of this machine's own tailnet is reached directly, past the machine's proxy settings, where the
 * machine has an interface into that tailnet: no other proxy leads there. Everything else is as those settings say.
 */
import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import { proxyFor } from '../api/proxy.ts';
import type { Runtime } from '../runtime.ts';
import { type Peer, peerAt, type Tailnet } from './types.ts';

export interface Route {
  readonly proxy: URL | undefined;
  /** What the server's name means, where that is known better than by asking DNS. */
  readonly addresses: readonly string[];
}

export interface RouteOptions {
  readonly env: Runtime['env'];
  /** Undefined where no tailscaled tells. */
  readonly network: Tailnet | undefined;
  /** The node behind the server. */
  readonly peer?: Peer | undefined;
  /** A proxy of a login before, used where the environment names none at all. */
  readonly recorded?: string | undefined;
}

export async function routeTo(server: string, { env, network, peer, recorded }: RouteOptions): Promise<Route> {
  const addresses = network?.userspace === true ? [] : (peer?.addresses ?? []);
  const proxy = isDirect(server, network) ? undefined : await proxyFor(server, env, recorded);
  return { proxy, addresses };
}

/** Whether no proxy is needed, nor would help. `own`: the addresses of this machine. */
export function isDirect(url: string, network: Tailnet | undefined, own = ownAddresses): boolean {
  if (network === undefined || network.userspace === true || !isOfTailnet(new URL(url).hostname, network)) return false;
  // A container may see its host's tailscaled without having its interface.
  const here = new Set(own());
  return network.self.addresses.some((address) => here.has(address));
}

function isOfTailnet(hostname: string, network: Tailnet): boolean {
  if (peerAt(network, hostname) !== undefined) return true;
  const host = hostname.replace(/\.$/, '');
  if (host.startsWith('[')) return host.startsWith('[fd7a:115c:a1e0:');
  const [, second] = /^100\.(\d+)\.\d+\.\d+$/.exec(host) ?? [];
  if (second !== undefined) return Number(second) >= 64 && Number(second) < 128;
  return isIP(host) === 0 && network.suffix !== '' && host.endsWith(`.${network.suffix}`);
}

function ownAddresses(): readonly string[] {
  return Object.values(networkInterfaces()).flatMap((addresses) => (addresses ?? []).map(({ address }) => address));
}
