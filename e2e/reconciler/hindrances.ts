/** Objects that users with rights in a namespace may write do not keep a session from ending, nor the next from beginning. */
import test from 'ava';
import type { RbacV1Subject } from '@kubernetes/client-node';
import { until } from '../../dev/stack/until.ts';
import { accountName, bindingNames } from '../../crd/tkasignin.ts';
import { isMissing, login, namespace, patience, type Running, signIn, tokenOf, type World } from './world.ts';

const place = 'hindered';
const mallory = { kind: 'User', name: 'mallory', apiGroup: 'rbac.authorization.k8s.io' };

export function hindranceCases(world: () => World): void {
  const inPlace = login('alice', { role: 'edit', namespaces: [place] });
  const begin = async (running: Running): Promise<{ name: string; session: string; token: string }> => {
    if (await isMissing(world().admin.core.readNamespace({ name: place }))) await world().makeNamespace(place);
    const signin = await signIn(running, inPlace);
    return { name: accountName(signin), session: signin.metadata.name, token: await tokenOf(running, signin) };
  };
  const read = async (name: string) => await world().admin.rbac.readNamespacedRoleBinding({ name, namespace: place });
  const remove = async (name: string) =>
    await world().admin.rbac.deleteNamespacedRoleBinding({ name, namespace: place });
  const write = async (name: string, subjects: RbacV1Subject[]): Promise<void> => {
    const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'view' };
    const labels = (await read(name)).metadata?.labels ?? {};
    await remove(name);
    const body = { metadata: { name, labels }, roleRef, subjects };
    await world().admin.rbac.createNamespacedRoleBinding({ namespace: place, body });
  };
  const change = async (name: string, patch: object): Promise<void> => {
    const which = ['rolebinding', name, '-n', place, '--type=merge', `-p=${JSON.stringify(patch)}`];
    const { code, stderr } = await world().stack.kubectl(['patch', ...which]);
    if (code !== 0) throw new Error(stderr);
  };
  const endsAndBeginsAgain = async (running: Running, session: string): Promise<void> => {
    await running.reconciler.end(session, 'logout', patience());
    const again = await signIn(running, inPlace);
    if ((await world().statusWith(await tokenOf(running, again), pods)) !== 200) throw new Error('it is not usable');
    await running.reconciler.end(session, 'logout', patience());
  };
  const pods = `/api/v1/namespaces/${place}/pods`;

  test.serial('a binding replaced by a foreign one of its name: logout and the next login work', async (t) => {
    await using running = await world().run();
    const { name, session } = await begin(running);
    await write(name, [mallory]);
    await endsAndBeginsAgain(running, session);
    t.is((await read(name)).subjects?.[0]?.name, 'mallory', 'the foreign one is not touched');
    await remove(name);
    await world().empty();
  });

  test.serial(
    'a live session whose binding was replaced by a foreign one gets another, which logout removes',
    async (t) => {
      let begun: Awaited<ReturnType<typeof begin>>;
      {
        await using running = await world().run();
        begun = await begin(running);
      }
      const { name, session, token } = begun;
      await write(name, [mallory]);
      await until(async () => (await world().statusWith(token, pods)) === 403, { what: 'no rights', timeoutMs: 5000 });
      await using running = await world().run();
      await until(async () => (await world().statusWith(token, pods)) === 200, {
        what: 'rights again',
        timeoutMs: 10_000,
      });
      const second = bindingNames(name)[1] ?? '';
      t.is((await read(second)).roleRef.name, 'edit');
      await running.reconciler.end(session, 'logout', patience());
      t.true(await isMissing(read(second)));
      await remove(name);
      await world().empty();
    },
  );

  test.serial(
    'a finalizer on a binding does not keep its session: the account goes, the binding is told',
    async (t) => {
      await using running = await world().run();
      const { name, session, token } = await begin(running);
      const { uid } = running.reconciler.get(session)?.metadata ?? {};
      await change(name, { metadata: { finalizers: ['example.com/hold'] } });
      await endsAndBeginsAgain(running, session);
      await world().untilRefused(token);
      await until(async () => (await told(world(), uid)).some((message) => /held by finalizer example/.test(message)), {
        what: 'the Event',
        timeoutMs: 5000,
      });
      t.false(await isMissing(read(name)));
      await change(name, { metadata: { finalizers: null } });
      await world().empty();
    },
  );

  test.serial(
    'a binding that tka may not delete does not keep its session, and is told with verb and resource',
    async (t) => {
      await using running = await world().run();
      const { name, session } = await begin(running);
      const { uid } = running.reconciler.get(session)?.metadata ?? {};
      const { subjects = [] } = await read(name);
      await change(name, { subjects: [...subjects, mallory] });
      await endsAndBeginsAgain(running, session);
      await until(
        async () => (await told(world(), uid)).some((message) => /tka may not delete rolebindings/.test(message)),
        {
          what: 'the Event',
          timeoutMs: 5000,
        },
      );
      t.false(await isMissing(read(name)));
      await remove(name);
      await world().empty();
    },
  );

  test.serial('a binding of a session account that tka did not make is reported, and left alone', async (t) => {
    let begun: Awaited<ReturnType<typeof begin>>;
    {
      await using running = await world().run();
      begun = await begin(running);
      t.true(running.told.includes('foreign bindings: 0'));
    }
    const subjects = [{ kind: 'ServiceAccount', name: begun.name, namespace }];
    const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' };
    const body = { metadata: { name: 'by-hand' }, roleRef, subjects };
    await world().admin.rbac.createNamespacedRoleBinding({ namespace: place, body });
    await using running = await world().run();
    t.true(running.told.includes('foreign bindings: 1'));
    const { uid } = running.reconciler.get(begun.session)?.metadata ?? {};
    await until(async () => (await told(world(), uid, 'ForeignBinding')).length === 1, {
      what: 'the Event',
      timeoutMs: 5000,
    });
    t.deepEqual(await told(world(), uid, 'ForeignBinding'), [
      `RoleBinding ${place}/by-hand grants ClusterRole cluster-admin to the session's account; tka did not make it`,
    ]);
    await running.reconciler.end(begun.session, 'logout', patience());
    t.false(await isMissing(read('by-hand')));
    await remove('by-hand');
  });

  test.serial('labels taken off a binding do not keep it from being removed with its session', async (t) => {
    await using running = await world().run();
    const { name, session } = await begin(running);
    await change(name, { metadata: { labels: null, annotations: null } });
    await endsAndBeginsAgain(running, session);
    t.true(await isMissing(read(name)));
    await world().empty();
  });

  test.serial(
    'a namespace that is being deleted, held by a finalizer of its own, does not keep a session in it',
    async (t) => {
      await using running = await world().run();
      const { session } = await begin(running);
      const held = { metadata: { name: 'held', finalizers: ['example.com/hold'] } };
      await world().admin.core.createNamespacedConfigMap({ namespace: place, body: held });
      await world().stack.kubectl(['delete', 'namespace', place, '--wait=false']);
      await running.reconciler.end(session, 'logout', patience());
      t.deepEqual(await world().objects(), []);
      const patch = '-p={"metadata":{"finalizers":null}}';
      await world().stack.kubectl(['patch', 'configmap', 'held', '-n', place, '--type=merge', patch]);
      await world().stack.kubectl(['wait', '--for=delete', `namespace/${place}`, '--timeout=20s']);
    },
  );
}

async function told(world: World, uid: string | undefined, reason = 'BindingLeft'): Promise<readonly string[]> {
  const { items } = await world.admin.core.listNamespacedEvent({ namespace });
  return items.flatMap((event) =>
    event.reason === reason && event.involvedObject.uid === uid ? [event.message ?? ''] : [],
  );
}
