import test from 'ava';
import type { RbacV1Subject, V1RoleBinding } from '@kubernetes/client-node';
import { accountName, labels } from '../../crd/tkasignin.ts';
import { desired } from '../reconcile/desired.ts';
import { foreignBindings } from './foreign-bindings.ts';
import { testSignin } from '../testing/signin.ts';

const place = 'tka-sessions';
const alice = testSignin();
const bob = testSignin({ metadata: { name: 'bob-0123456789', uid: '2' }, spec: { namespaces: ['a'] } });
const account = (name: string): RbacV1Subject => ({ kind: 'ServiceAccount', name, namespace: place });
const [hers] = desired(alice).bindings;
const [his] = desired(bob).bindings;
if (hers === undefined || his === undefined) throw new Error('a session has a binding');

const dead = testSignin({ metadata: { name: 'carol-0123456789', uid: '3' } });
const role = (name: string) => ({ apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name });
const by = (name: string, subjects: RbacV1Subject[], namespace?: string) => ({
  metadata: { name, ...(namespace === undefined ? {} : { namespace }) },
  roleRef: role('cluster-admin'),
  subjects,
});

function changed<T extends object | undefined>(object: T, fields: object): T {
  return Object.assign({}, object, fields);
}

const own: readonly (readonly [string, V1RoleBinding])[] = [
  ['of a live session', hers.object],
  [
    'under another of its names',
    changed(his.object, { metadata: changed(his.object.metadata, { name: `${his.name}-2` }) }),
  ],
  ['of a session that has ended, which the sweep removes', desired(dead).bindings[0]?.object ?? hers.object],
  ['of an account in another namespace', by('x', [changed(account('x'), { namespace: 'default' })])],
  ['of a user with another name', by('x', [{ kind: 'User', name: 'system:serviceaccount:default:x' }])],
  ['of all accounts of the cluster', by('x', [{ kind: 'Group', name: 'system:serviceaccounts' }])],
  ['without subjects', by('x', [])],
];
for (const [title, binding] of own) {
  test(`not reported: a binding ${title}`, (t) => {
    t.deepEqual(foreignBindings([binding], place, [alice, bob]), []);
  });
}

const foreign: readonly (readonly [string, V1RoleBinding, readonly string[]])[] = [
  ['with a name of its own', by('mine', [account(accountName(alice))]), [accountName(alice)]],
  ['of an account without a session', by('mine', [account('tka-x')], 'a'), ['tka-x']],
  [
    'by the user name of an account',
    by('mine', [{ kind: 'User', name: `system:serviceaccount:${place}:tka-x` }]),
    ['tka-x'],
  ],
  ['of every session at once', by('mine', [{ kind: 'Group', name: `system:serviceaccounts:${place}` }]), ['*']],
  ["under the session's own name with another role", changed(hers.object, { roleRef: role('edit') }), [hers.name]],
  [
    "under the session's own name elsewhere",
    changed(his.object, { metadata: changed(his.object.metadata, { namespace: 'b' }) }),
    [his.name],
  ],
  [
    "under the session's own name with one more subject",
    changed(his.object, { subjects: [account(his.name), { kind: 'User', name: 'mallory' }] }),
    [his.name],
  ],
  [
    'with the labels of a dead session that lead to another name',
    {
      ...by('mine', [account('tka-x')]),
      metadata: { name: 'tka-x', labels: { [labels.signin]: 'x', [labels.signinUid]: '9' } },
    },
    ['tka-x'],
  ],
];
for (const [title, binding, accounts] of foreign) {
  test(`reported: a binding ${title}`, (t) => {
    t.deepEqual(
      foreignBindings([binding], place, [alice, bob]).map((found) => found.accounts),
      [[...accounts]],
    );
  });
}
