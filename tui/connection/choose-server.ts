/**
 * Which server a command talks to: --server, else --cluster, else TKA_SERVER, else the configuration file, else the one of a
 * login before, else the one that is found on the tailnet (of several the person chooses; a script gets the only trusted
 * one, or is told to choose), else http://tka.
 */
import type { Cluster, Found } from '../discovery/index.ts';
import { namedServer, parseServer } from '../config/server-url.ts';
import { UnreachableError, usageError, UserError } from '../errors.ts';
import type { GlobalFlags } from '../flags.ts';
import type { Interaction } from '../terminal/interaction.ts';
import { isClusterName } from '../config/flag-values.ts';
import { readKnownServers } from '../trust/known-servers.ts';
import { printable } from '../terminal/output.ts';
import type { Runtime } from '../runtime.ts';
import { readSettings } from '../config/settings.ts';

export interface Chosen {
  /** The origin. */
  readonly server: string;
  /** The user named it, now or before; it was not found by discovery. */
  readonly byHand: boolean;
  /** The result of the search for it, to save another one. */
  readonly found?: Found;
}

export interface ChooseOptions {
  readonly purpose: 'act' | 'look';
  readonly interaction?: Interaction | undefined;
  /** The server of a login before; default: what the user's kubeconfig remembers. */
  readonly remembered?: string | undefined;
  readonly signal: AbortSignal;
}

export type ChooseFlags = GlobalFlags & { readonly kubeconfig?: string };

/** Throws a usage error if it is ambiguous, UnreachableError or TailnetError if none is found. */
export async function chooseServer(runtime: Runtime, flags: ChooseFlags, options: ChooseOptions): Promise<Chosen> {
  if (flags.cluster !== undefined && flags.server === undefined) return byName(runtime, flags, flags.cluster, options);
  const named = await namedServer(runtime, flags);
  if (named !== undefined) return { server: named, byHand: true };
  const before = options.remembered ?? (await remembered(runtime, flags));
  if (before !== undefined) return { server: parseServer(before, 'the kubeconfig'), byHand: true };
  return search(runtime, flags, options);
}

/** Only where nothing else names one: reading a kubeconfig takes the YAML parser, and a script waits for it. */
async function remembered({ env }: Runtime, { kubeconfig }: ChooseFlags): Promise<string | undefined> {
  const { lastServerHere } = await import('./last-server.ts');
  return lastServerHere(env, kubeconfig);
}

const defaultServer = 'http://tka';

async function byName(runtime: Runtime, flags: GlobalFlags, name: string, options: ChooseOptions): Promise<Chosen> {
  if (!isClusterName(name)) {
    throw usageError(`--cluster ${JSON.stringify(printable(name, 80))} is not a cluster name`, [listThem]);
  }
  // A trusted name needs no search, and no discovered server can take it.
  const known = readKnownServers(runtime.env).filter(
    ({ cluster, replicaOf }) => cluster === name && replicaOf === undefined,
  );
  const [first] = known;
  if (
    first !== undefined &&
    known.every(({ nodeId, tailnet }) => nodeId === first.nodeId && tailnet === first.tailnet)
  ) {
    return { server: first.server, byHand: false };
  }
  const found = await find(runtime, flags, options.signal);
  const cluster = found.clusters.find((one) => one.name === name);
  if (cluster !== undefined) return chosen(cluster, found);
  const names = found.clusters.filter(isHere).map((one) => one.name);
  if (names.length > 0) throw usageError(`no cluster is named ${name}; found: ${names.join(', ')}`, [listThem]);
  if (found.problem !== undefined) throw found.problem;
  throw noneFound(found, `no cluster is named ${name}, and no tka server answers`);
}

async function search(runtime: Runtime, flags: GlobalFlags, options: ChooseOptions): Promise<Chosen> {
  const { discovery } = await readSettings(runtime, flags);
  if (discovery === undefined) return { server: defaultServer, byHand: false };
  const found = await find(runtime, flags, options.signal);
  const here = found.clusters.filter(isHere);
  const [only, ...others] = here;
  if (only === undefined) {
    if (found.problem === undefined) throw noneFound(found, 'no tka server was found on this tailnet');
    if (options.purpose === 'act') throw withServer(found.problem);
    return { server: defaultServer, byHand: false, found };
  }
  if (others.length === 0) return chosen(only, found);
  return chosen(await oneOf(here, options.interaction), found);
}

async function oneOf(clusters: readonly Cluster[], interaction: Interaction | undefined): Promise<Cluster> {
  const names = clusters.map(({ name }) => name).join(', ');
  if (interaction === undefined) {
    // An unknown server on the tailnet must not break scripts that have worked so far.
    const [pinned, ...more] = clusters.filter(({ trust }) => trust === 'pinned');
    if (pinned !== undefined && more.length === 0) return pinned;
    throw usageError(`several clusters were found: ${names}`, ['Choose one: --cluster NAME, or --server URL.']);
  }
  const choices = clusters.map(({ name, server, trust }) => ({
    label: name,
    hint: trust === 'new' ? `${server}, not trusted yet` : server,
  }));
  const index = await interaction.choose({ title: 'Which cluster?' }, choices);
  const cluster = index === undefined ? undefined : clusters[index];
  if (cluster === undefined) throw new UserError('no cluster was chosen', [listThem]);
  return cluster;
}

async function find(runtime: Runtime, { config }: GlobalFlags, signal: AbortSignal): Promise<Found> {
  const { findClusters } = await import('../discovery/index.ts');
  return findClusters(runtime, { signal, config });
}

function chosen({ server, source }: Cluster, found: Found): Chosen {
  return { server, byHand: source === 'configuration', found };
}

function isHere({ answer }: Cluster): boolean {
  return answer.state === 'here';
}

const listThem = 'List them: tka clusters';
const nameIt = 'Name the server: --server URL, TKA_SERVER, or `tka config set server URL`.';

function noneFound({ clusters }: Found, message: string): UnreachableError {
  const away = clusters.flatMap(({ server, answer }) =>
    answer.state === 'away' ? [`${server}: ${answer.reason}`] : [],
  );
  return new UnreachableError(message, [
    ...away.slice(0, 5),
    ...(away.length > 5 ? [`and ${away.length - 5} more: tka clusters`] : []),
    'Discovery looks for machines tagged tag:tka* or named tka*, or as `discovery` in the configuration file says.',
    nameIt,
  ]);
}

/** A TailnetError keeps its class, for those who look at it. */
function withServer(problem: Error): Error {
  if (problem instanceof UserError) Object.assign(problem, { advice: [...problem.advice, nameIt] });
  return problem;
}
