import test from 'ava';
import { capability, defaultUsers, peopleIn, policyOf, policyText } from './policy.ts';

const rulesFor = (source: string): readonly unknown[] =>
  policyOf()
    .grants.filter(({ src }) => src.includes(source))
    .flatMap(({ app }) => app?.[capability] ?? []);

test('the default policy grants alice, bob and CI what the command promises, and carol nothing', (t) => {
  t.like(rulesFor('alice@example.com'), [{ role: 'cluster-admin', period: '8h' }]);
  t.like(rulesFor('bob@example.com'), [{ role: 'view', period: '1h' }]);
  t.like(rulesFor('tag:ci'), [{ role: 'edit', period: '30m', namespaces: ['default'] }]);
  t.deepEqual(rulesFor('carol@example.com'), []);
  t.true(defaultUsers.includes('carol@example.com'));
});

test('every tag that a policy grants something has an owner, or headscale would refuse it', (t) => {
  const policy = policyOf({ 'tag:deploy': [{ role: 'view', period: '1h' }] });
  t.deepEqual(Object.keys(policy.tagOwners).sort(), ['tag:ci', 'tag:deploy', 'tag:tka']);
});

test('people are found wherever a policy names them', (t) => {
  const text = `${policyText(policyOf())} // and "dave@example.com", "erin@", "autogroup:member", "group:a@b"`;
  t.deepEqual(peopleIn(text), [
    'alice@example.com',
    'bob@example.com',
    'dave@example.com',
    'erin',
    'operator@example.com',
  ]);
});
