/**
 * Starts the reconciler: everything that belongs to sessions at the API server happens in here.
 *
 * A login goes signIn → queue → passes → reconcile → plan → apply. Of several replicas each keeps the sessions in its cache and
 * answers for them; the leader alone makes, mends and sweeps. The caller of startReconciler owns the result and stops it; the
 * Cluster stays the caller's.
 */
import type { Logger } from 'pino';
import { endOf } from '../crd/parse.ts';
import { finalizer, signinName, type TkaSignin } from '../crd/tkasignin.ts';
import { createApply } from './apply.ts';
import { SigninCache } from './cache.ts';
import { type Clock, systemClock } from './clock.ts';
import type { Cluster } from './cluster.ts';
import { NotFoundError, SessionNotFoundError, SessionNotReadyError } from './errors.ts';
import { desired } from './desired.ts';
import { createEndings } from './endings.ts';
import { Expiry } from './expiry.ts';
import { Informer } from './informer.ts';
import { createLeadership, type Replicas } from './leadership.ts';
import { createPasses } from './passes.ts';
import type { Reconciler, ReconcilerObserver, ReconcilerTrace } from './reconciler.ts';
import { createRoles } from './roles.ts';
import { createSignIn } from './sign-in.ts';
import { createSignins } from './signins.ts';
import { createSweeps } from './sweeps.ts';
import { createTokens } from './tokens.ts';
import { createUsable, readyOrThrow } from './usable.ts';
import { WorkQueue } from './workqueue.ts';

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
  /** Of these, sessions that no caller waits for. */
  readonly backgroundConcurrency?: number;
  /** Absent: this process is the only one, and leads from the start. */
  readonly replicas?: Replicas;
}

export function startReconciler(deps: ReconcilerDeps): Reconciler {
  const { cluster, namespace, log, observer } = deps;
  const { clock = systemClock, random = Math.random, onEnding = () => {}, trace = noTrace } = deps;
  // Eight removals at once keep a small API server busy; more of them only make a login wait there.
  const { concurrency = 32, backgroundConcurrency = 8 } = deps;
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
    around: async (mint) => await trace.step('token', mint),
  });

  const queue = new WorkQueue({
    clock,
    random,
    concurrency,
    backgroundConcurrency,
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
      for (const memory of [tokens, usable, passes, endings]) memory.forget(uid);
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

  const sweeps = createSweeps({
    cluster: leadership.clients,
    namespace,
    cache,
    clock,
    log,
    observer,
    onDamage(signin, observed) {
      passes.damaged(signin.metadata.uid, observed);
      usable.forget(signin.metadata.uid);
      queue.add(signin.metadata.name);
    },
  });
  leadership.start((term) => {
    sweeps.begin(term);
    if (!synced) return;
    for (const { metadata } of cache.list()) queue.add(metadata.name);
    sweeps.soon();
  });

  const provisioned = (name: string): TkaSignin => {
    const signin = cache.get(name);
    if (signin === undefined) throw new SessionNotFoundError(name);
    if (readyOrThrow(name, signin, clock.now()) !== undefined) return signin;
    throw new SessionNotReadyError(name, `session ${name} is not provisioned yet`);
  };

  return {
    async signIn(request, caller) {
      // Before the object is there: its first pass may begin at once.
      trace.follow(signinName(request));
      return await trace.step('store', async () => await signIn(request, caller));
    },
    get: (name) => cache.get(name),
    list: () => cache.list(),

    usable: async (name, caller) =>
      await trace.step('usable', async () => await usable(name, AbortSignal.any([caller, signal]))),

    async end(name, reason, caller) {
      const signin = cache.get(name) ?? (await readOrUndefined(name, caller));
      if (signin === undefined) return;
      const { uid } = signin.metadata;
      onEnding(signin, reason);
      try {
        await endings.announce(signin, reason, caller);
        const left = await signins.delete(signin, { unchanged: false }, caller);
        if (left !== undefined) cache.written(left);
        // One who logs out waits; a revocation may be one of thousands.
        queue.add(name, reason === 'logout' ? 'urgent' : 'background');
      } catch (error) {
        endings.forget(uid);
        if (!(error instanceof NotFoundError)) throw error;
        // Somebody stripped our finalizer: what it stood for is removed here.
        const { account, bindings } = desired(signin);
        const [removed] = await Promise.allSettled([
          apply.deleteAccount(account, caller),
          ...bindings.map(async (binding) => await apply.deleteBinding(binding, caller)),
        ]);
        // Without the account a binding gives nothing; the sweep removes what could not be removed here.
        if (removed.status === 'rejected') throw removed.reason;
        cache.released(signin);
        sweeps.soon();
        return;
      }
      const asked = AbortSignal.any([caller, signal]);
      await cache.until(name, (now) => (isHeldByUs(now, uid) ? undefined : true), asked);
    },

    token: async (name, caller) => await tokens.get(provisioned(name), caller),
    keptToken: async (name, withinMs) => await tokens.kept(provisioned(name), () => AbortSignal.timeout(withinMs)),

    async roleExists(role, caller) {
      return (await roles.rulesOf(role, caller)) !== undefined;
    },
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
      await Promise.all([informer.stop(), queue.stop(), sweeps.stop()]);
      await leadership.stop();
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

const noTrace: ReconcilerTrace = {
  step: (_name, work) => work(),
  follow: () => {},
  pass: (_session, work) => work(),
};

function isHeldByUs(signin: TkaSignin | undefined, uid: string): boolean {
  return signin?.metadata.uid === uid && signin.metadata.finalizers?.includes(finalizer) === true;
}

/** The last pass over it saw it as it is. */
function isObserved({ metadata, status }: TkaSignin): boolean {
  return status?.observedGeneration === metadata.generation;
}

/** Nothing that a pass acts on has changed. */
function isStatusOnly(before: TkaSignin, after: TkaSignin): boolean {
  return (
    before.metadata.generation === after.metadata.generation &&
    before.metadata.deletionTimestamp === after.metadata.deletionTimestamp &&
    before.metadata.finalizers?.join() === after.metadata.finalizers?.join()
  );
}
