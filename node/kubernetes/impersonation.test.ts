import test from 'ava';
import { impersonationHeaders } from './impersonation.ts';

const kubeconfig = `
users:
- name: plain
  user: {token: x, as: someone}
- name: whole
  user:
    as: someone
    as-groups: [a, b]
    as-uid: u
    as-user-extra: {example.com/Scope: [x, y]}
- name: empty
`;

test('groups, UID and extra fields of the user become headers, slashes encoded', (t) => {
  t.deepEqual(impersonationHeaders(kubeconfig, 'whole'), {
    'impersonate-group': ['a', 'b'],
    'impersonate-uid': ['u'],
    'impersonate-extra-example.com%2fscope': ['x', 'y'],
  });
});

for (const name of ['plain', 'empty', 'missing']) {
  test(`a user ${name} has no such headers`, (t) => {
    t.deepEqual(impersonationHeaders(kubeconfig, name), {});
  });
}
