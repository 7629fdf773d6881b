/**
 * Starts the reconciler: it does everything that sessions need at the API server.
 *
 * A login goes signIn → queue → worker → reconcile → plan → apply. Every replica caches the sessions and
 * answers for them; only the leader provisions, repairs and sweeps. The caller of startReconciler owns the result and stops it; the
 * Cluster stays the caller's.
 */
import type { Logger } from 'pino';
import { endOf } from '../crd/parse.ts';
import { signinName, type TkaSignin } from '../crd/tkasignin.ts';
import { createApply } from './reconcile/apply.ts';
import { SigninCache } from './informer/cache.ts';
import { type Clock, systemClock } from './clock.ts';
import type { Cluster } from './cluster.ts';
import { SessionNotReadyError } from './errors.ts';
import { createDamage } from './reconcile/damage.ts';
import { accountKey } from './reconcile/desired.ts';
import { createEnd } from './sessions/end.ts';
import { createEndReasons } from './reconcile/end-reasons.ts';
import { Expiry } from './queue/expiry.ts';
import { Informer } from './informer/informer.ts';
import { createLeadership, type Replicas } from './election/leadership.ts';
import { takeOwnedNews } from './repair/owned-news.ts';
import { startOwnedWatch } from './repair/owned-watch.ts';
import { createLogins } from './sessions/logins.ts';
import { createWorker } from './reconcile/worker.ts';
import { isObserved, isProvisioned, isStatusOnly } from './reconcile/plan.ts';
import { noTrace, type Reconciler, type ReconcilerObserver, type ReconcilerTrace } from './reconciler.ts';
import { createRoles } from './kubernetes/roles.ts';
import { createSignIn } from './sessions/sign-in.ts';
import { createSignins } from './kubernetes/tkasignin-client.ts';
import { createSweeps } from './repair/sweeps.ts';
import { createTokens } from './sessions/tokens.ts';
import { createReadiness, readyOrThrow } from './sessions/readiness.ts';
import { type Priority, WorkQueue } from './queue/workqueue.ts';

export interface ReconcilerDeps {
  readonly cluster: Cluster;
  /** Where TkaSignins and accounts live; its name is the installation's ID too. */
  readonly namespace: string;
  readonly log: Logger;
  readonly observer: ReconcilerObserver;
  /** Absent: no traces. */
  readonly trace?: ReconcilerTrace;
  /**
   * Called at least once, as soon as this process knows that a session has ended or is being ended: what it has open elsewhere
   * must end too. `reason` is the one given to `end`, `expired`, or `revoked` where something else ended it.
   */
  readonly onEnding?: (signin: TkaSignin, reason: string) => void;
  readonly clock?: Clock;
  /** Uniform in [0, 1). */
  readonly random?: () => number;
  /** Sessions processed at once. */
  readonly concurrency?: number;
  /** Of these, sessions that no caller waits for: usually, and while a login is under way. */
  readonly backgroundConcurrency?: { readonly usually: number; readonly whileLoggingIn: number };
  /** Absent: this process is the only one, and leads from the start. */
  readonly replicas?: Replicas;
}

