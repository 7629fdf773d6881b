/**
 * What a login would get, foreseen from the rules that `whoami` lists, as servers choose: the highest priority, alone. The
 * server decides; this only tells a person beforehand. Loads nothing.
 */
import type { GrantedRule, LoginRequest } from '../../node/http/contract.ts';

export type Forecast =
  | { readonly kind: 'chosen'; readonly rule: GrantedRule }
  | { readonly kind: 'none' }
  | { readonly kind: 'role-not-granted'; readonly granted: readonly string[] }
  | { readonly kind: 'ambiguous'; readonly rules: readonly GrantedRule[] };

export function foresee(rules: readonly GrantedRule[], { role }: Pick<LoginRequest, 'role'> = {}): Forecast {
  if (rules.length === 0) return { kind: 'none' };
  const candidates = role === undefined ? rules : rules.filter((rule) => rule.role === role);
  const top = Math.max(...candidates.map(({ priority }) => priority));
  const [rule, ...tied] = candidates.filter(({ priority }) => priority === top);
  if (rule === undefined) return { kind: 'role-not-granted', granted: rolesOf(rules) };
  return tied.length > 0 ? { kind: 'ambiguous', rules: [rule, ...tied] } : { kind: 'chosen', rule };
}

/** Each once, in the order of the rules. */
export function rolesOf(rules: readonly GrantedRule[]): readonly string[] {
  return [...new Set(rules.map(({ role }) => role))];
}

/** `view in the whole cluster for 8h`. */
export function describeGrant({ role, namespaces, period }: Omit<GrantedRule, 'priority'>): string {
  return `${role} ${describeScope(namespaces)} for ${period}`;
}

/** `in dev, test`, `in 60 namespaces`, or `in the whole cluster`. */
export function describeScope(namespaces: readonly string[] | undefined): string {
  return namespaces === undefined ? 'in the whole cluster' : `in ${nameScope(namespaces, ', ')}`;
}

/** The namespaces by name where they are few enough to read; else how many there are: `-o json` lists all. */
export function nameScope(namespaces: readonly string[], separator = ','): string {
  const names = namespaces.join(separator);
  return namespaces.length > 1 && names.length > 40 ? `${namespaces.length} namespaces` : names;
}

export function isSameScope(a: readonly string[] | undefined, b: readonly string[] | undefined): boolean {
  return JSON.stringify(a?.toSorted()) === JSON.stringify(b?.toSorted());
}
