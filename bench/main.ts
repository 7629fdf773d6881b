/**
 * `npm run bench`: the figures of docs/performance.md, on a stack of its own. Prints one Markdown table a measurement.
 *
 * What is compared stands beside its reference, measured in the same rounds. `--rounds N` for a quick look; the default
 * is what the documentation shows.
 */
import { parseArgs } from 'node:util';
import { policyOf } from '../dev/stack/policy.ts';
import { startStack } from '../dev/stack/stack.ts';
import { measureCommand } from './command.ts';
import { benchRoles, installBenchRoles, measureLogins } from './logins.ts';
import { measureMemory } from './memory.ts';

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '15' } } });
const rounds = Number(values.rounds);
const user = 'bench@example.com';

await using stack = await startStack({
  users: [user],
  policy: policyOf({
    [user]: benchRoles.map((role, priority) => ({ role, period: '1h', priority })),
  }),
  tka: false,
});
await installBenchRoles(stack);
const config = {
  roles: { clusterWide: benchRoles },
  limits: { loginsPerMinute: 1_000_000, totalLoginsPerMinute: 1_000_000 },
  log: { level: 'info' },
};
const say = (what: string) => (round: number) => process.stderr.write(`${what}: round ${round} of ${rounds}\n`);

console.log(await measureMemory(stack, { config, rounds, onRound: say('memory') }));
console.log(await measureLogins(stack, { user, rounds, onRound: say('logins') }));
console.log(await measureCommand(stack, { user, rounds, onRound: say('command') }));
