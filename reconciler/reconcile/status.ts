/**
 * The result of a pass as the status of a TkaSignin. Pure; undefined where the status says so already, and then nothing is written.
 */
import { type Condition, type ConditionReason, setCondition } from '../../crd/conditions.ts';
import { accountName, type TkaSignin, type TkaSigninStatus } from '../../crd/tkasignin.ts';

export type Outcome =
  | { readonly kind: 'provisioned' }
  /** The session is not usable; the message says what is missing. */
  | { readonly kind: 'failed'; readonly reason: ConditionReason; readonly message: string }
  /** The session has ended, but one of its objects cannot be removed. */
  | { readonly kind: 'stuck'; readonly message: string };

export function statusAfter(signin: TkaSignin, outcome: Outcome, now: number): TkaSigninStatus | undefined {
  const observedGeneration = signin.metadata.generation;
  const conditions = conditionsAfter(signin, outcome).reduce(
    (list, condition) => setCondition(list, { ...condition, observedGeneration }, new Date(now)),
    signin.status?.conditions ?? [],
  );
  const next: TkaSigninStatus = {
    observedGeneration,
    conditions,
    serviceAccountName: accountName(signin),
    expiresAt: signin.spec.expiresAt,
  };
  return isSame(signin.status, next) ? undefined : next;
}

type NewCondition = Pick<Condition, 'type' | 'status' | 'reason' | 'message'>;

function conditionsAfter(signin: TkaSignin, outcome: Outcome): readonly NewCondition[] {
  switch (outcome.kind) {
    case 'provisioned': {
      const message = `bound to ${signin.spec.role} ${scopeOf(signin)}`;
      return [{ type: 'Ready', status: 'True', reason: 'Provisioned', message }];
    }
    case 'failed':
      return [{ type: 'Ready', status: 'False', reason: outcome.reason, message: outcome.message }];
    case 'stuck':
      return [
        { type: 'CleanupStuck', status: 'True', reason: 'DeleteFailed', message: outcome.message },
        { type: 'Ready', status: 'False', reason: 'Revoking', message: 'the session is over' },
      ];
    default:
      return outcome satisfies never;
  }
}

function scopeOf(signin: TkaSignin): string {
  const { namespaces } = signin.spec;
  if (namespaces === undefined) return 'in the whole cluster';
  const shown = namespaces.slice(0, 5).join(', ');
  return `in ${namespaces.length > 5 ? `${shown} and ${namespaces.length - 5} more namespaces` : shown}`;
}

function isSame(before: TkaSigninStatus | undefined, next: TkaSigninStatus): boolean {
  const conditions = before?.conditions ?? [];
  return (
    before?.observedGeneration === next.observedGeneration &&
    before?.serviceAccountName === next.serviceAccountName &&
    before?.expiresAt === next.expiresAt &&
    conditions.length === next.conditions?.length &&
    conditions.every((condition, index) => {
      const other = next.conditions?.[index];
      return (
        condition.type === other?.type &&
        condition.status === other.status &&
        condition.reason === other.reason &&
        condition.message === other.message &&
        condition.observedGeneration === other.observedGeneration
      );
    })
  );
}
