/** The server to connect to, as far as this machine and its tailscaled know it. */
import { isThisMachine } from '../config/server-url.ts';
import type { GlobalFlags } from '../flags.ts';
import type { Runtime } from '../runtime.ts';
import { readTailnet } from '../tailnet/tailnet.ts';
import { type Tailnet, TailnetError } from '../tailnet/types.ts';
import { type KnownServer, readKnownServers } from '../trust/known-servers.ts';
import { type SameServer, sameServersAmong } from '../trust/same-server.ts';
import { isOfTailnet, judge, type Judgement, tailnetOf } from '../trust/trust.ts';
import type { Chosen } from './choose-server.ts';
import { type Sibling, siblingsOf } from './replicas.ts';

export interface Target extends Pick<Chosen, 'server' | 'byHand'> {
  /** What the local tailscaled said, or why it said nothing; undefined where it has no say. */
  readonly tailnet: Tailnet | TailnetError | undefined;
  readonly network: Tailnet | undefined;
  readonly problem: TailnetError | undefined;
  readonly known: readonly KnownServer[];
  readonly judged: Judgement;
  /** Its replicas, if it is trusted. */
  readonly siblings: readonly Sibling[];
  /** Its node has left the tailnet, and a replica is there. */
  readonly isGone: boolean;
}

export async function findTarget(
  runtime: Runtime,
  { config }: GlobalFlags,
  { server, byHand, found }: Chosen,
  signal: AbortSignal,
): Promise<Target> {
  const tailnet = isThisMachine(server) ? undefined : (heardBy(found) ?? (await askTailnet(runtime, config, signal)));
  const problem = tailnet instanceof TailnetError ? tailnet : undefined;
  const network = tailnet instanceof TailnetError ? undefined : tailnet;
  const known = readKnownServers(runtime.env);
  const judged = judge(server, known, network);
  const isAbsent = judged.trust === 'changed' && judged.peer === undefined;
  const siblings = isAbsent || judged.trust === 'pinned' ? siblingsOf(server, known, network) : [];
  const isGone = isAbsent && siblings.length > 0;
  return { server, byHand, tailnet, network, problem, known, judged, siblings, isGone };
}

/** As if the server were pinned by this name already. */
export function sameAs({ server, known, network, judged: { peer } }: Target): SameServer {
  if (network === undefined || peer === undefined) return sameServersAmong(known);
  const others = known.filter((one) => one.server !== server || !isOfTailnet(one, network));
  const { id: nodeId, tags } = peer;
  const before = known.find((one) => one.server === server && one.nodeId === nodeId && isOfTailnet(one, network));
  return sameServersAmong([...others, before ?? { server, nodeId, tags, ...tailnetOf(network) }]);
}

/** What the search for the server heard already. */
function heardBy(found: Chosen['found']): Tailnet | TailnetError | undefined {
  return found?.problem instanceof TailnetError ? found.problem : found?.tailnet;
}

async function askTailnet(
  runtime: Runtime,
  config: string | undefined,
  signal: AbortSignal,
): Promise<Tailnet | TailnetError> {
  try {
    return await readTailnet(runtime, { signal, config });
  } catch (error) {
    if (error instanceof TailnetError) return error;
    throw error;
  }
}

/** Of the tailnets that this machine has pinned servers on. */
export function suffixesOf({ known }: Target): readonly string[] {
  return known.flatMap(({ tailnet = '' }) => (tailnet === '' ? [] : tailnet));
}
