/**
 * From the user's settings to a server's API: which server, whether it is trusted, and the route to it. The caller
 * closes the connection.
 *
 * A node that the local tailscaled knows is connected to by its address there, so that no DNS has a say in who it is; it
 * is pinned once it has answered as a tka server does.
 */
import type { Replica } from '../../node/http/contract.ts';
import { checkTrust } from '../trust/consent.ts';
import { type Api, createApi, explainAbsent } from '../api/api.ts';
import { type ChooseFlags, chooseServer } from './choose-server.ts';
import { explainUnreachable, isDown, mayBeOnTailnet } from './explain-unreachable.ts';
import type { Interaction } from '../terminal/interaction.ts';
import { isClusterName } from '../config/flag-values.ts';
import { withoutSecrets } from '../api/proxy.ts';
import type { Runtime } from '../runtime.ts';
import { type KubectlAddress, kubectlAddress } from '../kubeconfig/kubectl-address.ts';
import { observeApi } from './observed-api.ts';
import type { Peer } from '../tailnet/types.ts';
import { createPin } from './pin.ts';
import { learnReplicas } from './replicas.ts';
import { findTarget, sameAs, suffixesOf, type Target } from './target.ts';
import { type SameServer, sameServersAmong } from '../trust/same-server.ts';
import { createTransport, type Transport } from '../api/transport.ts';
import { describeNode, type Judgement, type Trust } from '../trust/trust.ts';
import { isDirect, routeTo } from '../tailnet/route.ts';

export interface Connection {
  /** The server's origin. */
  readonly server: string;
  readonly api: Api;
  /** The proxy in between, fit to be written to a file. */
  readonly proxy: string | undefined;
  /** Whether this machine has a way of its own to the URL, past its proxy settings. */
  readonly goesDirect: (url: string) => boolean;
  /** The same cluster by what kubectl resolves on this machine. */
  readonly addressFor: (url: string) => Promise<KubectlAddress>;
  close(): void;
}

export interface Remembered {
  /** The server of a login before; default: what the user's kubeconfig remembers. */
  readonly server?: string | undefined;
  /** Used where the environment names no proxy at all. */
  readonly proxy?: string | undefined;
}

export interface ReachOptions {
  /** `act`: what the server says will change this machine or be handed to kubectl. `look`: it is only shown. */
  readonly purpose: 'act' | 'look';
  readonly interaction?: Interaction | undefined;
  readonly remembered?: Remembered;
  readonly warn: (line: string) => void;
  /** Hears what is waited for, when that takes longer than people wait in silence. */
  readonly onWait?: ((line: string) => void) | undefined;
  readonly signal: AbortSignal;
}

export interface Reached extends Connection {
  /** The tailnet node behind the server, as far as the local tailscaled knows it. */
  readonly peer?: Peer;
  readonly trust: Trust;
  /** It was a server that this command can use at a login before. */
  readonly isKnown: boolean;
  /** Whether two origins are one server, by what is pinned, and by the node that this one is now. */
  readonly isSame: SameServer;
  /** Keeps the name of the cluster with the pin, where there is one. */
  named(cluster: string): void;
  /** The origin of the replica that answers in the server's place, where one does. */
  standIn(): string | undefined;
  /** Stores which replicas a trusted server names. */
  replicated(replicas: readonly Replica[]): void;
}

