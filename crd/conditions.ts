/**
 * Conditions of a TkaSignin, as KEP-1623 describes them.
 *
 * `Ready` is positive: True means that the ServiceAccount and every binding exist and the end lies ahead.
 * `CleanupStuck` is negative: it is absent unless something that must be removed cannot be.
 */
export type ConditionType = 'Ready' | 'CleanupStuck';

export type ConditionReason =
  | 'Provisioned'
  | 'Provisioning'
  | 'RoleNotFound'
  | 'NamespaceNotFound'
  | 'Forbidden'
  | 'ApplyFailed'
  | 'Expired'
  | 'Revoking'
  | 'DeleteFailed';

export interface Condition {
  readonly type: ConditionType;
  readonly status: 'True' | 'False' | 'Unknown';
  /** Never empty, as the API requires. */
  readonly reason: ConditionReason;
  readonly message: string;
  /** RFC 3339; moves only when `status` does. */
  readonly lastTransitionTime: string;
  readonly observedGeneration: number;
}

/** Returns the list with `next` in place of the condition of its type; the transition time changes only with the status. */
export function setCondition(
  conditions: readonly Condition[],
  next: Omit<Condition, 'lastTransitionTime'>,
  now: Date,
): readonly Condition[] {
  const before = conditions.find((condition) => condition.type === next.type);
  const lastTransitionTime =
    before !== undefined && before.status === next.status
      ? before.lastTransitionTime
      : now.toISOString().replace(/\.\d{3}Z$/, 'Z');
  const after: Condition = { ...next, lastTransitionTime };
  if (before === undefined) return [...conditions, after];
  return conditions.map((condition) => (condition === before ? after : condition));
}

export function findCondition(
  conditions: readonly Condition[] | undefined,
  type: ConditionType,
): Condition | undefined {
  return conditions?.find((condition) => condition.type === type);
}
