/**
 * One pass over one session: read it from the cache, plan, apply, write the status once. Retryable errors reject, so that the queue
 * retries with backoff; others are also reported in a condition and an Event first.
 */
import { finalizer, type TkaSignin } from '../../crd/tkasignin.ts';
import type { Apply } from './apply.ts';
import type { Damage } from './damage.ts';
import type { DesiredBinding } from './desired.ts';
import { ApiUnavailableError, ConflictError, NotFoundError, SessionFailedError, UnauthorizedError } from '../errors.ts';
import { type Action, isProvisioned, plan } from './plan.ts';
import {
  type ReportDeps,
  reportEnded,
  reportFailure,
  reportForeignHold,
  reportLeft,
  reportStuck,
  writeStatus,
} from './report.ts';
import type { Roles } from '../kubernetes/roles.ts';

export interface ReconcileDeps extends ReportDeps {
  readonly apply: Apply;
  readonly roles: Roles;
  /** What is missing or changed of sessions' objects. */
  readonly damage: Pick<Damage, 'of' | 'repaired'>;
  /** Why this session ends, where its end was requested. */
  readonly endingOf: (signin: TkaSignin) => string | undefined;
  /** Marks the session as having all its objects while its status is written. */
  readonly whileMade: (signin: TkaSignin, work: () => Promise<void>) => Promise<void>;
}

/** Resolves with the delay in milliseconds until the next pass, or undefined for none. */
export async function reconcile(deps: ReconcileDeps, name: string): Promise<number | undefined> {
  const signin = deps.cache.get(name);
  if (signin === undefined) return undefined;
  const { uid } = signin.metadata;
  const observed = deps.damage.of(uid);
  const { phase, groups } = plan(signin, observed, deps.clock.now());
  if (phase === 'held-by-others') return await reportForeignHold(deps, signin);
  try {
    if (phase === 'live' && groups.length > 0 && !(await isStillLive(deps, signin))) return undefined;
    if (phase === 'live' && !isProvisioned(signin)) await assertRoleExists(deps, signin);
    for (const group of groups) await settle(group.map((action) => carryOut(deps, name, action)));
  } catch (error) {
    // A pass that the stop interrupted says nothing about the session.
    if (deps.signal.aborted) throw error;
    if (phase === 'ending') await reportStuck(deps, name, error);
    else await reportFailure(deps, name, error);
    throw error;
  }
  if (phase === 'live') {
    deps.damage.repaired(uid, observed);
    await deps.whileMade(signin, async () => await writeStatus(deps, name, { kind: 'provisioned' }));
  }
  return undefined;
}

async function carryOut(deps: ReconcileDeps, name: string, action: Action): Promise<void> {
  const { apply, signal } = deps;
  switch (action.do) {
    case 'add-finalizer':
      await changeFinalizers(deps, name, (finalizers) => [...finalizers, finalizer]);
      break;
    case 'create-account':
      await apply.createAccount(action.account, signal);
      break;
    case 'create-binding':
      try {
        await apply.createBinding(action.binding, signal);
      } catch (error) {
        if (!(error instanceof NotFoundError) || action.binding.namespace === undefined) throw error;
        throw new SessionFailedError(name, 'NamespaceNotFound', `namespace ${action.binding.namespace} does not exist`);
      }
      break;
    case 'delete-signin':
      await requestDeletion(deps, name);
      break;
    case 'delete-binding':
      await removeBinding(deps, name, action.binding);
      break;
    case 'delete-account':
      await apply.deleteAccount(action.account, signal);
      break;
    case 'remove-finalizer':
      await release(deps, name);
      break;
  }
}

/**
 * A binding that cannot be removed does not keep the session from ending: its account is removed, and that name is never used again, so
 * the binding grants nothing. The sweep tries again.
 */
async function removeBinding(deps: ReconcileDeps, name: string, binding: DesiredBinding): Promise<void> {
  try {
    await deps.apply.deleteBinding(binding, deps.signal);
  } catch (error) {
    if (deps.signal.aborted || error instanceof ApiUnavailableError || error instanceof UnauthorizedError) throw error;
    await reportLeft(deps, name, error);
    deps.sweepSoon();
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
  // First, because the reason is forgotten once the object is gone.
  const asked = deps.endingOf(before);
  await deps.cache.whileReleasing(before, async () => {
    await changeFinalizers(deps, name, (finalizers) => finalizers.filter((other) => other !== finalizer));
  });
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
      // tka's own delete changed the version: read it once more.
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

/**
 * Nothing is created for a session that is gone or being ended, though the cache may be behind. One without a status is new, and
 * has nothing yet.
 */
async function isStillLive({ cache, signins, signal }: ReconcileDeps, signin: TkaSignin): Promise<boolean> {
  if (signin.status === undefined) return true;
  const found = await readOrUndefined({ signins, signal }, signin.metadata.name);
  if (found?.metadata.uid === signin.metadata.uid && found.metadata.deletionTimestamp === undefined) return true;
  if (found === undefined) cache.released(signin);
  else cache.written(found);
  return false;
}

/** The API server accepts a binding to a missing role, and then adds an error to every denial of its subject. */
async function assertRoleExists({ roles, signal }: ReconcileDeps, signin: TkaSignin): Promise<void> {
  const { role } = signin.spec;
  if ((await roles.rulesOf(role, signal)) !== undefined) return;
  throw new SessionFailedError(signin.metadata.name, 'RoleNotFound', `ClusterRole ${role} does not exist`);
}

/** Waits for all, then rejects with the first rejection: nothing runs after a pass has ended. */
async function settle(promises: readonly Promise<void>[]): Promise<void> {
  for (const result of await Promise.allSettled(promises)) if (result.status === 'rejected') throw result.reason;
}
