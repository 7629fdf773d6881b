/**
 * What a replica does for a session whose turn it is. The leader reconciles it. Everybody else leaves it to the leader, but for one
 * thing: access that somebody has revoked goes, whether there is a leader or not. So a session with a deletion timestamp
 * that no leader has removed for a second is removed by whoever sees it, which is safe at any time: what is deleted cannot
 * come back, and deletes carry UIDs.
 */
import type { Logger } from 'pino';
import { finalizer, type TkaSignin } from '../../crd/tkasignin.ts';
import { createApply } from './apply.ts';
import type { SigninCache } from '../informer/cache.ts';
import type { Clock } from '../clock.ts';
import type { Clients, Cluster } from '../cluster.ts';
import type { Damage } from './damage.ts';
import type { EndReasons } from './end-reasons.ts';
import { createEvents } from '../kubernetes/events.ts';
import type { Leadership } from '../election/leadership.ts';
import { reconcile, type ReconcileDeps } from './reconcile.ts';
import type { ReconcilerObserver } from '../reconciler.ts';
import type { Roles } from '../kubernetes/roles.ts';
import { createSignins } from '../kubernetes/tkasignin-client.ts';

export interface WorkerDeps {
  readonly cluster: Cluster;
  readonly namespace: string;
  readonly leadership: Leadership;
  readonly cache: SigninCache;
  readonly roles: Roles;
  readonly endReasons: EndReasons;
  readonly damage: Damage;
  readonly clock: Clock;
  readonly log: Logger;
  readonly observer: ReconcilerObserver;
  readonly sweepSoon: () => void;
  readonly stopping: AbortSignal;
}

export interface Worker {
  /** Resolves with when to look again though nothing happened, in milliseconds. */
  process(name: string): Promise<number | undefined>;
  /** Whether every object of the session is there, though its status may not say so yet. */
  isMade(uid: string): boolean;
  forget(uid: string): void;
}

/** A leader that is there takes a tenth of it. */
const leaderMs = 1000;

export function createWorker(deps: WorkerDeps): Worker {
  const { cache, clock, endReasons, leadership, stopping } = deps;
  /** UIDs of sessions whose objects are there and whose status is being written: a login need not wait for the latter. */
  const made = new Set<string>();
  /** Since when a session that was revoked has been waiting for the leader, by its UID. */
  const waiting = new Map<string, number>();

  const common = {
    ...deps,
    endingOf: (signin: TkaSignin) => endReasons.of(signin),
    async whileMade({ metadata: { name, uid } }: TkaSignin, work: () => Promise<void>): Promise<void> {
      made.add(uid);
      cache.touch(name);
      await work().finally(() => made.delete(uid));
    },
  };
  const handsOf = (clients: Clients): Omit<ReconcileDeps, 'signal'> => ({
    ...common,
    apply: createApply(clients),
    signins: createSignins(clients, deps.namespace),
    events: createEvents({ ...deps, cluster: clients }),
  });
  const leader = handsOf(leadership.clients);
  const follower = handsOf(deps.cluster);
  let current: { readonly term: AbortSignal; readonly signal: AbortSignal } | undefined;

  const signalOf = (term: AbortSignal): AbortSignal => {
    // One for each term: each is heard by its sources for as long as they live.
    if (current?.term !== term) current = { term, signal: AbortSignal.any([stopping, term]) };
    return current.signal;
  };

  const lead = async (name: string, term: AbortSignal): Promise<number | undefined> => {
    try {
      return await reconcile({ ...leader, signal: signalOf(term) }, name);
    } catch (error) {
      // The next leader looks at every session.
      if (term.aborted && !stopping.aborted) return undefined;
      throw error;
    }
  };

  const follow = async (name: string): Promise<number | undefined> => {
    const signin = cache.get(name);
    if (signin?.metadata.deletionTimestamp === undefined) return undefined;
    if (signin.metadata.finalizers?.includes(finalizer) !== true) return undefined;
    const { uid } = signin.metadata;
    // A clock that was set back must not lengthen the wait.
    const since = Math.min(waiting.get(uid) ?? Infinity, clock.now());
    waiting.set(uid, since);
    const leftMs = since + leaderMs - clock.now();
    if (leftMs > 0) return leftMs;
    return await reconcile({ ...follower, signal: stopping }, name);
  };

  return {
    async process(name) {
      const { term } = leadership;
      return term === undefined ? await follow(name) : await lead(name, term);
    },
    isMade: (uid) => made.has(uid),
    forget(uid) {
      waiting.delete(uid);
      leader.events.forget(uid);
      follower.events.forget(uid);
    },
  };
}
