import test from 'ava';
import { contextNameFrom, defaultContextName, otherNames } from './context.ts';

const session = { cluster: 'prod', role: 'view', session: 'alice-0123456789' };

for (const [template, role, expected] of [
  ['tka-{cluster}', 'view', 'tka-prod'],
  [defaultContextName, 'edit', 'tka-prod-edit'],
  [defaultContextName, 'NS:Read_$(id)', 'tka-prod-ns-read-id'],
  [defaultContextName, '', 'tka-prod-tka'],
  [defaultContextName, 'x'.repeat(200), `tka-prod-${'x'.repeat(40)}`],
  ['{cluster}-{role}', 'ns:read $(id)', 'prod-ns-read-id-'],
  ['{role}', '--help', 'help'],
  ['{role}', '', 'tka'],
  ['{role}', 'x'.repeat(200), 'x'.repeat(63)],
] as const) {
  test(`the context of ${template} with the role ${JSON.stringify(role.slice(0, 20))} is ${expected.slice(0, 20)}`, (t) => {
    t.is(contextNameFrom(template, { ...session, role }), expected);
  });
}

for (const [name, role, namespaces, expected] of [
  ['tka-prod-edit', 'edit', undefined, ['tka-prod-edit-2', 'tka-prod-edit-3']],
  ['tka-prod-edit', 'edit', ['dev'], ['tka-prod-edit-dev', 'tka-prod-edit-2']],
  ['prod', 'edit', ['dev', 'ops'], ['prod-edit', 'prod-edit-dev-ops', 'prod-2']],
  ['p'.repeat(63), 'edit', undefined, [`${'p'.repeat(58)}-edit`, `${'p'.repeat(61)}-2`]],
] as const) {
  test(`where ${name.slice(0, 20)} is taken, a session of ${role} ${namespaces?.join() ?? ''} is told apart by words`, (t) => {
    const others = otherNames(name, { role, ...(namespaces === undefined ? {} : { namespaces }) });
    t.deepEqual(others.slice(0, expected.length), expected);
    t.true(others.every((one) => /^[a-z0-9.-]{1,63}$/.test(one)));
  });
}

for (const [cluster, role, expected] of [
  ['tka-stack', 'edit', 'tka-stack-edit'],
  ['tka-tka-stack', 'edit', 'tka-tka-stack-edit'],
  ['c'.repeat(100), 'cluster-admin', `tka-${'c'.repeat(45)}-cluster-admin`],
] as const) {
  test(`a session of ${role} at the cluster ${cluster.slice(0, 20)} has the context ${expected.slice(0, 20)}`, (t) => {
    const name = contextNameFrom(defaultContextName, { ...session, cluster, role });
    t.is(name, expected);
    t.true(name.length <= 63);
  });
}
