/** Rules of the policy in words. Loads nothing. */
import type { GrantedRule } from '../../node/http/contract.ts';

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
