/**
 * What RBAC and the admission policies keep people, and tka itself, from doing. Users are impersonated by the cluster's admin,
 * which the API server treats as the user itself, except that an impersonated ServiceAccount is not the account itself to the
 * policies: tka acts with a token of its own. `mallory` holds cluster-admin, without system:masters.
 */
import test from 'ava';
import { until } from '../../dev/stack/until.ts';
import { accountName, type TkaSignin } from '../../crd/tkasignin.ts';
import { bindingAttempts } from './attempts-bindings.ts';
import { serverAttempts, targetPod } from './attempts-server.ts';
import { type Attempt, attempts, patch } from './attempts.ts';
import { podYaml, statefulSetYaml } from './workloads.ts';
import { login, namespace, signIn, tka, tokenOf, type World } from './world.ts';

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

/** Makes each attempt as its user, all at once. */
async function outcomes(world: World, tried: readonly Attempt[], session = '', account = '') {
  return await Promise.all(
    tried.map(async ({ title, as, isImpersonated = false, args, input = '', refusedBy }) => {
      const { code, stderr } = await world.stack.kubectl(
        as === tka && !isImpersonated ? args(session, account) : [`--as=${as}`, ...args(session, account)],
        as === tka && !isImpersonated ? { input, kubeconfig: world.tkaKubeconfig } : { input },
      );
      return { title, refusedBy, code, stderr };
    }),
  );
}

/** The attempts that ended otherwise than they should, each with what kubectl said. */
function unexpected(made: Awaited<ReturnType<typeof outcomes>>): readonly string[] {
  return made
    .filter(({ refusedBy, code, stderr }) => (refusedBy === undefined ? code !== 0 : !refusedBy.test(stderr)))
    .map(({ title, code, stderr }) => `${title}: exit code ${code}: ${stderr}`);
}

/** By name of the object: what each user of the attempts holds. */
const holders: Readonly<Record<string, readonly string[]>> = {
  mallory: ['clusterrolebinding', '--clusterrole=cluster-admin', '--user=mallory'],
  argocd: ['clusterrolebinding', '--clusterrole=cluster-admin', '--serviceaccount=default:argocd'],
  eve: ['clusterrolebinding', '--clusterrole=edit', '--user=eve'],
  ned: ['rolebinding', '--clusterrole=edit', '--user=ned', '-n=tka-system'],
  ingrid: ['rolebinding', '--clusterrole=edit', '--user=ingrid', '-n=tka-system'],
  // edit has no right on ephemeral containers; whoever adds it must not open tka's pod with it.
  debugger: ['clusterrole', '--verb=patch', '--resource=pods/ephemeralcontainers'],
  'eve-debugs': ['clusterrolebinding', '--clusterrole=debugger', '--user=eve'],
  'ned-debugs': ['clusterrolebinding', '--clusterrole=debugger', '--user=ned'],
  'ingrid-installs': ['rolebinding', '--role=tka-installer', '--user=ingrid', '-n=tka-system'],
};

async function withHolders(world: World, work: () => Promise<void>): Promise<void> {
  const kubectl: typeof world.stack.kubectl = (...args) => world.stack.kubectl(...args);
  for (const [name, [kind = '', ...flags]] of Object.entries(holders)) await kubectl(['create', kind, name, ...flags]);
  try {
    // RBAC takes up a binding a moment later.
    for (const [user, verb, what] of [
      ['mallory', '*', ['*']],
      ['system:serviceaccount:default:argocd', '*', ['*']],
      ['eve', 'create', ['pods']],
      ['ned', 'create', ['pods']],
      ['ned', 'patch', ['pods', '--subresource=ephemeralcontainers']],
      ['ingrid', 'install', ['serviceaccounts/tka']],
    ] as const) {
      const can = async (): Promise<boolean> =>
        (await kubectl(['auth', 'can-i', verb, ...what, '-n', 'tka-system', `--as=${user}`])).stdout.trim() === 'yes';
      await until(can, { what: `the rights of ${user}`, timeoutMs: 10_000 });
    }
    await work();
  } finally {
    for (const [name, [kind = '']] of Object.entries(holders)) {
      await kubectl(['delete', kind, name, ...(kind === 'rolebinding' ? ['-n', 'tka-system'] : [])]);
    }
  }
}

