/**
 * One pass over one session: take it from the cache, plan, carry out, write the status once. What can be retried
 * rejects, so that the queue comes back with backoff; what does not heal by itself is also said in a condition and an
 * Event first.
 */
import type { Logger } from 'pino';
import type { ConditionReason } from '../crd/conditions.ts';
import { endOf } from '../crd/parse.ts';
import { finalizer, type TkaSignin } from '../crd/tkasignin.ts';
import type { Apply } from './apply.ts';
import type { SigninCache } from './cache.ts';
import type { Clock } from './clock.ts';
import {
  ApiUnavailableError,
  ConflictError,
  ForbiddenError,
  HeldError,
  NotFoundError,
  SessionFailedError,
} from './errors.ts';
import type { Events } from './events.ts';
import { type Action, isProvisioned, type Observed, plan } from './plan.ts';
import type { ReconcilerObserver } from './reconciler.ts';
import type { Roles } from './roles.ts';
import type { Signins } from './signins.ts';
import { type Outcome, statusAfter } from './status.ts';

export interface ReconcileDeps {
  readonly cache: SigninCache;
  readonly signins: Signins;
  readonly apply: Apply;
  readonly roles: Roles;
  readonly events: Events;
  readonly clock: Clock;
  readonly log: Logger;
  readonly observer: ReconcilerObserver;
  /** What the last sweep found wrong with this session's objects, by its UID; taken once. */
  readonly takeObserved: (uid: string) => Observed;
  /** Why this session ends, if somebody asked for that; the session is forgotten by this. */
  readonly takeEnding: (uid: string) => string | undefined;
  readonly sweepSoon: () => void;
  /** Tells that every object of the session is there, while the work goes on that writes it down. */
  readonly whileMade: (signin: TkaSignin, work: () => Promise<void>) => Promise<void>;
  readonly signal: AbortSignal;
}

/** Ends that are nobody's news; every other is a revocation. */
const ordinary = new Set(['expired', 'logout', 'replaced']);
/** Foreign finalizers are given this long before anyone is told. */
const foreignHoldMs = 30_000;

/** Resolves with when to look again though nothing happened, in milliseconds. */
export async function reconcile(deps: ReconcileDeps, name: string): Promise<number | undefined> {
  const signin = deps.cache.get(name);
  if (signin === undefined) return undefined;
  const { phase, groups } = plan(signin, deps.takeObserved(signin.metadata.uid), deps.clock.now());
  if (phase === 'held-by-others') return await reportForeignHold(deps, signin);
  try {
    if (phase === 'live' && !isProvisioned(signin)) await assertRoleExists(deps, signin);
    for (const group of groups) await settle(group.map((action) => carryOut(deps, name, action)));
  } catch (error) {
    if (phase === 'ending') await reportStuck(deps, name, error);
    else await reportFailure(deps, name, error);
    throw error;
  }
  if (phase === 'live') {
    await deps.whileMade(signin, async () => await writeStatus(deps, name, { kind: 'provisioned' }));
  }
  return undefined;
}

async function carryOut(deps: ReconcileDeps, name: string, action: Action): Promise<void> {
  const { apply, signal } = deps;
  switch (action.do) {
    case 'hold':
      await changeFinalizers(deps, name, (finalizers) => [...finalizers, finalizer]);
      break;
    case 'create-account':
      await apply.createAccount(action.account, signal);
      break;
    case 'create-binding':
    case 'replace-binding':
      try {
        if (action.do === 'create-binding') await apply.createBinding(action.binding, signal);
        else await apply.replaceBinding(action.binding, signal);
      } catch (error) {
        if (!(error instanceof NotFoundError) || action.binding.namespace === undefined) throw error;
        throw new SessionFailedError(name, 'NamespaceNotFound', `namespace ${action.binding.namespace} does not exist`);
      }
      break;
    case 'delete-signin':
      await requestDeletion(deps, name);
      break;
    case 'delete-binding':
      await apply.deleteBinding(action.binding, signal);
      break;
    case 'delete-account':
      await apply.deleteAccount(action.account, signal);
      break;
    case 'release':
      await release(deps, name);
      break;
  }
}

