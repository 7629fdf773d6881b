/**
 * What a pass over a session makes known: its status, written once and only if it changed; Events and the observer for
 * what does not heal by itself and for revocations.
 */
import type { Logger } from 'pino';
import type { ConditionReason } from '../../crd/conditions.ts';
import { endOf } from '../../crd/parse.ts';
import type { TkaSignin } from '../../crd/tkasignin.ts';
import type { SigninCache } from '../informer/cache.ts';
import type { Clock } from '../clock.ts';
import { ApiUnavailableError, ConflictError, ForbiddenError, NotFoundError, SessionFailedError } from '../errors.ts';
import type { Events } from '../kubernetes/events.ts';
import type { ReconcilerObserver } from '../reconciler.ts';
import type { Signins } from '../kubernetes/tkasignin-client.ts';
import { type Outcome, statusAfter } from './status.ts';

export interface ReportDeps {
  readonly cache: SigninCache;
  readonly signins: Signins;
  readonly events: Events;
  readonly clock: Clock;
  readonly log: Logger;
  readonly observer: ReconcilerObserver;
  readonly sweepSoon: () => void;
  readonly signal: AbortSignal;
}

/** Ends that are nobody's news; every other is a revocation. */
const ordinary = new Set(['expired', 'logout', 'replaced']);
/** Foreign finalizers are given this long before anyone is told. */
const foreignHoldMs = 30_000;
const maxMessageLength = 1000;

export async function writeStatus(deps: ReportDeps, name: string, outcome: Outcome): Promise<void> {
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

export async function reportFailure(deps: ReportDeps, name: string, error: unknown): Promise<void> {
  const signin = deps.cache.get(name);
  if (signin === undefined || isPassing(error)) return;
  const reason = failureReason(error);
  const message = messageOf(error);
  await writeStatus(deps, name, { kind: 'failed', reason, message }).catch((cause: unknown) => {
    deps.log.warn({ err: cause, session: name }, 'cannot write the status of a session');
  });
  await deps.events.record(signin, { type: 'Warning', reason, message });
}

export async function reportStuck(deps: ReportDeps, name: string, error: unknown): Promise<void> {
  const signin = deps.cache.get(name);
  if (signin === undefined || isPassing(error)) return;
  const message = messageOf(error);
  deps.observer.cleanupStuck(name, true);
  await writeStatus(deps, name, { kind: 'stuck', message }).catch((cause: unknown) => {
    deps.log.warn({ err: cause, session: name }, 'cannot write the status of a session');
  });
  await deps.events.record(signin, { type: 'Warning', reason: 'CleanupStuck', message });
}

/** A binding that stays behind when its session ends; without the account it gives nothing. */
export async function reportLeft(deps: ReportDeps, name: string, error: unknown): Promise<void> {
  const message = messageOf(error);
  deps.log.warn(
    { err: error, session: name },
    'cannot remove a binding of a session that ends; it grants nothing any more',
  );
  const signin = deps.cache.get(name);
  if (signin !== undefined) await deps.events.record(signin, { type: 'Warning', reason: 'BindingLeft', message });
}

/** All access is gone, but the TkaSignin is held by a finalizer that is not ours, and its name with it. */
export async function reportForeignHold(deps: ReportDeps, signin: TkaSignin): Promise<number | undefined> {
  const { name, deletionTimestamp } = signin.metadata;
  const dueMs = Date.parse(deletionTimestamp ?? '') + foreignHoldMs - deps.clock.now();
  if (dueMs > 0) return dueMs;
  const message = `the access is gone, but finalizer ${(signin.metadata.finalizers ?? []).join(', ')} holds the TkaSignin: remove what holds it`;
  deps.observer.cleanupStuck(name, true);
  await writeStatus(deps, name, { kind: 'stuck', message });
  await deps.events.record(signin, { type: 'Warning', reason: 'CleanupStuck', message });
  return undefined;
}

export async function reportEnded(deps: ReportDeps, signin: TkaSignin, asked: string | undefined): Promise<void> {
  const { name, deletionTimestamp } = signin.metadata;
  const now = deps.clock.now();
  const expired = endOf(signin) <= now;
  const reason = asked ?? (expired ? 'expired' : 'deleted');
  const dueAt = expired ? endOf(signin) : Date.parse(deletionTimestamp ?? new Date(now).toISOString());
  deps.observer.sessionEnded(reason, Math.max(0, (now - dueAt) / 1000));
  deps.log.info({ session: name, role: signin.spec.role, reason }, 'session ended');
  if (!ordinary.has(reason)) {
    await deps.events.record(signin, {
      type: 'Normal',
      reason: 'Revoked',
      message: `the session was ended: ${reason}`,
    });
  }
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
  const message = error instanceof Error ? error.message : String(error);
  const remedy =
    error instanceof ForbiddenError
      ? `tka may not ${error.verb} ${error.resource}: grant it (see manifests/cluster/rbac.yaml). `
      : '';
  return `${remedy}${message}`.slice(0, maxMessageLength);
}
