import test from 'ava';
import { contextNameFrom } from './place.ts';

const session = { cluster: 'prod', role: 'view', session: 'alice-0123456789' };

for (const [template, role, expected] of [
  ['tka-{cluster}', 'view', 'tka-prod'],
  ['{cluster}-{role}', 'ns:read $(id)', 'prod-ns-read-id-'],
  ['{role}', '--help', 'help'],
  ['{role}', '', 'tka'],
  ['{role}', 'x'.repeat(200), 'x'.repeat(63)],
] as const) {
  test(`the context of ${template} with the role ${JSON.stringify(role.slice(0, 20))} is ${expected.slice(0, 20)}`, (t) => {
    t.is(contextNameFrom(template, { ...session, role }), expected);
  });
}
