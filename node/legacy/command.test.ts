import test from 'ava';
import { describeFindings, describeRemoval } from './command.ts';
import type { LegacyObject } from './index.ts';

const binding: LegacyObject = {
  kind: 'ClusterRoleBinding',
  namespace: undefined,
  name: 'tka-user-alice-binding',
  uid: 'u',
  finalizers: [],
  role: 'cluster-admin',
};
const held: LegacyObject = {
  kind: 'TkaSignin',
  namespace: 'tka-dev',
  name: 'tka-user-alice',
  uid: 'v',
  finalizers: ['a/b'],
};

test('found objects are listed, with the command that removes them', (t) => {
  t.deepEqual(describeFindings({ objects: [binding], complete: true }), [
    'ClusterRoleBinding tka-user-alice-binding (cluster-admin)',
    'Remove them with: tka-server legacy --remove',
  ]);
});

test('nothing found is said only where everything could be seen', (t) => {
  t.deepEqual(describeFindings({ objects: [], complete: true }), ['An earlier tka left nothing here.']);
  t.regex(describeFindings({ objects: [], complete: false }).join(), /^There may be more/);
});

test('removed objects and those held by finalizers are listed separately', (t) => {
  const lines = describeRemoval({ objects: [binding, held], complete: true }, { removed: [binding], held: [held] });
  t.deepEqual(lines.slice(0, 2), [
    'removed ClusterRoleBinding tka-user-alice-binding (cluster-admin)',
    'held by a/b: TkaSignin tka-dev/tka-user-alice',
  ]);
});
