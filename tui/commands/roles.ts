/**
 * `tka roles`: what the policy grants the caller at a server: each rule with what a login makes of it; which rules the
 * server could not use, and why.
 */
import type { GrantedRule, WhoamiResponse } from '../../node/http/contract.ts';
import { writeData } from '../terminal/structured-output.ts';
import type { RolesFlags } from '../flags.ts';
import { describeGrant, nameScope } from '../sessions/grant.ts';
import { chooseRule, rolesOf } from '../../node/http/rules.ts';
import { createWords, renderTable, type Words } from '../terminal/output.ts';
import type { Runtime } from '../runtime.ts';
import { askWhoami } from './whoami.ts';

export async function roles(runtime: Runtime, flags: RolesFlags): Promise<void> {
  const words = createWords(runtime, flags.quiet === true);
  const { server, answer } = await askWhoami(runtime, flags);
  const { username, rules, dropped } = answer;
  const rows = rules.map((rule) => ({ ...rule, state: stateOf(rule, rules) }));
  if (flags.output !== undefined) {
    return writeData(runtime, flags.output, { server, username, rules: rows, dropped }, rolesOf(rules));
  }
  const lines = rows.map(({ role, namespaces, period, priority, state }) => [
    state === 'default' ? '*' : '',
    role,
    namespaces === undefined ? 'the whole cluster' : nameScope(namespaces),
    period,
    String(priority),
    notes[state],
  ]);
  const head = ['DEFAULT', 'ROLE', 'SCOPE', 'PERIOD', 'PRIORITY', 'NOTE'];
  if (lines.length > 0) runtime.stdout.write(renderTable([head, ...lines]));
  const reasons = dropped.map(({ rule, reason }) => [reason, rule]);
  if (reasons.length > 0) runtime.stdout.write(`\n${renderTable([['DROPPED BECAUSE', 'RULE'], ...reasons])}`);
  explain(words, server, answer);
}

/**
 * default: what a login without --role gets. available: what `--role` gets. shadowed: another rule of that role comes before it.
 * tied: another rule of that role comes neither before nor after it, so the server refuses to choose.
 */
type RuleState = 'default' | 'available' | 'shadowed' | 'tied';

const notes: Readonly<Record<RuleState, string>> = {
  default: '',
  available: '',
  shadowed: 'never used: another rule of this role has a higher priority',
  tied: 'refused: another rule of this role has the same priority',
};

export function stateOf(rule: GrantedRule, rules: readonly GrantedRule[]): RuleState {
  const unasked = chooseRule(rules);
  if (unasked.kind === 'chosen' && unasked.rule === rule) return 'default';
  const asked = chooseRule(rules, rule);
  if (asked.kind === 'chosen' && asked.rule === rule) return 'available';
  return asked.kind === 'ambiguous' && asked.rules.includes(rule) ? 'tied' : 'shadowed';
}

function explain(words: Words, server: string, { username, rules }: WhoamiResponse): void {
  const forecast = chooseRule(rules);
  if (forecast.kind === 'none') {
    words.say(`The policy grants ${username} nothing at ${server}. Ask your tailnet admin.`);
  } else if (forecast.kind === 'ambiguous') {
    words.say('A login without --role is refused, because these have the same priority:');
    for (const rule of forecast.rules) words.say(`  ${describeGrant(rule)}`);
  }
}
