/** How a session ends and what is left of it: S1, S3, S11. */
import test from 'ava';
import { until } from '../../dev/stack/until.ts';
import { findCondition } from '../../crd/conditions.ts';
import { accountName, finalizer, labels, managedByValue } from '../../crd/tkasignin.ts';
import { isMissing, login, namespace, patience, type Running, signIn, tokenOf, type World } from './world.ts';

export function cleanupCases(world: () => World): void {
  test.serial('after a logout the credential is refused at once, and logging out again is no error (S1)', async (t) => {
    await using running = await world().run();
    const signin = await signIn(running, login('alice'));
    const token = await tokenOf(running, signin);
    t.is(await world().statusWith(token), 200);
    await running.reconciler.end(signin.metadata.name, 'logout', patience());
    t.deepEqual(await world().objects(), []);
    await until(async () => (await world().statusWith(token)) !== 200, { what: 'a refusal', timeoutMs: 2000 });
    await running.reconciler.end(signin.metadata.name, 'logout', patience());
    t.deepEqual(await events(world(), 'Revoked', signin.metadata.uid), []);
  });

  test.serial('kubectl delete tkasignin is a revocation, and is told', async (t) => {
    await using running = await world().run();
    const signin = await signIn(running, login('alice'));
    const token = await tokenOf(running, signin);
    const { code } = await world().stack.kubectl(['delete', 'signin', signin.metadata.name, '-n', namespace]);
    t.is(code, 0);
    t.deepEqual(await world().objects(), []);
    t.not(await world().statusWith(token), 200);
    t.deepEqual(running.reconciler.list(), []);
    await until(async () => (await events(world(), 'Revoked', signin.metadata.uid)).length === 1, {
      what: 'the Event',
      timeoutMs: 5000,
    });
    t.true(running.told.includes('ended: deleted'));
  });

  test.serial(
    'what nobody cleaned up while tka was away is swept at its start, and nothing else is (S3)',
    async (t) => {
      let name = '';
      {
        await using running = await world().run();
        const cluster = await signIn(running, login('alice'));
        name = cluster.metadata.name;
        await signIn(running, login('bob', { role: 'edit', namespaces: ['default'] }));
        await signIn(running, login('carol'));
      }
      for (const { metadata, spec } of await world().signins()) {
        if (spec.username === 'carol@example.com') continue;
        const patch = '{"metadata":{"finalizers":null}}';
        await world().stack.kubectl(['patch', 'signin', metadata.name, '-n', namespace, '--type=merge', `-p=${patch}`]);
        await world().stack.kubectl(['delete', 'signin', metadata.name, '-n', namespace]);
      }
      t.is((await world().objects()).length, 7);
      const innocents = await makeInnocents(world(), name);
      const carol = (await world().signins()).find(({ spec }) => spec.username === 'carol@example.com');
      await forgeBinding(world(), { name: 'mallory-0123456789', uid: '6b7c0a5e-1f0e-4c8b-9d53-8f0a4e1d2c3b' });
      await forgeBinding(world(), carol?.metadata ?? { name: '', uid: '' });
      await using running = await world().run();
      const left = (kind: string) => running.told.filter((told) => told === `orphan: ${kind}`).length;
      await until(() => left('ServiceAccount') === 2 && left('ClusterRoleBinding') === 3, {
        what: 'the sweep, of forged bindings too',
        timeoutMs: 10_000,
      });
      t.deepEqual([left('ClusterRoleBinding'), left('RoleBinding')], [3, 1]);
      for (const { what, exists } of innocents) t.true(await exists(), what);
      await Promise.all(innocents.map(async ({ remove }) => await remove()));
      t.is((await world().objects()).length, 3, 'carol keeps hers');
      await world().endAll();
    },
  );

  test.serial('a finalizer stripped under a running tka leaves nothing behind (S3)', async (t) => {
    await using running = await world().run();
    const { metadata } = await signIn(running, login('alice'));
    // As fast as an administrator with a script: the object is gone before tka can act on the delete.
    const patch = '{"metadata":{"finalizers":null}}';
    await world().stack.kubectl(['patch', 'signin', metadata.name, '-n', namespace, '--type=merge', `-p=${patch}`]);
    await world().stack.kubectl(['delete', 'signin', metadata.name, '-n', namespace, '--wait=false']);
    await world().empty();
    t.pass();
  });

  test.serial('a session that lost its binding or got another is mended at the next sweep', async (t) => {
    let name = '';
    {
      await using running = await world().run();
      name = accountName(await signIn(running, login('alice')));
      await signIn(running, login('bob'));
    }
    const bob = (await world().signins()).find(({ spec }) => spec.username === 'bob@example.com');
    const bobs = bob === undefined ? '' : accountName(bob);
    await world().admin.rbac.deleteClusterRoleBinding({ name });
    const binding = await world().admin.rbac.readClusterRoleBinding({ name: bobs });
    await world().admin.rbac.deleteClusterRoleBinding({ name: bobs });
    const { metadata, roleRef, subjects } = binding;
    await world().admin.rbac.createClusterRoleBinding({
      body: {
        metadata: { name: bobs, ...(metadata?.labels && { labels: metadata.labels }) },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: roleRef.kind, name: 'edit' },
        ...(subjects && { subjects }),
      },
    });
    await using running = await world().run();
    await until(
      async () => {
        const found = await world().admin.rbac.listClusterRoleBinding();
        const roles = found.items.flatMap((item) =>
          [name, bobs].includes(item.metadata?.name ?? '') ? [item.roleRef.name] : [],
        );
        return roles.join() === 'view,view';
      },
      { what: 'both bindings as they should be', timeoutMs: 10_000 },
    );
    t.is((await world().objects()).length, 6);
    t.is(running.reconciler.list().length, 2);
    await world().endAll();
  });

  test.serial('a cleanup that is held up is told once, tried slowly, and heals (S11)', async (t) => {
    await using running = await world().run();
    const signin = await signIn(running, login('alice'));
    const token = await tokenOf(running, signin);
    const name = accountName(signin);
    await setAccountFinalizers(world(), name, ['example.com/hold']);
    // It is over with the first try after the hindrance has gone, and tries come ever more slowly.
    t.timeout(150_000);
    const ending = running.reconciler.end(signin.metadata.name, 'logout', AbortSignal.timeout(120_000));
    await untilStuck(world(), signin.metadata.name, /held by finalizer example\.com\/hold/);
    // The access is gone all the same: the binding went first.
    t.is(await world().statusWith(token), 403);
    await assertNoHotLoop(running);
    t.is((await events(world(), 'CleanupStuck', signin.metadata.uid)).length, 1);
    t.true(running.told.includes('stuck'));
    await setAccountFinalizers(world(), name, []);
    await ending;
    t.deepEqual(await world().objects(), []);
    t.pass();
  });

  test.serial("somebody else's finalizer keeps the name, not the access", async (t) => {
    await using running = await world().run();
    const signin = await signIn(running, login('alice'));
    const { name } = signin.metadata;
    const set = async (finalizers: string): Promise<unknown> =>
      await world().stack.kubectl([
        'patch',
        'signin',
        name,
        '-n',
        namespace,
        '--type=merge',
        `-p={"metadata":{"finalizers":${finalizers}}}`,
      ]);
    await set(`["${finalizer}","example.com/hold"]`);
    await running.reconciler.end(name, 'logout', patience());
    t.deepEqual(await world().objects(), [`TkaSignin ${name}`]);
    await t.throwsAsync(running.reconciler.signIn(login('alice'), patience()), { message: /still being revoked/ });
    await set('null');
    await signIn(running, login('alice'));
    await world().endAll();
  });
}

