/**
 * The address by which kubectl reaches a cluster on the tailnet. A name that does not resolve on this machine to the node that
 * has it (`tailscale up --accept-dns=false`, no MagicDNS) gives way to the node's address, and stays the name that the
 * certificate is checked for.
 */
import { isIP } from 'node:net';
import { peerAt, type Tailnet } from '../tailnet/types.ts';

export interface KubectlAddress {
  readonly url: string;
  /** For `tls-server-name`; absent where the URL has the name. */
  readonly serverName?: string;
}

/** Resolves to the addresses of a name; empty where it has none. */
export type Lookup = (name: string) => Promise<readonly string[]>;

/** `network`: undefined where kubectl goes through a proxy, which resolves names, or tailscaled does not tell. */
export async function kubectlAddress(
  url: string,
  network: Tailnet | undefined,
  lookup: Lookup = lookUp,
): Promise<KubectlAddress> {
  const { hostname } = new URL(url);
  if (network === undefined || isIP(hostname.replaceAll(/^\[|\]$/g, '')) !== 0) return { url };
  const addresses = peerAt(network, hostname)?.addresses ?? [];
  const [address] = addresses;
  if (address === undefined) return { url };
  const found = await lookup(hostname);
  if (found.some((one) => addresses.includes(one))) return { url };
  const moved = new URL(url);
  moved.hostname = address.includes(':') ? `[${address}]` : address;
  return { url: moved.href.replace(/\/$/, ''), serverName: hostname };
}

/** A name server that does not answer must not hold a login for long. */
const lookupMs = 2000;

async function lookUp(name: string): Promise<readonly string[]> {
  const { lookup } = await import('node:dns/promises');
  const { promise: late, resolve } = Promise.withResolvers<readonly string[]>();
  const timer = setTimeout(() => resolve([]), lookupMs);
  const found = lookup(name, { all: true }).then(
    (all) => all.map(({ address }) => address),
    () => [],
  );
  try {
    return await Promise.race([found, late]);
  } finally {
    clearTimeout(timer);
  }
}
