/**
 * Capability rules: what the tailnet policy grants a caller. Each rule's JSON text is parsed alone and strictly; then one rule is
 * chosen. Role, scope and period always come from one rule.
 *
 * An invalid rule is dropped with its reason, because a lenient reading could grant more: with `namespace` in place of `namespaces` it
 * would hold in the whole cluster. Dropping a rule never changes what the others grant.
 */
import * as z from 'zod';
import { dnsLabelPattern } from '../../crd/tkasignin.ts';
import { chooseRule, isSameScope, parseDurationMs, type RuleChoice } from './rules.ts';
import { printable } from './subject.ts';

export interface Rule {
  readonly role: string;
  /** As written in the policy. */
  readonly period: string;
  readonly periodMs: number;
  readonly priority: number;
  /** Absent: the whole cluster. Present: sorted, unique, never empty. */
  readonly namespaces?: readonly string[];
}

export interface DroppedRule {
  /** The rule's text, shortened. */
  readonly rule: string;
  readonly reason: string;
  /** True where the only problem is a period under the minimum. */
  readonly isTooShort: boolean;
}

export interface Grants {
  /** Best first. Identical rules are one. */
  readonly rules: readonly Rule[];
  readonly dropped: readonly DroppedRule[];
}

/** A TokenRequest cannot ask for less than this. */
export const minPeriodMs = 10 * 60_000;
const maxPeriodMs = 365 * 24 * 3_600_000;
/** The engine's limit. A thousand of the longest names fit. */
const maxRuleLength = 65_536;
/** The limit in crd/tkasignin.yaml. */
export const maxNamespaces = 1000;

/** As RBAC names its roles, less what would be a path: a letter or digit first and last, `.`, `_`, `:` and `-` between. */
export const roleNamePattern = /^[a-zA-Z0-9](?:[a-zA-Z0-9._:-]{0,251}[a-zA-Z0-9])?$/;

const ruleSchema = z.strictObject({
  role: z.string().regex(roleNamePattern, 'must be the name of a ClusterRole'),
  period: z.string(),
  priority: z.int().default(0),
  namespaces: z
    .array(z.string().regex(dnsLabelPattern, 'must be the name of a namespace'))
    .min(1, 'must not be empty: leave it out for the whole cluster')
    .max(maxNamespaces, `must not be more than ${maxNamespaces}: make several rules of it`)
    .optional(),
});

/** `ownNamespaces`: tka's own namespaces; no rule may include them. */
export function parseGrants(texts: readonly string[], ownNamespaces: readonly string[]): Grants {
  const rules: Rule[] = [];
  const dropped: DroppedRule[] = [];
  for (const text of texts) {
    const parsed = parseRule(text, ownNamespaces);
    if ('reason' in parsed) dropped.push({ rule: printable(text.slice(0, 300), 200), ...parsed });
    else if (!rules.some((rule) => isSameRule(rule, parsed))) rules.push(parsed);
  }
  return { rules: rules.sort((a, b) => b.priority - a.priority), dropped };
}

export type Choice =
  | (RuleChoice<Rule> & { readonly kind: Exclude<RuleChoice<Rule>['kind'], 'chosen'> })
  | { readonly kind: 'chosen'; readonly rule: Rule; readonly periodMs: number }
  | { readonly kind: 'period-too-long'; readonly rule: Rule }
  | { readonly kind: 'period-too-short' };

/** The rule and the period that a login gets. */
export function chooseGrant(
  rules: readonly Rule[],
  wish: { readonly role?: string | undefined; readonly periodMs?: number | undefined } = {},
): Choice {
  const choice = chooseRule(rules, wish);
  if (choice.kind !== 'chosen') return choice;
  const { rule } = choice;
  const periodMs = wish.periodMs ?? rule.periodMs;
  if (periodMs > rule.periodMs) return { kind: 'period-too-long', rule };
  if (periodMs < minPeriodMs) return { kind: 'period-too-short' };
  return { kind: 'chosen', rule, periodMs };
}

/** Whether one rule alone gives the role on all of the namespaces; undefined: on the whole cluster. */
export function coversScope(
  rules: readonly Rule[],
  { role, namespaces }: { readonly role: string; readonly namespaces?: readonly string[] | undefined },
): boolean {
  return rules.some((rule) => {
    if (rule.role !== role) return false;
    if (rule.namespaces === undefined) return true;
    // Called for every request through the proxy, and a rule may have many namespaces.
    const granted = new Set(rule.namespaces);
    return namespaces !== undefined && namespaces.every((namespace) => granted.has(namespace));
  });
}

/** The longest period of the rules that cover it; undefined: no rule does. */
export function longestPeriodMs(
  rules: readonly Rule[],
  session: { readonly role: string; readonly namespaces?: readonly string[] | undefined },
): number | undefined {
  const covering = rules.filter((rule) => coversScope([rule], session));
  return covering.length === 0 ? undefined : Math.max(...covering.map(({ periodMs }) => periodMs));
}

/** A rule for messages. */
export function describeRule({ role, namespaces, period, priority }: Rule): string {
  const more = (namespaces?.length ?? 0) - 5;
  const names = `namespaces ${namespaces?.slice(0, 5).join(', ') ?? ''}${more > 0 ? ` and ${more} more` : ''}`;
  const scope = namespaces === undefined ? 'the whole cluster' : names;
  return `${role} in ${scope} for ${period} (priority ${priority})`;
}

function parseRule(text: string, ownNamespaces: readonly string[]): Rule | Omit<DroppedRule, 'rule'> {
  const drop = (reason: string, isTooShort = false) => ({ reason, isTooShort });
  if (text.length > maxRuleLength) return drop(`longer than ${maxRuleLength} characters`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return drop('not JSON');
  }
  const parsed = ruleSchema.safeParse(value);
  if (!parsed.success) return drop(parsed.error.issues.map(describeIssue).join('; '));
  if (hasRepeatedField(text, value)) return drop('a field is repeated');

  const { role, period, priority, namespaces } = parsed.data;
  const own = namespaces?.find((namespace) => ownNamespaces.includes(namespace));
  if (own !== undefined) return drop(`namespaces: ${own} belongs to tka itself`);
  const periodMs = parseDurationMs(period);
  if (periodMs === undefined) return drop('period: must be a duration such as 8h, 90m or 1h30m');
  if (periodMs > maxPeriodMs) return drop('period: must not be longer than 8760h');
  if (periodMs < minPeriodMs) return drop('period: must not be shorter than 10m', true);
  const scope = namespaces === undefined ? {} : { namespaces: [...new Set(namespaces)].sort() };
  return { role, period, periodMs, priority, ...scope };
}

/**
 * JSON.parse silently keeps the last of two equal keys. The schema has ensured that no object is nested, so the text has as many
 * colons outside its strings as it has fields.
 */
function hasRepeatedField(text: string, value: unknown): boolean {
  const colons = text.replaceAll(/"(?:[^"\\]|\\.)*"/g, '').split(':').length - 1;
  return colons !== Object.keys(Object(value)).length;
}

function isSameRule(a: Rule, b: Rule): boolean {
  return (
    a.role === b.role &&
    a.periodMs === b.periodMs &&
    a.priority === b.priority &&
    isSameScope(a.namespaces, b.namespaces)
  );
}

function describeIssue(issue: z.core.$ZodIssue): string {
  if (issue.code === 'unrecognized_keys') {
    return `unknown field ${issue.keys.map((key) => JSON.stringify(printable(key, 40))).join(', ')}`;
  }
  const at = issue.path.join('.');
  return at === '' ? issue.message : `${at}: ${issue.message}`;
}
