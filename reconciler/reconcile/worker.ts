/**
 * The queue's handler. On the leader it reconciles the session. On the other replicas it does nothing, with one exception: a session
 * that is being revoked must lose its access even without a leader, so a TkaSignin whose deletion no leader has handled for a
 * second is handled by every replica that sees it. That is safe at any time: deleted access cannot come back, and deletes carry UIDs.
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
  /** Resolves with the delay in milliseconds until the next run, or undefined for none. */
  process(name: string): Promise<number | undefined>;
  /** Whether all objects of the session exist, though its status may not say so yet. */
  isMade(uid: string): boolean;
  forget(uid: string): void;
}

/** A running leader needs a tenth of it. */
const leaderMs = 1000;

export function createWorker(deps: WorkerDeps): Worker {
  const { cache, clock, endReasons, leadership, stopping } = deps;
  /** UIDs of sessions whose objects exist and whose status is being written: a login need not wait for the write. */
  const made = new Set<string>();
  /** When each revoked session began to wait for the leader, by UID. */
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
    // One for each term: a combined signal stays registered with its sources for their lifetime.
    if (current?.term !== term) current = { term, signal: AbortSignal.any([stopping, term]) };
    return current.signal;
  };

  const lead = async (name: string, term: AbortSignal): Promise<number | undefined> => {
    try {
      return await reconcile({ ...leader, signal: signalOf(term) }, name);
    } catch (error) {
      // The next leader processes every session.
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