export function admissionCases(world: () => World): void {
  test.serial('the admission policies and RBAC refuse what they must, and nothing else', async (t) => {
    await using running = await world().run();
    const signin = await signIn(running, login('alice', { role: 'cluster-admin' }));
    await withHolders(world(), async () => {
      t.deepEqual(
        unexpected(
          await outcomes(world(), [...attempts, ...bindingAttempts], signin.metadata.name, accountName(signin)),
        ),
        [],
      );
    });
    const own = await world().stack.kubectl(
      ['create', 'configmap', 'c', '-n=default', '--dry-run=server', `--token=${await tokenOf(running, signin)}`],
      { kubeconfig: world().tkaKubeconfig },
    );
    t.is(own.code, 0, `the session with its own token: ${own.stderr}`);
    await world().endAll();
  });

  test.serial("tka's account, pods, Secrets and settings are its installer's alone", async (t) => {
    const { stack } = world();
    const kubectl: typeof stack.kubectl = (...args) => stack.kubectl(...args);
    const objects = [podYaml(targetPod, 'tka'), statefulSetYaml('tka', 'tka')].join('---\n');
    t.is((await kubectl(['create', '-f', '-'], { input: objects })).code, 0);
    try {
      await withHolders(world(), async () => {
        t.deepEqual(unexpected(await outcomes(world(), serverAttempts)), []);
      });
    } finally {
      await kubectl(['delete', '-f', '-', '--wait=false', '--force'], { input: objects });
    }
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
      const { stderr } = await world().stack.kubectl(patch(name, body), { kubeconfig: world().tkaKubeconfig });
      t.regex(stderr, /immutable|cannot be added or removed/, body);
    }
    for (const body of ['{"spec":{"expiresAt":"soon"}}', '{"spec":{"expiresAt":"2099-01-01T00:00:00.5Z"}}']) {
      const { stderr } = await world().stack.kubectl(patch(cluster.metadata.name, body), {
        kubeconfig: world().tkaKubeconfig,
      });
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

  test.serial('sessions are selected by user name, role and the label of their user', async (t) => {
    await using running = await world().run();
    const alice = await signIn(running, login('alice'));
    const edits = await signIn(running, login('alice', { role: 'edit', namespaces: ['default'] }));
    const bob = await signIn(running, login('bob'));
    const found = async (kind: string, ...flags: readonly string[]): Promise<readonly string[]> => {
      const { code, stdout, stderr } = await world().stack.kubectl(['get', kind, '-A', '-o', 'name', ...flags]);
      t.is(code, 0, stderr);
      return stdout.trim().split('\n');
    };
    const named = (...signins: readonly TkaSignin[]): readonly string[] =>
      signins.map(({ metadata }) => `tkasignin.tka.specht-labs.de/${metadata.name}`).toSorted();
    t.deepEqual(await found('signin', '--field-selector=spec.username=alice@example.com'), named(alice, edits));
    t.deepEqual(await found('signin', '--field-selector=spec.role=view'), named(alice, bob));
    t.deepEqual(await found('signin', `--field-selector=spec.subject=${bob.spec.subject}`), named(bob));
    const label = bob.metadata.labels?.['tka.specht-labs.de/user'] ?? '';
    t.false(label.includes('bob'));
    const selector = `-l=tka.specht-labs.de/user=${label}`;
    t.deepEqual(await found('signin', selector), named(bob));
    t.deepEqual(await found('serviceaccount', selector), [`serviceaccount/${accountName(bob)}`]);
    t.is((await found('clusterrolebinding', selector)).length, 1);
    await world().endAll();
  });

  test.serial(
    'who is logged in is seen with admin in the whole cluster or the role tka-viewer, not with view or edit',
    async (t) => {
      const { stack } = world();
      const kubectl: typeof stack.kubectl = (...args) => stack.kubectl(...args);
      const roles = ['view', 'edit', 'admin', 'tka-viewer'];
      const user = (role: string): string => `sees-with-${role}`;
      for (const role of roles)
        await kubectl(['create', 'clusterrolebinding', user(role), `--clusterrole=${role}`, `--user=${user(role)}`]);
      const may = async (role: string, verb: string): Promise<string> =>
        (await kubectl(['auth', 'can-i', verb, 'tkasignins', '-n', namespace, `--as=${user(role)}`])).stdout.trim();
      await until(async () => (await may('admin', 'list')) === 'yes' && (await may('tka-viewer', 'list')) === 'yes', {
        what: 'the aggregated role',
        timeoutMs: 10_000,
      });
      t.deepEqual(await Promise.all(roles.map((role) => may(role, 'list'))), ['no', 'no', 'yes', 'yes']);
      t.deepEqual(await Promise.all(roles.map((role) => may(role, 'delete'))), ['no', 'no', 'no', 'no']);
      for (const role of roles) await kubectl(['delete', 'clusterrolebinding', user(role)]);
    },
  );
}
