/**
 * Starts the reconciler: everything that belongs to sessions at the API server happens in here.
 *
 * A login goes signIn → queue → reconcile → plan → apply. The caller of startReconciler owns the result and stops it;
 * the Cluster stays the caller's.
 */
import type { Logger } from 'pino';
import { endOf } from '../crd/parse.ts';
import { finalizer, type TkaSignin } from '../crd/tkasignin.ts';
import { createApply } from './apply.ts';
import { SigninCache } from './cache.ts';
import { type Clock, systemClock } from './clock.ts';
import type { Cluster } from './cluster.ts';
import { NotFoundError, SessionNotFoundError, SessionNotReadyError } from './errors.ts';
import { desired } from './desired.ts';
import { createEvents } from './events.ts';
import { Expiry } from './expiry.ts';
import { Informer } from './informer.ts';
import type { Observed } from './plan.ts';
import { reconcile } from './reconcile.ts';
import type { Reconciler, ReconcilerObserver } from './reconciler.ts';
import { createRoles } from './roles.ts';
import { createSignIn } from './sign-in.ts';
import { createSignins } from './signins.ts';
import { startSweeper } from './sweeper.ts';
import { createTokens } from './tokens.ts';
import { createUsable, readyOrThrow } from './usable.ts';
import { WorkQueue } from './workqueue.ts';

export interface ReconcilerDeps {
  readonly cluster: Cluster;
  /** Where TkaSignins and accounts live; its name is the installation's ID too. */
  readonly namespace: string;
  readonly log: Logger;
  readonly observer: ReconcilerObserver;
  /**
   * Told at least once, as soon as this process knows that a session is over or being ended: whatever it has open elsewhere
   * must end too. `reason` as `end` takes it, `expired`, or `revoked` where somebody else ended it.
   */
  readonly onEnding?: (signin: TkaSignin, reason: string) => void;
  readonly clock?: Clock;
  /** Uniform in [0, 1). */
  readonly random?: () => number;
  /** Sessions worked on at once. */
  readonly concurrency?: number;
}