/** The end has come. The precondition on the version lets a login that moved the end meanwhile win. */
async function requestDeletion({ cache, signins, signal }: ReconcileDeps, name: string): Promise<void> {
  const signin = cache.get(name);
  if (signin === undefined) return;
  try {
    const left = await signins.delete(signin, { unchanged: true }, signal);
    if (left !== undefined) cache.written(left);
  } catch (error) {
    if (!(error instanceof NotFoundError)) await refresh({ cache, signins, signal }, name, error);
  }
}

async function release(deps: ReconcileDeps, name: string): Promise<void> {
  const before = deps.cache.get(name);
  if (before === undefined) return;
  // First: with the object gone, so is what was said about its end.
  const asked = deps.takeEnding(before.metadata.uid);
  await changeFinalizers(deps, name, (finalizers) => finalizers.filter((other) => other !== finalizer));
  await reportEnded(deps, before, asked);
}

async function changeFinalizers(
  { cache, signins, signal }: ReconcileDeps,
  name: string,
  change: (finalizers: readonly string[]) => readonly string[],
): Promise<void> {
  for (let attempt = 0; ; attempt += 1) {
    const signin = cache.get(name);
    if (signin === undefined) return;
    try {
      const written = await signins.setFinalizers(signin, change(signin.metadata.finalizers ?? []), signal);
      const { deletionTimestamp, finalizers = [] } = written.metadata;
      if (deletionTimestamp !== undefined && finalizers.length === 0) cache.released(written);
      else cache.written(written);
      return;
    } catch (error) {
      if (error instanceof NotFoundError) {
        cache.released(signin);
        return;
      }
      // Our own delete moved the version on: one fresh look settles that.
      if (!(error instanceof ConflictError) || attempt > 0) throw error;
      const fresh = await readOrUndefined({ signins, signal }, name);
      if (fresh?.metadata.uid !== signin.metadata.uid) {
        cache.released(signin);
        return;
      }
      cache.written(fresh);
    }
  }
}

async function refresh(
  { cache, signins, signal }: Pick<ReconcileDeps, 'cache' | 'signins' | 'signal'>,
  name: string,
  error: unknown,
): Promise<never> {
  if (error instanceof ConflictError) {
    const fresh = await readOrUndefined({ signins, signal }, name);
    if (fresh !== undefined) cache.written(fresh);
  }
  throw error;
}

async function readOrUndefined(
  { signins, signal }: Pick<ReconcileDeps, 'signins' | 'signal'>,
  name: string,
): Promise<TkaSignin | undefined> {
  try {
    return await signins.read(name, signal);
  } catch (error) {
    if (error instanceof NotFoundError) return undefined;
    throw error;
  }
}

/** A binding to a role that does not exist is accepted, and then garbles every denial its subject is shown. */
async function assertRoleExists({ roles, signal }: ReconcileDeps, signin: TkaSignin): Promise<void> {
  const { role } = signin.spec;
  if ((await roles.rulesOf(role, signal)) !== undefined) return;
  throw new SessionFailedError(signin.metadata.name, 'RoleNotFound', `ClusterRole ${role} does not exist`);
}

async function writeStatus(deps: ReconcileDeps, name: string, outcome: Outcome): Promise<void> {
  const signin = deps.cache.get(name);
  if (signin === undefined) return;
  const status = statusAfter(signin, outcome, deps.clock.now());
  if (status === undefined) return;
  try {
    deps.cache.written(await deps.signins.writeStatus(signin, status, deps.signal));
  } catch (error) {
    // Gone, or another of the same name: that one has a pass of its own, and what this pass made belongs to nobody.
    if (!(error instanceof NotFoundError || error instanceof ConflictError)) throw error;
    deps.sweepSoon();
  }
}

