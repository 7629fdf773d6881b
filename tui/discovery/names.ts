/**
 * The names of clusters, as lists show them and --cluster takes them: unique, and never another's. A trusted server
 * keeps the name that it had then; of others with one name, each gets its host's name appended.
 */
import { slug } from '../kubeconfig/slug.ts';
import type { Cluster } from './types.ts';
import type { ServerAnswer } from './ask.ts';
import type { Candidate } from './candidates.ts';

export interface Asked {
  readonly candidate: Candidate;
  /** Undefined while it is asked. */
  readonly answer: ServerAnswer | undefined;
}

/** Sorted by name. */
export function nameClusters(asked: readonly Asked[]): readonly Cluster[] {
  const asking = asked.map((one) => ({ ...one, preferred: preferredNameOf(one) }));
  const taken = new Set<string>();
  const named = asking
    // Those with a right to their name first, then in an order that does not hang on who answers first.
    .toSorted((a, b) => rank(a.candidate) - rank(b.candidate) || compare(a.candidate.server, b.candidate.server))
    .map(({ candidate, answer, preferred }) => {
      const rivals = asking.filter(
        (other) => other.preferred === preferred && rank(other.candidate) <= rank(candidate),
      ).length;
      const name = unique(rivals > 1 ? withSuffix(preferred, hostLabel(candidate)) : preferred, taken);
      return toCluster(name, candidate, answer);
    });
  return named.toSorted((a, b) => compare(a.name, b.name));
}

function toCluster(
  name: string,
  { server, source, peer, trust }: Candidate,
  answer: ServerAnswer | undefined,
): Cluster {
  const known = { name, server, source, trust, ...(peer === undefined ? {} : { peer }) };
  if (answer === undefined) return { ...known, answer: { state: 'asking' } };
  if (answer.state === 'away') return { ...known, answer };
  const { state, version, modes, labels } = answer;
  return { ...known, answer: { state, version, modes, labels } };
}

function preferredNameOf({ candidate, answer }: Asked): string {
  if (candidate.trust === 'pinned' && candidate.pin?.cluster !== undefined) return candidate.pin.cluster;
  return answer?.state === 'here' ? answer.cluster : (candidate.pin?.cluster ?? hostLabel(candidate));
}

function rank({ trust, source }: Candidate): number {
  if (trust === 'pinned') return 0;
  return source === 'configuration' ? 1 : 2;
}

function hostLabel({ server }: Candidate): string {
  const { hostname, port } = new URL(server);
  const isName = /[a-z]/.test(hostname) && !hostname.startsWith('[');
  return slug(`${isName ? (hostname.split('.', 1)[0] ?? '') : hostname}${port === '' ? '' : `-${port}`}`);
}

function unique(name: string, taken: Set<string>): string {
  let free = name;
  for (let number = 2; taken.has(free); number += 1) free = withSuffix(name, String(number));
  taken.add(free);
  return free;
}

function withSuffix(name: string, suffix: string): string {
  const end = `-${suffix.slice(0, 31)}`;
  return slug(`${name.slice(0, 63 - end.length)}${end}`);
}

function compare(one: string, other: string): number {
  return one < other ? -1 : Number(one > other);
}
