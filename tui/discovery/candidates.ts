/**
 * Which servers may be tka servers: those of the configuration file, the trusted ones, and peers that look like one.
 * One machine is listed once, under the name that the user gave it. Only the local tailscaled is asked.
 */
import { parseServer } from '../config/server-url.ts';
import { type KnownServer, readKnownServers } from '../trust/known-servers.ts';
import type { Runtime } from '../runtime.ts';
import { readSettings } from '../config/settings.ts';
import type { Discovery } from '../config/types.ts';
import { readTailnet } from '../tailnet/tailnet.ts';
import { type Peer, type Tailnet, TailnetError } from '../tailnet/types.ts';
import { isOfTailnet, isSameService, judge, type Judgement } from '../trust/trust.ts';
import { routeTo } from '../tailnet/route.ts';

export interface Candidate extends Judgement {
  /** The server's origin. */
  readonly server: string;
  readonly source: 'configuration' | 'tailnet';
}

export interface Candidates {
  readonly candidates: readonly Candidate[];
  readonly tailnet?: Tailnet;
  readonly problem?: TailnetError;
}

export async function findCandidates(
  runtime: Pick<Runtime, 'env'>,
  {
    signal,
    config,
    named = [],
  }: {
    readonly signal: AbortSignal;
    readonly config?: string | undefined;
    /** Origins that the user named otherwise. */
    readonly named?: readonly string[] | undefined;
  },
): Promise<Candidates> {
  const known = readKnownServers(runtime.env);
  const [settings, tailnet] = await Promise.all([
    readSettings(runtime, config === undefined ? {} : { config }),
    readTailnet(runtime, { signal, config }).catch((error: unknown) => {
      if (error instanceof TailnetError) return error;
      throw error;
    }),
  ]);
  const reachable = tailnet instanceof TailnetError ? undefined : tailnet;
  const configured = [settings.server ?? [], settings.servers].flat();
  const servers = [
    ...named,
    ...configured.map((server) => parseServer(server, settings.path ?? 'the configuration file')),
  ];
  const found =
    reachable === undefined || settings.discovery === undefined
      ? []
      : await Promise.all(likely(reachable, settings.discovery).map((peer) => originOf(peer, reachable, runtime.env)));
  const all = [
    ...servers.map((server) => candidateAt(server, 'configuration', known, reachable)),
    // Those of another tailnet are for when this machine is there again.
    ...known.flatMap((pin) =>
      reachable === undefined || isOfTailnet(pin, reachable)
        ? candidateAt(pin.server, 'tailnet', known, reachable)
        : [],
    ),
    ...found.flatMap((server) => (server === undefined ? [] : candidateAt(server, 'tailnet', known, reachable))),
  ];
  return {
    candidates: all.filter((one, index) => !all.slice(0, index).some((before) => isSame(one, before))),
    ...(tailnet instanceof TailnetError ? { problem: tailnet } : { tailnet }),
  };
}

/** More than anybody has, and few enough to be asked in some seconds if a tailnet is full of such names. */
const maxFound = 64;

function candidateAt(
  server: string,
  source: Candidate['source'],
  known: readonly KnownServer[],
  tailnet: Tailnet | undefined,
): Candidate {
  return { server, source, ...judge(server, known, tailnet) };
}

function isSame(one: Candidate, other: Candidate): boolean {
  if (one.server === other.server) return true;
  return one.peer !== undefined && one.peer.id === other.peer?.id && isSameService(one.server, other.server);
}

/** Tags are the admin's word and come first; names are whatever the owner of a machine likes. */
function likely({ peers, suffix }: Tailnet, { tags, names }: Discovery): readonly Peer[] {
  const own = peers.filter(({ shared }) => shared !== true);
  const tagged = own.filter((peer) => peer.tags.some((tag) => tags.some((pattern) => matches(pattern, tag))));
  const named = own.filter((peer) => names.some((pattern) => matches(pattern, shortName(peer, suffix))));
  return [...new Set([...tagged, ...named])].slice(0, maxFound);
}

function shortName({ name, hostName }: Peer, suffix: string): string {
  if (name === '') return hostName.toLowerCase();
  return suffix !== '' && name.endsWith(`.${suffix}`) ? name.slice(0, -suffix.length - 1) : name;
}

/** `*` stands for any characters, or none. */
function matches(pattern: string, text: string): boolean {
  const parts = pattern.split('*').map((part) => part.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, String.raw`\$&`));
  return new RegExp(`^${parts.join('.*')}$`, 'i').test(text);
}

/** By name where this machine, or the proxy in between, knows what it means; else by address. */
async function originOf(peer: Peer, network: Tailnet, env: Runtime['env']): Promise<string | undefined> {
  const named = peer.name === '' ? undefined : `http://${peer.name}`;
  const isNamed =
    network.namesResolve || (named !== undefined && (await routeTo(named, { env, network })).proxy !== undefined);
  if (named !== undefined && isNamed) return named;
  const [address] = peer.addresses;
  if (address === undefined) return named;
  return `http://${address.includes(':') ? `[${address}]` : address}`;
}
