import test from 'ava';
import * as fc from 'fast-check';
import { dnsLabelPattern, accountName, accountNamePattern, digest, signinName, userLabel } from './tkasignin.ts';

type Identity = Parameters<typeof signinName>[0];

const alice: Identity = { subject: 'h|user:1', username: 'alice@a.example', role: 'view' };

const lookAlikes: readonly (readonly [string, Identity, Identity])[] = [
  ['one local part at two domains', alice, { ...alice, subject: 'h|user:2', username: 'alice@b.example' }],
  [
    'names that give the same slug',
    { ...alice, username: 'a.b@x' },
    { ...alice, subject: 'h|user:2', username: 'a-b@x' },
  ],
  ['user 2 and the tagged node 2', { ...alice, subject: 'h|user:2' }, { ...alice, subject: 'h|node:2' }],
  ['user 1 of two control servers', alice, { ...alice, subject: 'other|user:1' }],
  [
    'names that differ after the slug ends',
    { ...alice, username: `${'a'.repeat(300)}1` },
    { ...alice, subject: 'h|user:2', username: `${'a'.repeat(300)}2` },
  ],
  [
    'names without a Latin letter',
    { ...alice, username: '爱丽丝' },
    { ...alice, subject: 'h|user:2', username: '鲍勃' },
  ],
  ['two roles', alice, { ...alice, role: 'edit' }],
  ['the cluster and one namespace', alice, { ...alice, namespaces: ['dev'] }],
  ['two namespaces and one with a joined name', { ...alice, namespaces: ['a', 'b'] }, { ...alice, namespaces: ['ab'] }],
  ['a namespace called cluster', alice, { ...alice, namespaces: ['cluster'] }],
  [
    'a border between subject and role that moved',
    { ...alice, subject: 'h|user:1', role: '1view' },
    { ...alice, subject: 'h|user:11', role: 'view' },
  ],
];
for (const [title, a, b] of lookAlikes) {
  test(`sessions differ in name: ${title}`, (t) => {
    t.not(signinName(a), signinName(b));
  });
}

test('the order of namespaces does not make another session', (t) => {
  t.is(signinName({ ...alice, namespaces: ['a', 'b'] }), signinName({ ...alice, namespaces: ['b', 'a'] }));
});

test('a display name shows in the session name, and nothing more', (t) => {
  t.regex(signinName(alice), /^alice-a-example-[0-9a-f]{10}$/);
  t.regex(signinName({ ...alice, username: '爱丽丝' }), /^session-[0-9a-f]{10}$/);
  t.regex(signinName({ ...alice, username: 'Zoë' }), /^zoe-[0-9a-f]{10}$/);
});

test('every session name is a DNS label, and every account name is one that the sweep knows', (t) => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'grapheme', maxLength: 300 }),
      fc.string({ maxLength: 50 }),
      fc.uuid(),
      (username, subject, uid) => {
        const name = signinName({ subject, username, role: 'view' });
        const account = accountName({ metadata: { name, uid } });
        return (
          dnsLabelPattern.test(name) && name.length <= 63 && account.length <= 63 && accountNamePattern.test(account)
        );
      },
    ),
  );
  t.pass();
});

test('a namesake made later has another account', (t) => {
  const name = signinName(alice);
  t.not(accountName({ metadata: { name, uid: 'a' } }), accountName({ metadata: { name, uid: 'b' } }));
});

test('no two lists of parts share a digest input', (t) => {
  fc.assert(
    fc.property(fc.array(fc.string(), { maxLength: 4 }), fc.array(fc.string(), { maxLength: 4 }), (a, b) => {
      const same = a.length === b.length && a.every((part, index) => part === b[index]);
      return same === (digest(a) === digest(b));
    }),
  );
  t.not(digest(['1:', 'a']), digest(['1', ':a']));
});

test('names of the earlier product and of people are not swept', (t) => {
  for (const name of [
    'tka-user-alice',
    'tka-user-alice-binding',
    'tka',
    'tka-bindable-roles',
    'my-tka-alice-0123456789-01234567',
  ]) {
    t.false(accountNamePattern.test(name), name);
  }
});

test('the user label is a digest of the subject alone: the same for another role, different for another subject', (t) => {
  t.regex(userLabel(alice), /^[0-9a-f]{16}$/);
  t.is(userLabel({ subject: alice.subject }), userLabel(alice));
  t.not(userLabel({ subject: 'h|user:2' }), userLabel(alice));
});
