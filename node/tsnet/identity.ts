/**
 * How long a WhoIs answer may be believed. An answer is good for FRESH_MS, or until a hint that peers have changed; the
 * next question after that goes to the engine, one at a time however many wait. A connection belongs to whom it belonged
 * at its start: once an answer names another node, node key or subject, it is destroyed and so says every question after.
 */
import { IdentityChangedError } from './errors.ts';
import type { Identity } from './peer.ts';

export const FRESH_MS = 10_000;

export interface PinnedIdentityDependencies {
  /** The answer that came with the connection, and when. */
  readonly first: Identity;
  readonly takenAtMs: number;
  readonly ask: () => Promise<Identity>;
  readonly nowMs: () => number;
  /** Grows with every hint that peers have changed. */
  readonly hints: () => number;
  /** Ends the connection. */
  readonly destroy: (error: Error) => void;
}

export function pinIdentity(deps: PinnedIdentityDependencies): () => Promise<Identity> {
  let current = { identity: deps.first, atMs: deps.takenAtMs, hints: deps.hints() };
  let asking: Promise<Identity> | undefined;
  let changed: IdentityChangedError | undefined;

  async function ask(): Promise<Identity> {
    // Taken before the question: a hint or time that passes while it is under way counts against the answer.
    const [atMs, hints] = [deps.nowMs(), deps.hints()];
    const identity = await deps.ask();
    if (pinOf(identity) !== pinOf(deps.first)) {
      changed = new IdentityChangedError(`the caller is no longer ${deps.first.nodeName || 'who it was'}`);
      deps.destroy(changed);
      throw changed;
    }
    current = { identity, atMs, hints };
    return identity;
  }

  return async () => {
    if (changed) throw changed;
    const isFresh = deps.nowMs() - current.atMs < FRESH_MS && deps.hints() === current.hints;
    if (isFresh) return current.identity;
    // A question under way when a hint arrives may have been answered before the change: ask again after it.
    if (asking) {
      const answer = await asking;
      if (deps.hints() === current.hints) return answer;
    }
    asking ??= ask().finally(() => {
      asking = undefined;
    });
    return asking;
  };
}

/** What must stay: the node, its key, and whether a user (and which) or tags speak for it. */
function pinOf({ nodeId, nodeKey, user }: Identity): string {
  return JSON.stringify([nodeId, nodeKey, user ? user.id : null]);
}