/** As the holder of a token of tka's account: in the form that the admission policy lets through, for an account that no session has. */
async function forgeBinding(world: World, session: { readonly name: string; readonly uid: string }): Promise<void> {
  const name = `tka-${session.name}-deadbeef`;
  const own = {
    'app.kubernetes.io/managed-by': managedByValue,
    [labels.install]: namespace,
    [labels.signin]: session.name,
    [labels.signinUid]: session.uid,
  };
  const binding = {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRoleBinding',
    metadata: { name, labels: own },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' },
    subjects: [{ kind: 'ServiceAccount', name, namespace }],
  };
  const input = JSON.stringify(binding);
  const { code, stderr } = await world.stack.kubectl(['create', '-f', '-'], { input, kubeconfig: world.tkaKubeconfig });
  if (code !== 0) throw new Error(stderr);
}

/** Objects that look like ours in one way or another, and are not to be touched. */
async function makeInnocents(world: World, signin: string) {
  const { core, rbac } = world.admin;
  const ours = {
    [labels.managedBy]: managedByValue,
    [labels.install]: namespace,
    [labels.signin]: signin,
    [labels.signinUid]: '99999999-9999-4999-8999-999999999999',
  };
  const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'view' };
  const account = { kind: 'ServiceAccount', name: 'x', namespace };
  const pattern = 'tka-x-0123456789-01234567';
  const bindings = [
    { what: 'a name that is not ours', name: 'not-ours', labels: ours, subjects: [account] },
    {
      what: 'another installation',
      name: pattern.replace('-x-', '-y-'),
      labels: { ...ours, [labels.install]: 'other' },
      subjects: [account],
    },
    { what: 'an account elsewhere', name: pattern, labels: ours, subjects: [{ ...account, namespace: 'default' }] },
    {
      what: 'a user beside an account',
      name: pattern.replace('-x-', '-z-'),
      labels: ours,
      subjects: [account, { kind: 'User', name: 'bob', apiGroup: 'rbac.authorization.k8s.io' }],
    },
    { what: 'no labels', name: pattern.replace('-x-', '-w-'), labels: {}, subjects: [account] },
  ];
  for (const { name, labels: own, subjects } of bindings) {
    await rbac.createClusterRoleBinding({ body: { metadata: { name, labels: own }, roleRef, subjects } });
  }
  // In another namespace a name and labels like ours say nothing.
  await core.createNamespacedServiceAccount({
    namespace: 'default',
    body: { metadata: { name: pattern, labels: ours } },
  });
  return [
    ...bindings.map(({ what, name }) => ({
      what,
      exists: async () => !(await isMissing(rbac.readClusterRoleBinding({ name }))),
      remove: async () => await rbac.deleteClusterRoleBinding({ name }),
    })),
    {
      what: 'an account in another namespace',
      exists: async () =>
        !(await isMissing(core.readNamespacedServiceAccount({ name: pattern, namespace: 'default' }))),
      remove: async () => await core.deleteNamespacedServiceAccount({ name: pattern, namespace: 'default' }),
    },
  ];
}

