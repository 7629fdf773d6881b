import test from 'ava';
import { accountName } from '../../crd/tkasignin.ts';
import { accountKey, bindingKey, desired } from '../reconcile/desired.ts';
import { compare, isForged, isOurs, type Owned } from './sweep.ts';
import { testSignin } from '../testing/signin.ts';

const signin = testSignin({ spec: { namespaces: ['a', 'b'] } });
const wanted = desired(signin);
const base = { name: accountName(signin), signin: signin.metadata.name, signinUid: signin.metadata.uid };
const account: Owned = { ...base, kind: 'ServiceAccount', namespace: 'tka-sessions' };
const bindings = wanted.bindings.map(({ namespace, object: { roleRef, subjects = [] } }): Owned => ({
  ...base,
  kind: 'RoleBinding',
  namespace,
  grant: { roleRef, subjects },
}));
const [inA, inB] = bindings;

function withGrant(owned: Owned | undefined, grant: Partial<NonNullable<Owned['grant']>>): Owned {
  if (owned?.grant === undefined) throw new Error('a binding has a grant');
  return { ...owned, grant: { ...owned.grant, ...grant } };
}

const session = { kind: 'ServiceAccount', name: base.name, namespace: 'tka-sessions' };
const user = { kind: 'User', name: 'bob', apiGroup: 'rbac.authorization.k8s.io' };

/** What the policy tka-bindings lets a token of tka's account create, for any account in the namespace. */
function forgedBinding(): Owned {
  const name = `${base.name.slice(0, -8)}deadbeef`;
  return { ...withGrant(inA, { subjects: [{ ...session, name }] }), name };
}

test('a binding is forged if its account is not that of the session in its labels', (t) => {
  t.true(isForged(forgedBinding()));
  t.false(isForged(withGrant(inA, {})));
  t.false(isForged(account));
});

const candidates: readonly (readonly [string, Owned, boolean])[] = [
  ['an account of a session', account, true],
  ['a binding of a session account', withGrant(inA, {}), true],
  ['a name that we do not make', { ...account, name: 'tka-user-alice' }, false],
  ['an account in another namespace', { ...account, namespace: 'default' }, false],
  [
    'a binding of an account in another namespace',
    withGrant(inA, { subjects: [{ ...session, namespace: 'x' }] }),
    false,
  ],
  ['a binding of a session account and a user', withGrant(inA, { subjects: [session, user] }), false],
  ['a binding without subjects', withGrant(inA, { subjects: [] }), false],
  ['a binding of two session accounts', withGrant(inA, { subjects: [session, session] }), false],
  ['a binding by another name', { ...withGrant(inA, {}), name: 'tka-user-alice' }, false],
  ['a binding by the second name', { ...withGrant(inA, {}), name: `${base.name}-2` }, true],
  ['a binding of an account of another session', { ...withGrant(inA, {}), signin: 'bob-0123456789' }, false],
  ['a binding of an account that its labels do not lead to', forgedBinding(), true],
];
for (const [title, object, expected] of candidates) {
  test(`${title} is ${expected ? 'removable' : 'not removable'}`, (t) => {
    t.is(isOurs(object, 'tka-sessions'), expected);
  });
}

const otherRole = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' };
const damage: readonly (readonly [string, readonly (Owned | undefined)[], Readonly<Record<string, string>>])[] = [
  ['nothing is wrong where all is there', [account, inA, inB], {}],
  ['a missing account', [inA, inB], { [accountKey]: 'absent' }],
  ['a missing binding', [account, inB], { [bindingKey('a')]: 'absent' }],
  [
    'a binding to another role',
    [account, withGrant(inA, { roleRef: otherRole }), inB],
    { [bindingKey('a')]: 'drifted' },
  ],
  [
    'a binding of others too',
    [account, inA, withGrant(inB, { subjects: [session, user] })],
    { [bindingKey('b')]: 'drifted' },
  ],
  ['a binding without subjects', [account, inA, withGrant(inB, { subjects: [] })], { [bindingKey('b')]: 'drifted' }],
  ['everything missing', [], { [accountKey]: 'absent', [bindingKey('a')]: 'absent', [bindingKey('b')]: 'absent' }],
];
for (const [title, owned, expected] of damage) {
  test(`seen: ${title}`, (t) => {
    const found = compare(
      signin,
      owned.flatMap((object) => (object === undefined ? [] : [object])),
    );
    t.deepEqual(Object.fromEntries(found), expected);
  });
}