async function reportFailure(deps: ReconcileDeps, name: string, error: unknown): Promise<void> {
  const signin = deps.cache.get(name);
  if (signin === undefined || isPassing(error)) return;
  const reason = failureReason(error);
  const message = messageOf(error);
  await writeStatus(deps, name, { kind: 'failed', reason, message }).catch((cause: unknown) => {
    deps.log.warn({ err: cause, session: name }, 'cannot write the status of a session');
  });
  await deps.events.record(signin, { type: 'Warning', reason, message });
}

async function reportStuck(deps: ReconcileDeps, name: string, error: unknown): Promise<void> {
  const signin = deps.cache.get(name);
  if (signin === undefined || isPassing(error)) return;
  const message = messageOf(error);
  deps.observer.cleanupStuck(name, true);
  await writeStatus(deps, name, { kind: 'stuck', message }).catch((cause: unknown) => {
    deps.log.warn({ err: cause, session: name }, 'cannot write the status of a session');
  });
  await deps.events.record(signin, { type: 'Warning', reason: 'CleanupStuck', message });
}

/** All access is gone, but the TkaSignin is held by a finalizer that is not ours, and its name with it. */
async function reportForeignHold(deps: ReconcileDeps, signin: TkaSignin): Promise<number | undefined> {
  const { name, deletionTimestamp } = signin.metadata;
  const dueMs = Date.parse(deletionTimestamp ?? '') + foreignHoldMs - deps.clock.now();
  if (dueMs > 0) return dueMs;
  const message = `the access is gone, but finalizer ${(signin.metadata.finalizers ?? []).join(', ')} holds the TkaSignin: remove what holds it`;
  deps.observer.cleanupStuck(name, true);
  await writeStatus(deps, name, { kind: 'stuck', message });
  await deps.events.record(signin, { type: 'Warning', reason: 'CleanupStuck', message });
  return undefined;
}

async function reportEnded(deps: ReconcileDeps, signin: TkaSignin, asked: string | undefined): Promise<void> {
  const { name, deletionTimestamp } = signin.metadata;
  const now = deps.clock.now();
  const expired = endOf(signin) <= now;
  const reason = asked ?? (expired ? 'expired' : 'deleted');
  const dueAt = expired ? endOf(signin) : Date.parse(deletionTimestamp ?? new Date(now).toISOString());
  deps.observer.sessionEnded(reason, Math.max(0, (now - dueAt) / 1000));
  deps.observer.cleanupStuck(name, false);
  deps.log.info({ session: name, role: signin.spec.role, reason }, 'session ended');
  if (!ordinary.has(reason)) {
    await deps.events.record(signin, {
      type: 'Normal',
      reason: 'Revoked',
      message: `the session was ended: ${reason}`,
    });
  }
}

/** Waits for all, then rejects with the first rejection: nothing goes on behind a pass that is over. */
async function settle(promises: readonly Promise<void>[]): Promise<void> {
  for (const result of await Promise.allSettled(promises)) if (result.status === 'rejected') throw result.reason;
}

/** Heals by waiting, or by looking again. */
function isPassing(error: unknown): boolean {
  return error instanceof ApiUnavailableError || error instanceof ConflictError;
}

function failureReason(error: unknown): ConditionReason {
  if (error instanceof ForbiddenError) return 'Forbidden';
  // Only these two are made by a pass.
  if (error instanceof SessionFailedError) return error.reason as 'RoleNotFound' | 'NamespaceNotFound';
  return 'ApplyFailed';
}

function messageOf(error: unknown): string {
  if (error instanceof ForbiddenError) {
    return `tka may not ${error.verb} ${error.resource}: grant it (see manifests/rbac.yaml). ${error.message}`.slice(
      0,
      1000,
    );
  }
  if (error instanceof HeldError || error instanceof Error) return error.message.slice(0, 1000);
  return String(error).slice(0, 1000);
}