export function startReconciler(deps: ReconcilerDeps): Reconciler {
  const { cluster, namespace, log, observer } = deps;
  const { clock = systemClock, random = Math.random, concurrency = 32, onEnding = () => {} } = deps;
  const stopping = new AbortController();
  const { signal } = stopping;
  const endings = new Map<string, string>();
  const damage = new Map<string, Observed>();
  /** UIDs of sessions whose objects are there and whose status is being written: a login need not wait for the latter. */
  const made = new Set<string>();

  const signins = createSignins(cluster, namespace);
  const apply = createApply(cluster);
  const roles = createRoles(cluster, clock);
  const events = createEvents({ cluster, clock, log });
  const tokens = createTokens({ cluster, clock, onMinted: (seconds) => observer.tokenMinted(seconds) });

  const queue = new WorkQueue({
    clock,
    random,
    concurrency,
    process: async (name) =>
      await reconcile(
        {
          cache,
          signins,
          apply,
          roles,
          events,
          clock,
          log,
          observer,
          signal,
          takeObserved(uid) {
            const found = damage.get(uid) ?? new Map();
            damage.delete(uid);
            return found;
          },
          endingOf: (uid) => endings.get(uid),
          sweepSoon: () => sweeper.soon(),
          async whileMade(signin, work) {
            made.add(signin.metadata.uid);
            cache.touch(name);
            await work().finally(() => made.delete(signin.metadata.uid));
          },
        },
        name,
      ),
    onRetry(name, error, attempt, delayMs) {
      if (signal.aborted) return;
      observer.retried();
      log.warn({ err: error, session: name, attempt, delayMs: Math.round(delayMs) }, 'a pass failed, trying again');
    },
  });

  const expiry = new Expiry({
    clock,
    onDue(name) {
      queue.add(name);
      const signin = cache.get(name);
      if (signin !== undefined && endOf(signin) <= clock.now()) onEnding(signin, 'expired');
    },
  });

  const cache = new SigninCache({
    onChange(signin, before) {
      const { name } = signin.metadata;
      if (before === undefined || endOf(before) !== endOf(signin)) expiry.add(name, endOf(signin));
      if (before === undefined || !isStatusOnly(before, signin)) queue.add(name);
      if (signin.metadata.deletionTimestamp !== undefined && before?.metadata.deletionTimestamp === undefined) {
        onEnding(signin, endings.get(signin.metadata.uid) ?? 'revoked');
      }
    },
    onGone(signin, how) {
      const { name, uid } = signin.metadata;
      onEnding(signin, endings.get(uid) ?? 'revoked');
      observer.cleanupStuck(name, false);
      tokens.forget(uid);
      usable.forget(uid);
      events.forget(uid);
      damage.delete(uid);
      endings.delete(uid);
      // Another replica was quicker, or somebody took our hold away and did not wait for us to remove the access.
      if (how === 'vanished' && !signal.aborted) sweeper.soon();
    },
  });

  const informer = new Informer({
    cluster,
    namespace,
    cache,
    clock,
    random,
    log,
    onListed() {
      const all = cache.list();
      expiry.rebuild(all.map((signin) => ({ name: signin.metadata.name, at: endOf(signin) })));
      for (const signin of all) queue.add(signin.metadata.name);
      if (!synced) sweeper.soon();
      synced = true;
    },
  });
  let synced = false;

  const sweeper = startSweeper({
    cluster,
    namespace,
    cache,
    signins,
    apply,
    clock,
    log,
    observer,
    onDamage(signin, observed) {
      damage.set(signin.metadata.uid, observed);
      usable.forget(signin.metadata.uid);
      queue.add(signin.metadata.name);
    },
  });
  informer.start();
  const usable = createUsable({
    cluster,
    clock,
    cache,
    tokens,
    roles,
    isMade: (uid) => made.has(uid),
    lookAgain: async (name) => await queue.processed(name),
    stopping: signal,
  });
  const signIn = createSignIn({
    cache,
    signins,
    clock,
    enqueue: (name) => queue.add(name),
    announceEnd: (uid, reason) => endings.set(uid, reason),
    stopping: signal,
  });

  const provisioned = (name: string): TkaSignin => {
    const signin = cache.get(name);
    if (signin === undefined) throw new SessionNotFoundError(name);
    if (readyOrThrow(name, signin, clock.now()) !== undefined) return signin;
    throw new SessionNotReadyError(name, `session ${name} is not provisioned yet`);
  };

  return {
    signIn,
    get: (name) => cache.get(name),
    list: () => cache.list(),

    usable: async (name, caller) => await usable(name, AbortSignal.any([caller, signal])),

    async end(name, reason, caller) {
      const signin = cache.get(name) ?? (await readOrUndefined(name, caller));
      if (signin === undefined) return;
      const { uid } = signin.metadata;
      endings.set(uid, reason);
      onEnding(signin, reason);
      try {
        const left = await signins.delete(signin, { unchanged: false }, caller);
        if (left !== undefined) cache.written(left);
        queue.add(name);
      } catch (error) {
        endings.delete(uid);
        if (!(error instanceof NotFoundError)) throw error;
        // Somebody stripped our finalizer: what it stood for is removed here.
        const { account, bindings } = desired(signin);
        const results = await Promise.allSettled([
          apply.deleteAccount(account, caller),
          ...bindings.map(async (binding) => await apply.deleteBinding(binding, caller)),
        ]);
        for (const result of results) if (result.status === 'rejected') throw result.reason;
        cache.released(signin);
        return;
      }
      const asked = AbortSignal.any([caller, signal]);
      await cache.until(name, (now) => (isHeldByUs(now, uid) ? undefined : true), asked);
    },

    token: async (name, caller) => await tokens.get(provisioned(name), caller),
    keptToken: async (name, caller) => await tokens.kept(provisioned(name), caller),

    async roleExists(role, caller) {
      return (await roles.rulesOf(role, caller)) !== undefined;
    },
    namespaceExists: async (other, caller) => await roles.namespaceExists(other, caller),

    get state() {
      return {
        synced,
        lastListAt: informer.lastListAt,
        lastWatchEventAt: informer.lastWatchEventAt,
        queueDepth: queue.depth,
        foreign: informer.foreign,
        nextEndAt: expiry.next,
      };
    },

    async stop() {
      stopping.abort(new Error('the reconciler was stopped'));
      expiry.stop();
      await Promise.all([informer.stop(), queue.stop(), sweeper.stop()]);
    },
  };

  async function readOrUndefined(name: string, caller: AbortSignal): Promise<TkaSignin | undefined> {
    try {
      const found = await signins.read(name, caller);
      cache.written(found);
      return found;
    } catch (error) {
      if (error instanceof NotFoundError) return undefined;
      throw error;
    }
  }
}

function isHeldByUs(signin: TkaSignin | undefined, uid: string): boolean {
  return signin?.metadata.uid === uid && signin.metadata.finalizers?.includes(finalizer) === true;
}

/** Nothing that a pass acts on has changed. */
function isStatusOnly(before: TkaSignin, after: TkaSignin): boolean {
  return (
    before.metadata.generation === after.metadata.generation &&
    before.metadata.deletionTimestamp === after.metadata.deletionTimestamp &&
    before.metadata.finalizers?.join() === after.metadata.finalizers?.join()
  );
}
