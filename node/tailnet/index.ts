/**
 * The server's own tailnet node: created from the configuration, its state changes in the log, its names for the Host allow-list, its
 * listeners.
 */
import type { Server } from 'node:http';
import type { Logger } from 'pino';
import type { ClusterInfo } from '../http/contract.ts';
import type { Config } from '../config/settings.ts';
import { ConfigError } from '../config/index.ts';
import { EngineRequestError, JoinError, createNode } from '../tsnet/index.ts';
import type { Stops } from '../process/stop.ts';
import type { Decider } from '../tsnet/decider.ts';
import type { NodeOptions, NodeState, StateStore, TailnetNode } from '../tsnet/node.ts';

export interface TailnetParts {
  readonly join: NonNullable<NodeOptions['join']>;
  /** Replaces the state directory. */
  readonly state: StateStore | undefined;
}

/** Throws an EngineNotFoundError where there is no engine. */
export function startTailnetNode(config: Config, log: Logger, { join, state }: TailnetParts): TailnetNode {
  const node = createNode({
    hostname: config['tailscale.hostname'],
    capabilities: [config['tailscale.capName']],
    ephemeral: config['tailscale.ephemeral'],
    tags: config['tailscale.tags'],
    join,
    ...(state === undefined ? { stateDir: config['tailscale.stateDir'] } : { state }),
    ...(config['tailscale.controlUrl'] === '' ? {} : { controlUrl: config['tailscale.controlUrl'] }),
    ...(config['tailscale.caFile'] === '' ? {} : { caFile: config['tailscale.caFile'] }),
    log: (level, message) => log[level]({ component: 'engine' }, message),
  });
  node.on('state', createStateLog(log));
  return node;
}

/** Rejects when the node fails for good; never resolves. */
export function failureOf(node: TailnetNode): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>();
  node.on('state', ({ status }) => {
    // whenReady knows the error in its own type.
    if (status === 'Failed') node.whenReady().catch(reject);
  });
  promise.catch(() => {});
  return promise;
}

/** A missing credential of a node that has not joined is an error of the configuration. */
export function asConfigError(error: unknown): unknown {
  const cause = error instanceof JoinError ? error.cause : undefined;
  if (!(cause instanceof EngineRequestError) || cause.code !== 'NoCredential') return error;
  return new ConfigError(cause.message, { cause: error });
}

/** Logs each relevant change of the node's state once. */
export function createStateLog(log: Logger): (state: NodeState) => void {
  let told = '';
  return ({ status, ready, authUrl, reason, dnsName, addresses, keyExpiry }) => {
    const isServing = status === 'Running' && ready;
    const line = JSON.stringify(isServing ? [dnsName, addresses] : [status, authUrl, reason]);
    // A restarting node reports each step; the reason was logged when it went down.
    if (line === told || (status === 'Restarting' && reason === undefined)) return;
    told = line;
    if (authUrl !== undefined) {
      log.warn(
        { authUrl },
        'the tailnet node waits for a person to approve it: open the URL, or start with an auth key',
      );
    } else if (isServing) {
      log.info({ dnsName, addresses, keyExpiry }, 'on the tailnet');
    } else if (status === 'Failed') {
      log.error({ reason }, 'the tailnet node has failed');
    } else if (reason !== undefined && status !== 'Stopped') {
      log.warn({ status, reason }, 'the tailnet node is not ready');
    } else {
      log.info({ status }, 'tailnet node');
    }
  };
}

/** Every name and address the node may be called by, lower case; IPv6 in brackets, as in a Host header. */
export function ownNamesOf(state: Named): readonly string[] {
  // Called for each request; a state object never changes, so its names are cached.
  let names = knownNames.get(state);
  if (names === undefined) {
    names = namesIn(state);
    knownNames.set(state, names);
  }
  return names;
}

type Named = Pick<NodeState, 'dnsName' | 'addresses' | 'certDomains'>;

const knownNames = new WeakMap<Named, readonly string[]>();

function namesIn({ dnsName, addresses, certDomains }: Named): readonly string[] {
  const names = [dnsName, ...certDomains].map((name) => name.toLowerCase()).filter((name) => name !== '');
  const shortName = names[0]?.split('.', 1) ?? [];
  const hosts = addresses.map((address) => (address.includes(':') ? `[${address.toLowerCase()}]` : address));
  return [...new Set([...names, ...shortName, ...hosts])];
}

/** How kubectl reaches the proxy: port 443 of the node, which always speaks TLS; undefined before the node has a name. */
export function proxyInfoOf(
  { dnsName, certDomains, caPem }: NodeState,
  place: 'root' | 'prefix',
): ClusterInfo | undefined {
  const name = certDomains[0] ?? dnsName;
  if (name === '') return undefined;
  return {
    server_url: place === 'root' ? `https://${name}` : `https://${name}/k8s`,
    insecure_skip_tls_verify: false,
    ca_data: caPem === undefined ? '' : Buffer.from(caPem).toString('base64'),
    labels: {},
  };
}

/** Opens the listeners; resolves when they are open and the node is ready. The API is on both ports, TLS on 443 alone. */
export async function listen(
  node: TailnetNode,
  { port, server, decider }: { readonly port: number; readonly server: Server; readonly decider: Decider | undefined },
  stops: Stops,
  signal: AbortSignal,
): Promise<void> {
  const listening = listenersOf(port).map(async ({ port, tls }) => {
    const listener = await node.listen(port, { tls, ...(tls && decider !== undefined ? { decider } : {}) });
    listener.attach(server);
    stops.add(`port ${port}`, () => listener.close());
  });
  await Promise.all([...listening, node.whenReady(signal)]);
}

/** The ports to listen on: 443 always speaks TLS, the other one is the plain API inside of WireGuard. */
export function listenersOf(port: number): readonly { readonly port: number; readonly tls: boolean }[] {
  return port === 443
    ? [{ port: 443, tls: true }]
    : [
        { port, tls: false },
        { port: 443, tls: true },
      ];
}
