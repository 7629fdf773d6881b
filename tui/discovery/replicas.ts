/**
 * Replicas of one server are one cluster in a list: those that are known on its word, and those that name each other. One
 * that names others without being named by them stays what it is, a server of its own: anybody can name anybody.
 */
import type { Asked } from './names.ts';

/** In the same order; of each group one is left, with the answer of whichever answers. */
export function mergeReplicas(asked: readonly Asked[]): readonly Asked[] {
  const groups: Asked[][] = [];
  for (const one of asked) {
    const group = groups.find((members) => members.some((other) => areReplicas(one, other)));
    if (group === undefined) groups.push([one]);
    else group.push(one);
  }
  return groups.map((members) => {
    const [first] = members.toSorted((a, b) => rank(a) - rank(b));
    const here = members.find(({ answer }) => answer?.state === 'here');
    // A group has at least the one that it began with.
    const shown = first as Asked;
    return {
      candidate: shown.candidate,
      answer: shown.answer?.state === 'here' ? shown.answer : (here ?? shown).answer,
    };
  });
}

function areReplicas(one: Asked, other: Asked): boolean {
  const groups = [groupOf(one), groupOf(other)];
  if (groups[0] !== undefined && groups[0] === groups[1]) return true;
  const [isNamed, names] = [doesName(other, one), doesName(one, other)];
  // The word of a trusted one is enough.
  return (isNamed && (names || isPinned(other))) || (names && isPinned(one));
}

function groupOf({ candidate: { pin, trust } }: Asked): string | undefined {
  return trust === 'pinned' ? (pin?.replicaOf ?? pin?.server) : undefined;
}

function doesName({ answer }: Asked, { candidate: { peer } }: Asked): boolean {
  return answer?.state === 'here' && peer !== undefined && answer.replicas.includes(peer.id);
}

function isPinned({ candidate: { trust } }: Asked): boolean {
  return trust === 'pinned';
}

/** The trusted one stands for all of them; else one that answers. */
function rank({ candidate: { trust, pin }, answer }: Asked): number {
  if (trust === 'pinned') return pin?.replicaOf === undefined ? 0 : 1;
  return answer?.state === 'here' ? 2 : 3;
}
