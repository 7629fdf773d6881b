/**
 * Starts the reconciler: everything that belongs to sessions at the API server happens in here.
 *
 * A login goes signIn → queue → reconcile → plan → apply. The caller of startReconciler owns the result and stops it;
 * the Cluster stays the caller's.
 */
import type { Logger } from 'pino';
import { findCondition } from '../crd/conditions.ts';
import { endOf } from '../crd/parse.ts';
import { finalizer, type TkaSignin } from '../crd/tkasignin.ts';
import { untilAllowed } from './access.ts';
import { createApply } from './apply.ts';
import { SigninCache } from './cache.ts';
import { type Clock, sleep, systemClock, withSignal } from './clock.ts';
import type { Cluster } from './cluster.ts';
import {
  NotFoundError,
  SessionEndingError,
  SessionFailedError,
  SessionNotFoundError,
  SessionNotReadyError,
} from './errors.ts';
import { desired } from './desired.ts';
import { createEvents } from './events.ts';
import { Expiry } from './expiry.ts';
import { Informer } from './informer.ts';
import { isProvisioned, type Observed } from './plan.ts';
import { probesFor } from './probe.ts';
import { reconcile } from './reconcile.ts';
import type { Reconciler, ReconcilerObserver } from './reconciler.ts';
import { createRoles } from './roles.ts';
import { createSignIn } from './sign-in.ts';
import { createSignins } from './signins.ts';
import { sweep } from './sweep.ts';
import { createTokens } from './tokens.ts';
import { WorkQueue } from './workqueue.ts';

export interface ReconcilerDeps {
  readonly cluster: Cluster;
  /** Where TkaSignins and accounts live; its name is the installation's ID too. */
  readonly namespace: string;
  readonly log: Logger;
  readonly observer: ReconcilerObserver;
  readonly clock?: Clock;
  /** Uniform in [0, 1). */
  readonly random?: () => number;
  /** Sessions worked on at once. */
  readonly concurrency?: number;
}

const sweepMs = 30_000;
/** However often something asks for a sweep. */
const sweepPauseMs = 1000;
/** Failures that no waiting heals; a login is told at once. */
const hopeless = new Set(['RoleNotFound', 'NamespaceNotFound', 'Forbidden']);

