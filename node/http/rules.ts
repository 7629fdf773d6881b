/**
 * How the server and the command read the policy's rules: durations, scopes, and the rule that a login gets. Imports nothing, so
 * that the command's first frame does not wait for the contract's schemas.
 */
/** A duration as Go writes it, in hours, minutes and seconds: `8h`, `1h30m`, `600s`. */
export const durationPattern = /^(?=\d)(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,6})s)?$/;

/** Milliseconds of a duration, or undefined where it is invalid or zero. */
export function parseDurationMs(text: string): number | undefined {
  const match = durationPattern.exec(text);
  if (match === null) return undefined;
  const [hours, minutes, seconds] = [match[1], match[2], match[3]].map((part) => Number(part ?? 0));
  const ms = (((hours ?? 0) * 60 + (minutes ?? 0)) * 60 + (seconds ?? 0)) * 1000;
  return ms > 0 ? ms : undefined;
}

export function isSameScope(a: readonly string[] | undefined, b: readonly string[] | undefined): boolean {
  return JSON.stringify(a?.toSorted()) === JSON.stringify(b?.toSorted());
}

export type RuleChoice<R> =
  | { readonly kind: 'chosen'; readonly rule: R }
  | { readonly kind: 'none' }
  | { readonly kind: 'role-not-granted'; readonly granted: readonly string[] }
  | { readonly kind: 'ambiguous'; readonly rules: readonly R[] };

/** The rule with the highest priority, among those with the role where one is asked for. */
export function chooseRule<R extends { readonly role: string; readonly priority: number }>(
  rules: readonly R[],
  { role }: { readonly role?: string | undefined } = {},
): RuleChoice<R> {
  if (rules.length === 0) return { kind: 'none' };
  const candidates = role === undefined ? rules : rules.filter((rule) => rule.role === role);
  const top = Math.max(...candidates.map(({ priority }) => priority));
  const [rule, ...tied] = candidates.filter(({ priority }) => priority === top);
  if (rule === undefined) return { kind: 'role-not-granted', granted: rolesOf(rules) };
  return tied.length > 0 ? { kind: 'ambiguous', rules: [rule, ...tied] } : { kind: 'chosen', rule };
}

/** Each once, in the order of the rules. */
export function rolesOf(rules: readonly { readonly role: string }[]): readonly string[] {
  return [...new Set(rules.map(({ role }) => role))];
}