async function setAccountFinalizers(world: World, name: string, finalizers: readonly string[]): Promise<void> {
  const account = await world.admin.core.readNamespacedServiceAccount({ name, namespace });
  const { metadata } = account;
  if (metadata !== undefined) metadata.finalizers = [...finalizers];
  await world.admin.core.replaceNamespacedServiceAccount({ name, namespace, body: account });
}

async function untilStuck(world: World, name: string, message: RegExp): Promise<void> {
  await until(
    async () => {
      const condition = findCondition((await world.signin(name))?.status?.conditions, 'CleanupStuck');
      return condition?.status === 'True' && message.test(condition.message);
    },
    { what: `CleanupStuck: ${message.source}`, timeoutMs: 10_000 },
  );
}

/**
 * Counts what a failing pass asks for while it fails six more times. Changes that are seen may cause some of these at once; the
 * rest come each later than the last, from 25 ms on: at least 200 ms in all.
 */
async function assertNoHotLoop(running: Running): Promise<void> {
  const retries = (): number => running.told.filter((told) => told === 'retried').length;
  const before = retries();
  const startedAt = performance.now();
  running.requests.take();
  await until(() => retries() >= before + 6, { what: 'six more tries', timeoutMs: 90_000 });
  const ms = performance.now() - startedAt;
  const asked = running.requests.take().length;
  if (asked > 80 || ms < 200) throw new Error(`${asked} requests in ${Math.round(ms)} ms for six tries`);
}

async function events(world: World, reason: string, uid: string): Promise<readonly string[]> {
  const { items } = await world.admin.core.listNamespacedEvent({ namespace });
  return items.flatMap((event) =>
    event.reason === reason && event.involvedObject.uid === uid ? [event.message ?? ''] : [],
  );
}