export function startReconciler(deps: ReconcilerDeps): Reconciler {
  const { cluster, namespace, log, observer } = deps;
  const { clock = systemClock, random = Math.random, concurrency = 32 } = deps;
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
  const sweeping = createAlarm();

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
          takeEnding(uid) {
            const reason = endings.get(uid);
            endings.delete(uid);
            return reason;
          },
          sweepSoon: () => sweeping.ring(),
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

  const expiry = new Expiry({ clock, onDue: (name) => queue.add(name) });

  const cache = new SigninCache({
    onChange(signin, before) {
      const { name } = signin.metadata;
      if (before === undefined || endOf(before) !== endOf(signin)) expiry.add(name, endOf(signin));
      if (before === undefined || !isStatusOnly(before, signin)) queue.add(name);
    },
    onGone(signin, how) {
      const { uid } = signin.metadata;
      tokens.forget(uid);
      events.forget(uid);
      damage.delete(uid);
      endings.delete(uid);
      // Another replica was quicker, or somebody took our hold away and did not wait for us to remove the access.
      if (how === 'vanished' && !signal.aborted) sweeping.ring();
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
      if (!synced) sweeping.ring();
      synced = true;
    },
  });
  let synced = false;

  const sweepForever = async (): Promise<void> => {
    let stuck: readonly string[] = [];
    await sweeping.wait(signal);
    while (!signal.aborted) {
      let delayMs = sweepMs;
      try {
        const stuckNow = await sweep(
          {
            cluster,
            namespace,
            cache,
            signins,
            apply,
            log,
            onOrphan: (kind) => observer.orphanRemoved(kind),
            onDamage(signin, observed) {
              log.warn({ session: signin.metadata.name, damage: Object.fromEntries(observed) }, 'mending a session');
              damage.set(signin.metadata.uid, observed);
              queue.add(signin.metadata.name);
            },
          },
          signal,
        );
        for (const name of stuck) if (!stuckNow.includes(name)) observer.cleanupStuck(name, false);
        for (const name of stuckNow) observer.cleanupStuck(name, true);
        stuck = stuckNow;
      } catch (error) {
        if (signal.aborted) return;
        delayMs = 5000;
        log.warn({ err: error }, 'cannot look for what belongs to no session, trying again');
      }
      await sleep(clock, sweepPauseMs, signal);
      const nap = new AbortController();
      await Promise.race([
        sleep(clock, delayMs - sweepPauseMs, AbortSignal.any([signal, nap.signal])),
        sweeping.wait(AbortSignal.any([signal, nap.signal])),
      ]).catch(() => undefined);
      nap.abort();
    }
  };

  informer.start();
  const sweeper = sweepForever().catch(() => undefined);
  const signIn = createSignIn({
    cache,
    signins,
    clock,
    enqueue: (name) => queue.add(name),
    announceEnd: (uid, reason) => endings.set(uid, reason),
    stopping: signal,
  });

  return {
    signIn,
    get: (name) => cache.get(name),
    list: () => cache.list(),

    async usable(name, caller) {
      const asked = AbortSignal.any([caller, signal]);
      const signin = await untilMade(name, asked);
      const { uid } = signin.metadata;
      const over = new AbortController();
      const both = AbortSignal.any([asked, over.signal]);
      const gone = cache
        .until(name, (now) => (isLive(now, uid) ? undefined : true), both)
        .then(() => over.abort(new SessionEndingError(name, `session ${name} was ended meanwhile`)))
        .catch(() => undefined);
      try {
        const [ready] = await Promise.all([untilReady(name, both), untilWorking(signin, both)]);
        return cache.get(name) ?? ready;
      } finally {
        over.abort();
        await gone;
      }
    },

    async end(name, reason, caller) {
      const signin = cache.get(name) ?? (await readOrUndefined(name, caller));
      if (signin === undefined) return;
      const { uid } = signin.metadata;
      endings.set(uid, reason);
      try {
        const left = await signins.delete(signin, { unchanged: false }, caller);
        if (left !== undefined) cache.written(left);
        queue.add(name);
      } catch (error) {
        endings.delete(uid);
        if (!(error instanceof NotFoundError)) throw error;
        // Somebody stripped our finalizer: what it stood for is removed here.
        const { account, bindings } = desired(signin);
        await Promise.all(bindings.map(async (binding) => await apply.deleteBinding(binding, caller)));
        await apply.deleteAccount(account, caller);
        cache.released(signin);
        return;
      }
      const asked = AbortSignal.any([caller, signal]);
      await cache.until(name, (now) => (isHeldByUs(now, uid) ? undefined : true), asked);
    },

    async token(name, caller) {
      const signin = cache.get(name);
      if (signin === undefined) throw new SessionNotFoundError(name);
      if (readyOrThrow(name, signin, clock.now()) === undefined) {
        throw new SessionNotReadyError(name, `session ${name} is not provisioned yet`);
      }
      return await tokens.get(signin, caller);
    },

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
      await Promise.all([informer.stop(), queue.stop(), sweeper]);
    },
  };

  /** Its objects are there, though its status may not say so yet. */
  async function untilMade(name: string, asked: AbortSignal): Promise<TkaSignin> {
    return await untilHopeful(name, asked, (signin) =>
      signin !== undefined && made.has(signin.metadata.uid) ? signin : readyOrThrow(name, signin, clock.now()),
    );
  }

  async function untilReady(name: string, asked: AbortSignal): Promise<TkaSignin> {
    return await untilHopeful(name, asked, (signin) => readyOrThrow(name, signin, clock.now()));
  }

  async function untilHopeful(
    name: string,
    asked: AbortSignal,
    check: (signin: TkaSignin | undefined) => TkaSignin | undefined,
  ): Promise<TkaSignin> {
    try {
      return await cache.until(name, check, asked);
    } catch (error) {
      if (!(error instanceof SessionFailedError)) throw error;
      // The status tells of an earlier pass: what was missing then may be there now.
      await withSignal(queue.processed(name), asked);
      return await cache.until(name, check, asked);
    }
  }

  /** Seen with the session's own token. */
  async function untilWorking(signin: TkaSignin, asked: AbortSignal): Promise<void> {
    const { role, namespaces } = signin.spec;
    const [{ token }, rules] = await Promise.all([tokens.get(signin, asked), roles.rulesOf(role, asked)]);
    await untilAllowed({ cluster, clock }, token, probesFor(rules ?? [], namespaces), asked);
  }

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

/** The session if it is ready, undefined while it may become so; throws where it will not. */
function readyOrThrow(name: string, signin: TkaSignin | undefined, now: number): TkaSignin | undefined {
  if (signin === undefined) throw new SessionNotFoundError(name);
  if (signin.metadata.deletionTimestamp !== undefined || endOf(signin) <= now) {
    throw new SessionEndingError(name, `session ${name} has ended: log in again`);
  }
  if (isProvisioned(signin)) return signin;
  const ready = findCondition(signin.status?.conditions, 'Ready');
  if (ready?.status === 'False' && hopeless.has(ready.reason)) {
    throw new SessionFailedError(name, ready.reason, ready.message);
  }
  return undefined;
}

function isLive(signin: TkaSignin | undefined, uid: string): boolean {
  return signin?.metadata.uid === uid && signin.metadata.deletionTimestamp === undefined;
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

/** Something to wait for that may be rung before anybody waits. */
function createAlarm(): { ring(): void; wait(signal: AbortSignal): Promise<void> } {
  let ringing = Promise.withResolvers<void>();
  return {
    ring: () => ringing.resolve(),
    async wait(signal) {
      await withSignal(ringing.promise, signal);
      ringing = Promise.withResolvers<void>();
    },
  };
}
