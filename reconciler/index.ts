/**
 * Starts the reconciler: everything that belongs to sessions at the API server happens in here.
 *
 * A login goes signIn → queue → passes → reconcile → plan → apply. Of several replicas each keeps the sessions in its cache and
 * answers for them; the leader alone makes, mends and sweeps. The caller of startReconciler owns the result and stops it; the
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
import { createEndings } from './reconcile/end-reasons.ts';
import { Expiry } from './queue/expiry.ts';
import { Informer } from './informer/informer.ts';
import { createLeadership, type Replicas } from './election/leadership.ts';
import { takeOwnedNews } from './repair/owned-news.ts';
import { startOwnedWatch } from './repair/owned-watch.ts';
import { createLogins } from './sessions/logins.ts';
import { createPasses } from './reconcile/worker.ts';
import { isObserved, isProvisioned, isStatusOnly, type Observed } from './reconcile/plan.ts';
import { noTrace, type Reconciler, type ReconcilerObserver, type ReconcilerTrace } from './reconciler.ts';
import { createRoles } from './kubernetes/roles.ts';
import { createSignIn } from './sessions/sign-in.ts';
import { createSignins } from './kubernetes/tkasignin-client.ts';
import { createSweeps } from './repair/sweeps.ts';
import { createTokens } from './sessions/tokens.ts';
import { createUsable, readyOrThrow } from './sessions/readiness.ts';
import { WorkQueue } from './queue/workqueue.ts';

export interface ReconcilerDeps {
  readonly cluster: Cluster;
  /** Where TkaSignins and accounts live; its name is the installation's ID too. */
  readonly namespace: string;
  readonly log: Logger;
  readonly observer: ReconcilerObserver;
  /** Absent: no traces. */
  readonly trace?: ReconcilerTrace;
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
  /** Of these, sessions that no caller waits for; and how many while somebody logs in. */
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
  const signins = createSignins(cluster, namespace);
  const apply = createApply(cluster);
  const roles = createRoles(cluster, clock);
  const tokens = createTokens({
    cluster,
    clock,
    onMinted: (seconds) => observer.tokenMinted(seconds),
    onAccountMissing,
    around: async (mint) => await trace.step('token', mint),
  });
  const damage = createDamage((name) => cache.touch(name));

  const queue = new WorkQueue({
    clock,
    random,
    concurrency,
    backgroundConcurrency: () =>
      logins.underWay > 0 ? backgroundConcurrency.whileLoggingIn : backgroundConcurrency.usually,
    process: async (name) =>
      // A replica that follows does nothing for a login.
      leadership.term === undefined
        ? await passes.process(name)
        : await trace.pass(name, async () => await passes.process(name)),
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
      if (before === undefined || !isStatusOnly(before, signin)) {
        // Another replica's login, or this one's: after the first list, a new session or a new end has a caller.
        const isLogin = synced && signin.metadata.deletionTimestamp === undefined;
        queue.add(name, isLogin ? 'urgent' : 'background');
      }
      if (signin.metadata.deletionTimestamp !== undefined && before?.metadata.deletionTimestamp === undefined) {
        onEnding(signin, endings.reasonOf(signin));
      }
    },
    onGone(signin, how) {
      const { name, uid } = signin.metadata;
      onEnding(signin, endings.reasonOf(signin));
      observer.cleanupStuck(name, false);
      for (const memory of [tokens, usable, passes, endings, damage]) memory.forget(uid);
      // Another replica was quicker, or somebody took our hold away and did not wait for us to remove the access.
      if (how === 'vanished' && !signal.aborted) sweeps.soon();
    },
  });
  const endings = createEndings({ cache, signins, isLeading: () => leadership.term !== undefined, clock, log });

  const passes = createPasses({
    cluster,
    namespace,
    leadership,
    cache,
    roles,
    endings,
    damage,
    clock,
    log,
    observer,
    sweepSoon: () => sweeps.soon(),
    stopping: signal,
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
      if (!synced) sweeps.soon();
      synced = true;
    },
  });
  let synced = false;

  informer.start();
  const usable = createUsable({
    cluster,
    clock,
    cache,
    tokens,
    roles,
    isMade: (uid) => passes.isMade(uid),
    isWhole: (uid) => damage.of(uid).size === 0,
    onAccountMissing,
    async lookAgain(name, caller) {
      if (leadership.term !== undefined) await queue.processed(name);
      // The leader writes the status of each new end that a login asks for.
      else await cache.until(name, (now) => (now === undefined || isObserved(now) ? true : undefined), caller);
    },
    stopping: signal,
  });
  const signIn = createSignIn({
    cache,
    signins,
    clock,
    enqueue: (name) => queue.add(name, 'urgent'),
    announceEnd: (signin, reason, caller) => endings.announce(signin, reason, caller),
    stopping: signal,
  });

  const end = createEnd({
    cache,
    signins,
    apply,
    endings,
    onEnding,
    enqueue: (name, priority) => queue.add(name, priority),
    sweepSoon: () => sweeps.soon(),
    stopping: signal,
  });

  const sweeps = createSweeps({
    cluster: leadership.clients,
    namespace,
    cache,
    clock,
    log,
    observer,
    onDamage,
  });
  const owned = startOwnedWatch({
    cluster,
    namespace,
    clock,
    random,
    log,
    onEvent: (event) => takeOwnedNews({ cache, damage, tokens, onDamage }, event),
    onGap() {
      // What was told is perhaps no longer so; the sweep sees it again.
      damage.forgetAll();
      sweeps.soon();
    },
  });

  /** Something of a session that says it is ready is missing: what was seen of it no longer counts. */
  function onDamage(signin: TkaSignin, observed: Observed): void {
    const { name, uid } = signin.metadata;
    damage.found(signin.metadata, observed);
    usable.doubt(uid);
    if (observed.get(accountKey) === 'absent') tokens.forget(uid);
    if (leadership.term !== undefined) queue.add(name);
  }

  function onAccountMissing(signin: TkaSignin): void {
    onDamage(signin, new Map([[accountKey, 'absent']]));
  }

  leadership.start((term) => {
    sweeps.begin(term);
    if (!synced) return;
    for (const { metadata } of cache.list()) queue.add(metadata.name);
    sweeps.soon();
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
        async () => await trace.step('usable', async () => await usable(name, AbortSignal.any([caller, signal]))),
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
        isLeading: leadership.term !== undefined,
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
