import test from 'ava';
import { accountName, userLabel } from '../../crd/tkasignin.ts';
import { testSignin } from '../testing/signin.ts';
import { desired } from './desired.ts';

for (const namespaces of [undefined, ['dev', 'ops']] as const) {
  const scope = namespaces?.join(' and ') ?? 'the whole cluster';
  test(`the account and the bindings of a session of ${scope} carry the labels by which they are found`, (t) => {
    const signin = testSignin(namespaces === undefined ? {} : { spec: { namespaces } });
    const { account, bindings } = desired(signin);
    t.deepEqual(
      bindings.map((binding) => [binding.namespace, binding.object.kind]),
      namespaces === undefined ? [[undefined, 'ClusterRoleBinding']] : namespaces.map((name) => [name, 'RoleBinding']),
    );
    for (const { metadata } of [account, ...bindings.map(({ object }) => object)]) {
      t.is(metadata?.name, accountName(signin));
      t.deepEqual(metadata?.labels, {
        'app.kubernetes.io/managed-by': 'tka',
        'tka.specht-labs.de/install': 'tka-sessions',
        'tka.specht-labs.de/signin': signin.metadata.name,
        'tka.specht-labs.de/signin-uid': signin.metadata.uid,
        'tka.specht-labs.de/user': userLabel(signin.spec),
      });
    }
    t.false(account.automountServiceAccountToken);
    for (const { object } of bindings) {
      t.deepEqual(object.subjects, [{ kind: 'ServiceAccount', name: accountName(signin), namespace: 'tka-sessions' }]);
    }
  });
}
