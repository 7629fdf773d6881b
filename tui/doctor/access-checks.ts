/** Who the caller is to the server, what it may have, and whether what it has works. */
import { exitCodes } from '../errors.ts';
import { describeGrant } from '../sessions/grant.ts';
import { chooseRule } from '../../node/http/rules.ts';
import { formatRemaining, printable } from '../terminal/output.ts';
import { type Check, failed, ifKnown, ok, skipped, warning } from './check.ts';
import { findProgram, runProgram } from '../files/programs.ts';

export const accessChecks: readonly Check[] = [
  {
    name: 'identity',
    async run({ answer, whoami }) {
      if ((await ifKnown(answer())) === undefined) return skipped('the server did not answer');
      const { username, node, tags } = await whoami();
      return ok(`${username}, on ${node}${tags.length === 0 ? '' : ` (${tags.join(', ')})`}`);
    },
  },
  {
    name: 'grant',
    async run({ whoami }) {
      const known = await ifKnown(whoami());
      if (known === undefined) return skipped('the server does not report grants');
      const { rules, dropped } = known;
      const forecast = chooseRule(rules);
      const reasons = dropped.map(({ rule, reason }) => `Dropped: ${rule}: ${reason}`);
      if (forecast.kind === 'none') {
        const remedy = ['Ask your tailnet admin for a grant of the capability specht-labs.de/cap/tka.'];
        return failed('the tailnet policy grants you no role', [...reasons, ...remedy], exitCodes.denied);
      }
      if (forecast.kind === 'ambiguous') {
        const tied = forecast.rules.map(describeGrant).join('; ');
        return warning(
          `several rules have the highest priority: ${tied}`,
          ...reasons,
          'Choose one: tka login --role ROLE',
        );
      }
      if (forecast.kind === 'role-not-granted') return skipped('no role was asked for');
      const grant = `a login gives ${describeGrant(forecast.rule)}`;
      const others = rules.length > 1 ? `, ${rules.length - 1} more: tka roles` : '';
      if (reasons.length === 0) return ok(`${grant}${others}`);
      return warning(`${grant}, but rules of the policy were dropped`, ...reasons);
    },
  },
  {
    name: 'session',
    async run({ sessions }) {
      const rows = await ifKnown(sessions());
      if (rows === undefined) return skipped('the server does not list sessions');
      const alive = rows.filter(({ state }) => state === 'ready' || state === 'provisioning');
      const ended = rows.filter(({ state }) => state === 'ended').flatMap(({ contexts }) => contexts);
      if (ended.length > 0) {
        const names = ended.map((name) => printable(name, 100)).join(', ');
        return warning(`contexts of ended sessions: ${names}`, 'Log in again, or: tka logout --local');
      }
      if (alive.length === 0) return skipped('no active session (run: tka login)');
      const list = alive.map(({ session, role, remainingSeconds = 0 }) => {
        return `${session} (${role ?? '-'}, ${formatRemaining(remainingSeconds * 1000)} left)`;
      });
      return ok(list.join(', '));
    },
  },
  {
    name: 'rights',
    async run({ kubeconfig, runtime, flags, timeoutMs }) {
      const own = (await ifKnown(kubeconfig()))?.own ?? [];
      const current = own.find((context) => context.current);
      if (current === undefined) return skipped('current kubectl context is not managed by tka');
      const kubectl = findProgram(runtime.env, 'kubectl');
      if (kubectl === undefined) return skipped('kubectl is not installed');
      const file = flags.kubeconfig === undefined ? [] : ['--kubeconfig', flags.kubeconfig];
      const review = {
        apiVersion: 'authorization.k8s.io/v1',
        kind: 'SelfSubjectRulesReview',
        spec: { namespace: 'default' },
      };
      // As kubectl itself gets there: by its entry, its credential plugin, its proxy.
      const args = [...file, '--context', current.context, 'create', '--raw', reviewPath, '-f', '-'];
      const ran = await runProgram(runtime, kubectl, args, { input: JSON.stringify(review), timeoutMs: timeoutMs * 2 });
      if (ran.code !== 0) {
        const said = printable(ran.stderr.trim().split('\n').at(-1) ?? '', 300);
        return failed(`kubectl cannot use the context ${printable(current.context, 100)}: ${said}`, [
          "Log in again: tka login. If it persists, the cluster does not accept the server's tokens.",
        ]);
      }
      const rights = countRights(ran.stdout);
      const what = `in the namespace default, by the context ${printable(current.context, 100)}`;
      if (rights === undefined) return skipped('the API server does not report the rights');
      if (rights > 0) return ok(`kubectl authorized (${rights} ${rights === 1 ? 'rule' : 'rules'}) ${what}`);
      return warning(
        `kubectl authorized, without any rights ${what}`,
        'A role in some namespaces grants nothing elsewhere: tka roles. Otherwise, the role may not exist in the cluster.',
      );
    },
  },
];

const reviewPath = '/apis/authorization.k8s.io/v1/selfsubjectrulesreviews';

/** Rules about more than oneself, which everybody may ask about. */
export function countRights(text: string): number | undefined {
  let review: unknown;
  try {
    review = JSON.parse(text);
  } catch {
    return undefined;
  }
  // Checked as it is walked: the API server's own answer, through kubectl.
  const { resourceRules } = (review as { status?: { resourceRules?: unknown } }).status ?? {};
  if (!Array.isArray(resourceRules)) return undefined;
  return resourceRules.filter((rule: { apiGroups?: readonly string[] }) => {
    const groups = rule.apiGroups ?? [];
    return !groups.every((group) => group === 'authorization.k8s.io' || group === 'authentication.k8s.io');
  }).length;
}
