/**
 * What a pass reports: the session's status, written once and only if it changed; Events and metrics for revocations and for what
 * does not resolve by itself.
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

/** Ends without an Event; every other is a revocation. */
const ordinary = new Set(['expired', 'logout', 'replaced']);
/** How long a foreign finalizer may keep a TkaSignin before it is reported. */
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
    // Gone, or replaced by another of the same name, which gets its own pass; what this pass created is swept.
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

/** A binding that could not be removed when its session ended; without the account it grants nothing. */
export async function reportLeft(deps: ReportDeps, name: string, error: unknown): Promise<void> {
  const message = messageOf(error);
  deps.log.warn(
    { err: error, session: name },
    'cannot remove a binding of a session that ends; it grants nothing any more',
  );
  const signin = deps.cache.get(name);
  if (signin !== undefined) await deps.events.record(signin, { type: 'Warning', reason: 'BindingLeft', message });
}

/** All access is removed, but a finalizer that is not tka's keeps the TkaSignin and its name. */
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

/** Resolves by waiting or by reading again. */
function isPassing(error: unknown): boolean {
  return error instanceof ApiUnavailableError || error instanceof ConflictError;
}

function failureReason(error: unknown): ConditionReason {
  if (error instanceof ForbiddenError) return 'Forbidden';
  // A pass creates only these two.
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
