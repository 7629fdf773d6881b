/**
 * Several replicas over one cluster, each with its own connection and memory: what one that does not lead answers for, and what
 * becomes of sessions when the leader goes, is cut off, or is stopped in its tracks.
 */
import test from 'ava';
import type { Dispatcher } from 'undici';
import { until } from '../../dev/stack/until.ts';
import { SessionFailedError } from '../../reconciler/errors.ts';
import { createCrash } from './faults.ts';
import { inSeconds, login, namespace, patience, type Running, signIn, tokenOf, type World } from './world.ts';

const writes = (requests: readonly string[]): readonly string[] =>
  requests.filter((request) => /^(?:create|patch|delete) (?!selfsubjectaccessreviews)/.test(request)).toSorted();

const leading = (running: Running): Promise<boolean> =>
  until(() => running.reconciler.state.isLeading, { what: 'another leader', timeoutMs: 20_000, everyMs: 5 });

export function replicaCases(world: () => World): void {
  const lease = async (...args: readonly string[]): Promise<void> => {
    const [verb = '', ...rest] = args;
    const { code, stderr } = await world().stack.kubectl([verb, 'lease', 'tka', '-n', 'tka-system', ...rest]);
    if (code !== 0) throw new Error(stderr);
  };
  const events = async (session: string): Promise<string> => {
    const { stdout } = await world().stack.kubectl(['get', 'events', '-n', namespace, '-o', 'json']);
    // A List, says -o json.
    const { items } = JSON.parse(stdout) as {
      readonly items: readonly { involvedObject: { name: string }; message: string }[];
    };
    return items
      .filter(({ involvedObject }) => involvedObject.name === session)
      .map(({ message }) => message)
      .join('\n');
  };

  test.serial('a login at a replica that does not lead is usable there, and the leader has made it', async (t) => {
    await using leader = await world().run({ replica: 'a' });
    await using other = await world().run({ replica: 'b' });
    t.deepEqual(
      [leader, other].map(({ reconciler }) => reconciler.state.isLeading),
      [true, false],
    );
    leader.requests.take();
    other.requests.take();
    const signin = await signIn(other, login('alice'));
    t.is(await world().statusWith(await tokenOf(other, signin)), 200);
    t.deepEqual(writes(other.requests.take()), ['create serviceaccounts/token 201', 'create tkasignins 201']);
    t.deepEqual(
      writes(leader.requests.take()).filter((request) => !request.includes('leases')),
      ['create clusterrolebindings 201', 'create serviceaccounts 201', 'patch tkasignins/status 200'],
    );
    await world().endAll();
  });

  test.serial('a logout at a replica that does not lead is a logout, and no revocation', async (t) => {
    await using leader = await world().run({ replica: 'a' });
    await using other = await world().run({ replica: 'b' });
    // Names of their own: Events of others stay.
    const out = await signIn(other, login('leaver'));
    const revoked = await signIn(other, login('revoked'));
    await other.reconciler.end(out.metadata.name, 'logout', patience());
    await other.reconciler.end(revoked.metadata.name, 'the tailnet policy no longer grants it', patience());
    t.deepEqual(await world().objects(), []);
    await until(() => leader.told.filter((words) => words.startsWith('ended')).length === 2, {
      what: 'the leader to tell of both',
      timeoutMs: 10_000,
    });
    t.true(leader.told.includes('ended: logout'));
    await until(async () => /no longer grants it/.test(await events(revoked.metadata.name)), {
      what: 'the Event',
      timeoutMs: 10_000,
    });
    t.is(await events(out.metadata.name), '');
  });

  test.serial('a shorter login at a replica that does not lead replaces the session there too', async (t) => {
    await using leader = await world().run({ replica: 'a' });
    await using other = await world().run({ replica: 'b' });
    const long = await signIn(other, login('alice', { endsAt: inSeconds(7200) }));
    const short = await signIn(other, login('alice', { endsAt: inSeconds(900) }));
    t.is(short.metadata.name, long.metadata.name);
    t.not(short.metadata.uid, long.metadata.uid);
    t.true(leader.told.includes('ended: replaced'));
    t.is((await world().objects()).length, 3);
    await world().endAll();
  });

  test.serial(
    'what an earlier pass could not provision is looked at again for a login at either replica',
    async (t) => {
      await using _leader = await world().run({ replica: 'a' });
      await using other = await world().run({ replica: 'b' });
      await world().allowBinding('tardy-role');
      const wish = login('alice', { role: 'tardy-role' });
      await t.throwsAsync(signIn(other, wish), {
        instanceOf: SessionFailedError,
        message: /tardy-role does not exist/,
      });
      await world().makeRole('tardy-role', [{ apiGroups: [''], resources: ['pods'], verbs: ['list'] }]);
      const signin = await signIn(other, { ...wish, endsAt: inSeconds(3700) });
      t.is(await world().statusWith(await tokenOf(other, signin)), 200);
      await world().stack.kubectl(['delete', 'clusterrole', 'tardy-role']);
      await world().endAll();
    },
  );

  test.serial(
    'access that is revoked goes without a leader, and one that is stuck there takes nothing back',
    async (t) => {
      const crash = createCrash(1, 'before');
      crash.arm();
      let isCut = false;
      const cut: Dispatcher.DispatcherComposeInterceptor = (dispatch) => (options, handler) =>
        isCut ? crash.interceptor(dispatch)(options, handler) : dispatch(options, handler);
      await using leader = await world().run({ replica: 'a', interceptors: [cut] });
      await using other = await world().run({ replica: 'b' });
      const signin = await signIn(other, login('alice'));
      isCut = true;
      await other.reconciler.end(signin.metadata.name, 'logout', patience());
      t.false(other.reconciler.state.isLeading, 'it did not take a new leader');
      t.deepEqual(await world().objects(), []);
      await leading(other);
      t.false(leader.reconciler.state.isLeading);
    },
  );

  test.serial(
    'of 60 logins at both replicas while the leader dies none is lost, and none is there twice',
    async (t) => {
      const crash = createCrash(150, 'after');
      await using leader = await world().run({ replica: 'a', interceptors: [crash.interceptor] });
      await using other = await world().run({ replica: 'b' });
      crash.arm();
      const wishes = Array.from({ length: 60 }, (_, i) => login(`user${i}`));
      const names = await Promise.all(
        wishes.map(async (wish, i) => {
          // As the command does: to another replica where the first has gone.
          const first = i % 2 === 0 ? leader : other;
          const stop = new AbortController();
          void crash.happening.then(() => stop.abort(new Error('the process died')));
          const at = async (running: Running, signal: AbortSignal): Promise<string> => {
            const stored = await running.reconciler.signIn(wish, signal);
            return (await running.reconciler.usable(stored.metadata.name, signal)).metadata.name;
          };
          if (first === other) return await at(other, AbortSignal.timeout(30_000));
          return await at(leader, stop.signal).catch(async () => await at(other, AbortSignal.timeout(30_000)));
        }),
      );
      t.true(crash.happened);
      t.is(new Set(names).size, 60);
      t.true(other.reconciler.state.isLeading);
      const kinds = Map.groupBy(await world().objects(), (line) => line.split(' ', 1)[0] ?? '');
      t.deepEqual(Object.fromEntries([...kinds].map(([kind, all]) => [kind, all.length])), {
        ClusterRoleBinding: 60,
        ServiceAccount: 60,
        TkaSignin: 60,
      });
      await world().endAll();
    },
  );

  test.serial('a leader that stops hands over, and sessions it left half made are finished', async (t) => {
    const first = await world().run({ replica: 'a' });
    await using other = await world().run({ replica: 'b' });
    const stored = await first.reconciler.signIn(login('alice'), patience());
    const stopped = first[Symbol.asyncDispose]();
    await until(() => other.reconciler.get(stored.metadata.name), {
      what: 'the news of the session',
      timeoutMs: 10_000,
      everyMs: 5,
    });
    const signin = await other.reconciler.usable(stored.metadata.name, patience());
    await stopped;
    t.true(other.reconciler.state.isLeading);
    t.is(await world().statusWith(await tokenOf(other, signin)), 200);
    await world().endAll();
  });

  test.serial('the Lease deleted or edited by hand: there is a leader again, and logins go on', async (t) => {
    await using first = await world().run({ replica: 'a' });
    await using other = await world().run({ replica: 'b' });
    const isOneLeading = (): boolean =>
      [first, other].filter(({ reconciler }) => reconciler.state.isLeading).length === 1;
    await lease('delete');
    t.is((await signIn(other, login('alice'))).spec.role, 'view');
    // The leader of before finds out when it renews.
    await until(async () => await lease('get').then(() => true), { what: 'another Lease', timeoutMs: 10_000 });
    await lease('patch', '--type=merge', '-p={"spec":{"holderIdentity":"somebody"}}');
    await until(() => !first.reconciler.state.isLeading && !other.reconciler.state.isLeading, {
      what: 'the leader to notice',
      timeoutMs: 10_000,
      everyMs: 5,
    });
    t.is((await signIn(other, login('bob'))).spec.role, 'view');
    await until(isOneLeading, { what: 'one leader', timeoutMs: 10_000 });
    t.true(isOneLeading());
    await world().endAll();
  });
}
