/** Objects of live sessions that somebody deletes or changes: what was remembered goes with them, at once (S16). */
import test from 'ava';
import type { Dispatcher } from 'undici';
import { until } from '../../dev/stack/until.ts';
import { accountName, type TkaSignin } from '../../crd/tkasignin.ts';
import { accountClaim } from '../../reconciler/sessions/tokens.ts';
import {
  isMissing,
  login,
  namespace,
  patience,
  type Running,
  type RunOptions,
  signIn,
  tokenOf,
  type World,
} from './world.ts';

/** As if the API server never told of an account or a binding. */
const deafToObjects: Dispatcher.DispatcherComposeInterceptor = (dispatch) => (options, handler) => {
  if (/(?:serviceaccounts|bindings)\?.*watch=true/.test(options.path)) throw new Error('this watch is not to be had');
  return dispatch(options, handler);
};

export function repairCases(world: () => World): void {
  const accountOf = async (signin: TkaSignin): Promise<string | undefined> => {
    const where = { name: accountName(signin), namespace };
    return (await world().admin.core.readNamespacedServiceAccount(where)).metadata?.uid;
  };
  const deleteAccount = async (signin: TkaSignin): Promise<void> => {
    await world().admin.core.deleteNamespacedServiceAccount({ name: accountName(signin), namespace });
  };
  /** What tka gives away and what it keeps are both of the account that there is, and work. */
  const tokensAreOf = async (running: Running, signin: TkaSignin): Promise<string | undefined> => {
    const given = await tokenOf(running, signin);
    const kept = await running.reconciler.keptToken(signin.metadata.name, 10_000);
    for (const token of [given, kept.token]) {
      if ((await world().statusWith(token)) !== 200) throw new Error('a token that does not work');
    }
    const [one, other] = [accountClaim(given), accountClaim(kept.token)];
    return one === other ? one : undefined;
  };

  const ways: readonly (readonly [string, RunOptions])[] = [
    ['', {}],
    [', its deletion being told by no watch', { interceptors: [deafToObjects] }],
  ];
  for (const [how, options] of ways) {
    test.serial(`a session whose account was deleted${how}: usable means the new account's token (S16)`, async (t) => {
      await using running = await world().run(options);
      const signin = await signIn(running, login('alice'));
      const before = await tokensAreOf(running, signin);
      await deleteAccount(signin);
      await running.reconciler.usable(signin.metadata.name, patience());
      const after = await tokensAreOf(running, signin);
      t.not(after, before);
      t.is(after, await accountOf(signin));
      await world().endAll();
    });
  }

  test.serial('a session whose account was deleted is not ready until it is made again (S16)', async (t) => {
    const gate = Promise.withResolvers<undefined>();
    let isShut = false;
    const interceptor: Dispatcher.DispatcherComposeInterceptor = (dispatch) => (options, handler) => {
      if (!isShut || options.method !== 'POST' || !options.path.endsWith('/serviceaccounts')) {
        return dispatch(options, handler);
      }
      void gate.promise.then(() => dispatch(options, handler));
      return true;
    };
    await using running = await world().run({ interceptors: [interceptor] });
    const signin = await signIn(running, login('alice'));
    const { name } = signin.metadata;
    const isReady = (): boolean => {
      const now = running.reconciler.get(name);
      return now !== undefined && running.reconciler.isReady(now);
    };
    await until(isReady, { what: 'the session to be ready', timeoutMs: 5000 });
    isShut = true;
    await deleteAccount(signin);
    await until(() => !isReady(), { what: 'the session not to be ready', timeoutMs: 5000, everyMs: 5 });
    await t.throwsAsync(running.reconciler.token(name, patience()), { message: /not provisioned/ });
    gate.resolve(undefined);
    await until(isReady, { what: 'the session to be ready again', timeoutMs: 5000 });
    t.is(await tokensAreOf(running, signin), await accountOf(signin));
    await world().endAll();
  });

  test.serial('a binding that is deleted, and one that is changed, is repaired at once', async (t) => {
    await using running = await world().run();
    const signin = await signIn(running, login('alice'));
    const name = accountName(signin);
    const { rbac } = world().admin;
    await rbac.deleteClusterRoleBinding({ name });
    await running.reconciler.usable(signin.metadata.name, patience());
    t.is(await world().statusWith(await tokenOf(running, signin)), 200);
    const binding = await rbac.readClusterRoleBinding({ name });
    await rbac.replaceClusterRoleBinding({ name, body: Object.assign({}, binding, { subjects: [] }) });
    // tka may not delete a binding of nobody: another takes its place.
    await until(async () => !(await isMissing(rbac.readClusterRoleBinding({ name: `${name}-2` }))), {
      what: 'another binding',
      timeoutMs: 10_000,
    });
    await running.reconciler.usable(signin.metadata.name, patience());
    t.is(await world().statusWith(await tokenOf(running, signin)), 200);
    await running.reconciler.end(signin.metadata.name, 'logout', patience());
    await rbac.deleteClusterRoleBinding({ name });
    await world().endAll();
  });

  test.serial('a replica that follows drops the token of an account that was deleted (S16)', async (t) => {
    await using leader = await world().run({ replica: 'a' });
    await using follower = await world().run({ replica: 'b' });
    t.true(leader.reconciler.state.isLeading);
    const signin = await signIn(follower, login('alice'));
    const before = await tokensAreOf(follower, signin);
    await deleteAccount(signin);
    await until(async () => (await accountOf(signin).catch(() => before)) !== before, {
      what: 'the account to be made again',
      timeoutMs: 10_000,
    });
    await follower.reconciler.usable(signin.metadata.name, patience());
    t.is(await tokensAreOf(follower, signin), await accountOf(signin));
    await leader.reconciler.end(signin.metadata.name, 'logout', patience());
  });

  test.serial('a session that is gone, though nobody told, is given no account and no binding again', async (t) => {
    let isDeaf = false;
    const deaf: Dispatcher.DispatcherComposeInterceptor = (dispatch) => (options, handler) => {
      const isNews = /\/tkasignins\?/.test(options.path) && (isDeaf || options.path.includes('watch=true'));
      if (isNews) throw new Error('nothing is told of TkaSignins');
      return dispatch(options, handler);
    };
    await using running = await world().run({ interceptors: [deaf] });
    const signin = await signIn(running, login('alice'));
    const { name } = signin.metadata;
    await until(() => running.reconciler.get(name)?.status !== undefined, { what: 'a status', timeoutMs: 5000 });
    isDeaf = true;
    const which = ['signin', name, '-n', namespace];
    await world().stack.kubectl(['patch', ...which, '--type=merge', '-p={"metadata":{"finalizers":null}}']);
    await world().stack.kubectl(['delete', ...which]);
    running.requests.take();
    await deleteAccount(signin);
    const asked: string[] = [];
    await until(() => asked.push(...running.requests.take()) > 0 && asked.includes('get tkasignins 404'), {
      what: 'a look at the session itself',
      timeoutMs: 10_000,
    });
    t.false(asked.includes('create serviceaccounts 201'), asked.join());
    t.is(running.reconciler.get(name), undefined);
    await world()
      .admin.rbac.deleteClusterRoleBinding({ name: accountName(signin) })
      .catch(() => undefined);
    await world().empty();
  });

  test.serial('all accounts deleted at once: every session is usable again', async (t) => {
    await using running = await world().run();
    const signins = await Promise.all(Array.from({ length: 30 }, (_, i) => signIn(running, login(`s${i}`))));
    const selector = ['-l', 'app.kubernetes.io/managed-by=tka', '-n', namespace, '--wait=false'];
    await world().stack.kubectl(['delete', 'serviceaccounts', ...selector]);
    await Promise.all(
      signins.map(async (signin) => {
        await running.reconciler.usable(signin.metadata.name, patience());
        t.is(await tokensAreOf(running, signin), await accountOf(signin));
      }),
    );
    await world().endAll();
  });
}
