/**
 * What RBAC and the admission policies keep people, and tka itself, from doing. Everybody here is impersonated by the
 * cluster's admin, which the API server treats as the user itself; `mallory` holds cluster-admin, without system:masters.
 */
import test from 'ava';
import { until } from '../../dev/stack/until.ts';
import { accountName } from '../../crd/tkasignin.ts';
import { attempts, patch } from './attempts.ts';
import { login, namespace, signIn, tka, type World } from './world.ts';

/** Verb, resource and place that tka must be refused. */
const notAllowed: readonly (readonly string[])[] = [
  ['escalate', 'clusterroles'],
  ['bind', 'clusterroles'],
  ['bind', 'clusterroles/system:node'],
  ['impersonate', 'users'],
  ['impersonate', 'serviceaccounts'],
  ['impersonate', 'groups'],
  ['get', 'secrets', '-A'],
  ['list', 'secrets', '-A'],
  ['get', 'secrets', '-n', namespace],
  ['get', 'secrets', '-n', 'tka-system'],
  ['list', 'secrets', '-n', 'tka-system'],
  ['create', 'secrets', '-n', 'tka-system'],
  ['get', 'secrets/tka-auth', '-n', 'tka-system'],
  ['get', 'secrets/tka-0-state', '-n', namespace],
  ['update', 'secrets/tka-0-state', '-n', 'tka-system'],
  ['delete', 'secrets/tka-0-state', '-n', 'tka-system'],
  ['delete', 'secrets/tka-server-key', '-n', 'tka-system'],
  ['create', 'serviceaccounts', '--subresource=token', '-A'],
  ['create', 'serviceaccounts', '--subresource=token', '-n', 'tka-system'],
  ['create', 'serviceaccounts', '-n', 'default'],
  ['create', 'pods', '-n', namespace],
  ['update', 'clusterrolebindings'],
  ['patch', 'clusterrolebindings'],
  ['create', 'clusterroles'],
  ['update', 'validatingadmissionpolicies'],
  ['delete', 'validatingadmissionpolicies'],
  ['create', 'namespaces'],
  ['create', 'leases', '-n', namespace],
  ['create', 'leases', '-n', 'kube-system'],
  ['list', 'leases', '-n', 'tka-system'],
  ['delete', 'leases/tka', '-n', 'tka-system'],
  ['patch', 'leases/another', '-n', 'tka-system'],
  ['deletecollection', 'clusterrolebindings'],
];

export function admissionCases(world: () => World): void {
  test.serial('the admission policies and RBAC refuse what they must, and nothing else', async (t) => {
    await using running = await world().run();
    const kubectl: World['stack']['kubectl'] = (args, options) => world().stack.kubectl(args, options);
    await kubectl(['create', 'clusterrolebinding', 'mallory', '--clusterrole=cluster-admin', '--user=mallory']);
    const signin = await signIn(running, login('alice'));
    // RBAC takes up the binding of mallory's a moment later.
    await until(async () => (await kubectl(['auth', 'can-i', '*', '*', '--as=mallory'])).stdout.trim() === 'yes', {
      what: "mallory's rights",
      timeoutMs: 10_000,
    });
    const results = await Promise.all(
      attempts.map(async ({ title, as, args, input = '', refusedBy }) => {
        const command = [...args(signin.metadata.name, accountName(signin)), `--as=${as}`];
        const { code, stderr } = await kubectl(command, { input });
        return { title, refusedBy, code, stderr };
      }),
    );
    for (const { title, refusedBy, code, stderr } of results) {
      if (refusedBy === undefined) t.is(code, 0, `${title}: ${stderr}`);
      else t.regex(stderr, refusedBy, title);
    }
    await kubectl(['delete', 'clusterrolebinding', 'mallory']);
    await world().endAll();
  });

  test.serial('tka holds no right that it does not need', async (t) => {
    const answers = await Promise.all(
      notAllowed.map(async (question) => {
        const { stdout } = await world().stack.kubectl(['auth', 'can-i', ...question, `--as=${tka}`]);
        return [question.join(' '), stdout.trim()] as const;
      }),
    );
    for (const [question, answer] of answers) t.is(answer, 'no', question);
  });

  test.serial('who a session belongs to and what it may do cannot be changed, by tka neither', async (t) => {
    await using running = await world().run();
    const cluster = await signIn(running, login('alice'));
    const inOne = await signIn(running, login('bob', { namespaces: ['default'] }));
    const changes: readonly (readonly [string, string])[] = [
      [cluster.metadata.name, '{"spec":{"subject":"control.example|user:2"}}'],
      [cluster.metadata.name, '{"spec":{"username":"mallory"}}'],
      [cluster.metadata.name, '{"spec":{"role":"cluster-admin"}}'],
      [cluster.metadata.name, '{"spec":{"namespaces":["default"]}}'],
      [inOne.metadata.name, '{"spec":{"namespaces":null}}'],
      [inOne.metadata.name, '{"spec":{"namespaces":["default","kube-system"]}}'],
      [inOne.metadata.name, '{"spec":{"namespaces":["kube-system"]}}'],
    ];
    for (const [name, body] of changes) {
      const { stderr } = await world().stack.kubectl([...patch(name, body), `--as=${tka}`]);
      t.regex(stderr, /immutable|cannot be added or removed/, body);
    }
    for (const body of ['{"spec":{"expiresAt":"soon"}}', '{"spec":{"expiresAt":"2099-01-01T00:00:00.5Z"}}']) {
      const { stderr } = await world().stack.kubectl([...patch(cluster.metadata.name, body), `--as=${tka}`]);
      t.regex(stderr, /expiresAt/, body);
    }
    await world().endAll();
  });

  test.serial('kubectl get signin shows who, what, whether and until when', async (t) => {
    await using running = await world().run();
    const { spec } = await signIn(running, login('alice'));
    const { stdout } = await world().stack.kubectl(['get', 'signin', '-n', namespace]);
    const [head = '', row = ''] = stdout.split('\n');
    t.regex(head, /NAME +USER +ROLE +READY +UNTIL +AGE/);
    t.regex(row, new RegExp(`alice@example\\.com +view +True +${spec.expiresAt}`));
    await world().endAll();
  });
}