/** Throws UserError: usage (2) if the server is ambiguous, denied (3) if it is not trusted, TailnetError (4). */
export async function reach(runtime: Runtime, flags: ChooseFlags, options: ReachOptions): Promise<Reached> {
  const { purpose, interaction, remembered = {}, warn, onWait, signal } = options;
  const choice = { purpose, interaction, remembered: remembered.server, signal };
  const target = await findTarget(runtime, flags, await chooseServer(runtime, flags, choice), signal);
  const { server, tailnet, judged } = target;
  const pin = createPin(runtime, target, warn);
  const { network } = target;
  const routing = { env: runtime.env, network, peer: judged.peer, recorded: remembered.proxy };
  const { proxy } = await routeTo(server, routing);
  let trust = target.isGone ? 'pinned' : judged.trust;
  if (trust === 'pinned') {
    // The trusted machine, or a replica that it named.
  } else if (purpose === 'look') warnOfChange(target, warn);
  else if ((await checkTrust({ ...judged, ...target, isProxied: proxy !== undefined }, interaction)) === 'confirmed') {
    pin.keep();
    trust = 'pinned';
  }

  let standIn: string | undefined;
  const transport = await transportTo(runtime, target, {
    proxy: remembered.proxy,
    onMove(other) {
      standIn = other;
      warn(`${server} does not answer: using its replica ${other}`);
    },
  });
  const mayPin = purpose === 'act' && (trust === 'new' || (trust === 'pinned' && isOfBefore(judged)));
  const plainApi = createApi(transport, runtime.env['TRACEPARENT']);
  return {
    server,
    isKnown: judged.pin?.cluster !== undefined,
    api: observeApi(plainApi, {
      explainAbsent: (error) => explainAbsent(plainApi, server, error, signal),
      onWait: () => (onWait ?? warn)(`Waiting for ${server} to answer ...`),
      onAnswer: () => {
        if (mayPin) pin.keepOnce();
      },
      explain: async (error) => {
        if (tailnet === undefined) return error;
        return explainUnreachable(error, {
          server,
          hasProxy: proxy !== undefined,
          tailnet,
          suffixes: suffixesOf(target),
        });
      },
    }),
    proxy: proxy === undefined ? undefined : withoutSecrets(proxy),
    goesDirect: (url) => isDirect(url, network),
    addressFor: (url) => kubectlAddress(url, isDirect(url, network) ? network : undefined),
    ...(judged.peer === undefined ? {} : { peer: judged.peer }),
    trust,
    isSame: trust === 'pinned' || mayPin ? sameAs(target) : sameServersAmong(target.known),
    standIn: () => standIn,
    named(cluster) {
      if ((mayPin || trust === 'pinned') && isClusterName(cluster)) pin.name(cluster);
    },
    replicated(replicas) {
      const { peer } = judged;
      const tailnet = target.network;
      if (!(mayPin || trust === 'pinned') || tailnet === undefined || peer === undefined) return;
      pin.tries(() => learnReplicas(runtime.env, { server, peer, tailnet, replicas }));
    },
    close: () => transport.close(),
  };
}

/** To the server itself, or, where it has replicas, to whichever of them answers. */
async function transportTo(
  { env }: Pick<Runtime, 'env'>,
  target: Target,
  { proxy, onMove }: { readonly proxy: string | undefined; readonly onMove: (server: string) => void },
): Promise<Transport> {
  const { server, judged, network, siblings, isGone } = target;
  const isHopeless = (origin: string, peer: Peer | undefined, proxy: URL | undefined): boolean => {
    if (peer !== undefined) return !peer.online;
    return (
      proxy === undefined && isDown(target.tailnet) && mayBeOnTailnet(new URL(origin).hostname, suffixesOf(target))
    );
  };
  const open = async (origin: string, peer: Peer | undefined): Promise<Transport> => {
    const route = await routeTo(origin, { env, network, peer, recorded: proxy });
    const connectMs = isHopeless(origin, peer, route.proxy) ? hopelessMs : undefined;
    return createTransport(new URL(origin), route.proxy, route.addresses, connectMs);
  };
  const all = [...(isGone ? [] : [{ server, peer: judged.peer }]), ...siblings];
  const [first, ...others] = all
    .toSorted((a, b) => Number(b.peer?.online ?? true) - Number(a.peer?.online ?? true))
    .map((one) => ({ server: one.server, open: () => open(one.server, one.peer) }));
  if (first === undefined || siblings.length === 0) return open(server, judged.peer);
  const { createFailover } = await import('./failover.ts');
  return createFailover({
    server: new URL(server),
    replicas: [first, ...others],
    onMove,
  });
}

/** What tailscaled says may be a moment old, so it is still tried, but not for long. */
const hopelessMs = 1500;

function warnOfChange({ server, judged: { trust, peer } }: Target, warn: ReachOptions['warn']): void {
  if (trust !== 'changed') return;
  const now = peer === undefined ? 'no machine of this tailnet' : describeNode(peer);
  warn(`${server} has changed its identity: it is now ${now}`);
}

/** Pinned by a version that did not record the tailnet: now it is known. */
function isOfBefore({ pin }: Judgement): boolean {
  return pin !== undefined && pin.tailnet === undefined;
}

/** Timeout of read-only calls: an unreachable server must not block them for long. */
export const lookMs = 5000;