export function startReconciler(deps: ReconcilerDeps): Reconciler {
  const { cluster, namespace, log, observer } = deps;
  const { clock = systemClock, random = Math.random, onEnding = () => {}, trace = noTrace } = deps;
  // Eight removals at once keep a small API server busy; more of them only make a login wait there.
  const { concurrency = 32, backgroundConcurrency = { usually: 8, whileLoggingIn: 2 } } = deps;
  const logins = createLogins();
  const stopping = new AbortController();
  const { signal } = stopping;

  const leadership = createLeadership(cluster, deps.replicas, { random, log });
  const isLeading = (): boolean => leadership.term !== undefined;
  const cache = new SigninCache();
  const signins = createSignins(cluster, namespace);
  const apply = createApply(cluster);
  const roles = createRoles(cluster, clock);
  const endReasons = createEndReasons({ cache, signins, isLeading, clock, log });
  const damage = createDamage((name) => cache.touch(name));
  const onAccountMissing = ({ metadata }: TkaSignin): void => damage.found(metadata, new Map([[accountKey, 'absent']]));
  const tokens = createTokens({
    cluster,
    clock,
    onMinted: (seconds) => observer.tokenMinted(seconds),
    onAccountMissing,
    around: async (mint) => await trace.step('token', mint),
  });

  const sweeps = createSweeps({
    cluster: leadership.clients,
    namespace,
    cache,
    clock,
    log,
    observer,
    onDamage: ({ metadata }, observed) => damage.found(metadata, observed),
  });
  const sweepSoon = (): void => sweeps.soon();

  const worker = createWorker({
    cluster,
    namespace,
    leadership,
    cache,
    roles,
    endReasons,
    damage,
    clock,
    log,
    observer,
    sweepSoon,
    stopping: signal,
  });
  const queue = new WorkQueue({
    clock,
    random,
    concurrency,
    backgroundConcurrency: () => logins.backgroundSlots(backgroundConcurrency),
    // A replica that follows does nothing for a login.
    process: async (name) =>
      isLeading() ? await trace.pass(name, async () => await worker.process(name)) : await worker.process(name),
    onRetry(name, error, attempt, delayMs) {
      if (signal.aborted) return;
      observer.retried();
      log.warn({ err: error, session: name, attempt, delayMs: Math.round(delayMs) }, 'a pass failed, trying again');
    },
  });
  const enqueue = (name: string, priority?: Priority): void => queue.add(name, priority);

  const readiness = createReadiness({
    cluster,
    clock,
    cache,
    tokens,
    roles,
    isMade: (uid) => worker.isMade(uid),
    isWhole: (uid) => damage.of(uid).size === 0,
    onAccountMissing,
    async lookAgain(name, caller) {
      if (isLeading()) await queue.processed(name);
      // The leader writes the status of each new end that a login asks for.
      else await cache.until(name, (now) => (now === undefined || isObserved(now) ? true : undefined), caller);
    },
    stopping: signal,
  });
  const signIn = createSignIn({
    cache,
    signins,
    clock,
    enqueue: (name) => enqueue(name, 'urgent'),
    announceEnd: (signin, reason, caller) => endReasons.announce(signin, reason, caller),
    stopping: signal,
  });
  const end = createEnd({ cache, signins, apply, endReasons, onEnding, enqueue, sweepSoon, stopping: signal });

  const expiry = new Expiry({
    clock,
    onDue(name) {
      enqueue(name);
      const signin = cache.get(name);
      if (signin !== undefined && endOf(signin) <= clock.now()) onEnding(signin, 'expired');
    },
  });
  let synced = false;

  damage.subscribe(({ name, uid }, observed) => {
    // What was seen of the session no longer counts.
    readiness.doubt(uid);
    if (observed.get(accountKey) === 'absent') tokens.forget(uid);
    if (isLeading()) enqueue(name);
  });
  cache.subscribe({
    onChange(signin, before) {
      const { name, deletionTimestamp } = signin.metadata;
      if (before === undefined || endOf(before) !== endOf(signin)) expiry.add(name, endOf(signin));
      if (before === undefined || !isStatusOnly(before, signin)) {
        // A login, here or on another replica: after the first list, a new session or a new end has a caller.
        enqueue(name, synced && deletionTimestamp === undefined ? 'urgent' : 'background');
      }
      if (deletionTimestamp !== undefined && before?.metadata.deletionTimestamp === undefined) {
        onEnding(signin, endReasons.reasonOf(signin));
      }
    },
    onGone(signin, how) {
      const { name, uid } = signin.metadata;
      onEnding(signin, endReasons.reasonOf(signin));
      observer.cleanupStuck(name, false);
      for (const memory of [tokens, readiness, worker, endReasons, damage]) memory.forget(uid);
      // Another replica was quicker, or someone removed the finalizer without waiting for us to remove the access.
      if (how === 'vanished' && !signal.aborted) sweepSoon();
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
      for (const signin of all) enqueue(signin.metadata.name);
      if (!synced) sweepSoon();
      synced = true;
    },
  });
  informer.start();
  const owned = startOwnedWatch({
    cluster,
    namespace,
    clock,
    random,
    log,
    onEvent: (event) => takeOwnedNews({ cache, damage, tokens }, event),
    onGap() {
      // What the watch said may no longer be true; the sweep checks everything.
      damage.forgetAll();
      sweepSoon();
    },
  });
  leadership.start((term) => {
    sweeps.begin(term);
    if (!synced) return;
    for (const { metadata } of cache.list()) enqueue(metadata.name);
    sweepSoon();
  });

  const provisioned = (name: string): TkaSignin => {
    const signin = readyOrThrow(name, cache.get(name), clock.now());
    if (signin !== undefined && damage.of(signin.metadata.uid).size === 0) return signin;
    throw new SessionNotReadyError(name, `session ${name} is not provisioned yet`);
  };

  return {
    async signIn(request, caller) {
      // Before the object is there: its first pass may begin at once.
      trace.follow(signinName(request));
      return await logins.run(async () => await trace.step('store', async () => await signIn(request, caller)));
    },
    get: (name) => cache.get(name),
    list: () => cache.list(),

    usable: async (name, caller) =>
      await logins.run(
        async () =>
          await trace.step('usable', async () => await readiness.until(name, AbortSignal.any([caller, signal]))),
      ),

    end,

    token: async (name, caller) => await tokens.get(provisioned(name), caller),
    tokenRefused(name, token) {
      const signin = cache.get(name);
      if (signin !== undefined) tokens.refused(signin.metadata.uid, token);
    },
    isReady: (signin) => isProvisioned(signin) && damage.of(signin.metadata.uid).size === 0,
    keptToken: async (name, withinMs) => await tokens.kept(provisioned(name), () => AbortSignal.timeout(withinMs)),

    roleExists: async (role, caller) => (await roles.rulesOf(role, caller)) !== undefined,
    namespaceExists: async (other, caller) => await roles.namespaceExists(other, caller),

    get state() {
      return {
        synced,
        lastListAt: informer.lastListAt,
        lastWatchEventAt: informer.lastWatchEventAt,
        problem: informer.problem,
        queueDepth: queue.depth,
        foreign: informer.foreign,
        nextEndAt: expiry.next,
        isLeading: isLeading(),
        cards: leadership.cards,
      };
    },

    async stop() {
      stopping.abort(new Error('the reconciler was stopped'));
      expiry.stop();
      await Promise.all([informer.stop(), owned.stop(), queue.stop(), sweeps.stop()]);
      await leadership.stop();
    },
  };
}
