/** What a session is while it lives: S2, S5, S6, S7, S8, S9, and what a login costs. */
import test from 'ava';
import { until } from '../../dev/stack/until.ts';
import { accountName } from '../../crd/tkasignin.ts';
import { SessionEndingError, SessionFailedError } from '../../reconciler/errors.ts';
import { expiryClaim } from '../../reconciler/sessions/tokens.ts';
import { inSeconds, login, patience, signIn, tokenOf, type World } from './world.ts';

export function sessionCases(world: () => World): void {
  test.serial('a login is usable at once, with the rights of its role and no more', async (t) => {
    await using running = await world().run();
    const token = await tokenOf(running, await signIn(running, login('alice')));
    t.is(await world().statusWith(token), 200);
    t.is(await world().statusWith(token, '/api/v1/secrets'), 403);
    await running.reconciler.end((await onlySignin(world())).metadata.name, 'logout', patience());
    await world().empty();
  });

  test.serial(
    'a login costs five writes; a second look, and a login again in the same second, cost none',
    async (t) => {
      await using running = await world().run();
      await signIn(running, login('warm'));
      running.requests.take();
      const endsAt = inSeconds(3600);
      const alice = await signIn(running, login('alice', { endsAt }));
      const writes: string[] = [];
      // The status is written while the session is used already.
      await until(async () => writes.push(...isWrite(running.requests.take())) >= 5, {
        what: 'the writes of a login',
        timeoutMs: 10_000,
      });
      t.deepEqual(writes.sort(), [
        'create clusterrolebindings 201',
        'create serviceaccounts 201',
        'create serviceaccounts/token 201',
        'create tkasignins 201',
        'patch tkasignins/status 200',
      ]);
      const again = await signIn(running, login('alice', { endsAt: new Date(endsAt.getTime() + 900) }));
      t.is(again.metadata.resourceVersion, alice.metadata.resourceVersion);
      t.deepEqual(isWrite(running.requests.take()), []);
      await world().endAll();
    },
  );

  test.serial('logging in again moves the end, keeps the account, and tokens reach the new end', async (t) => {
    await using running = await world().run();
    const first = await signIn(running, login('alice', { endsAt: inSeconds(3600) }));
    running.requests.take();
    const second = await signIn(running, login('alice', { endsAt: inSeconds(7200), node: 'node-2' }));
    t.is(second.metadata.uid, first.metadata.uid);
    const { expiresAt } = await running.reconciler.token(second.metadata.name, patience());
    t.true(expiresAt > inSeconds(7100));
    // The session was usable all the time: its status follows behind the login.
    const stored = await until(
      async () => {
        const found = await world().signin(second.metadata.name);
        return found?.status?.expiresAt === found?.spec.expiresAt && found;
      },
      { what: 'the status to follow', timeoutMs: 5000 },
    );
    t.is(stored.metadata.annotations?.['tka.specht-labs.de/node'], 'node-2');
    t.deepEqual(isWrite(running.requests.take()).sort(), [
      'create serviceaccounts/token 201',
      'patch tkasignins 200',
      'patch tkasignins/status 200',
    ]);
    await world().endAll();
  });

  test.serial('a shorter login kills the tokens that were good for longer (S2)', async (t) => {
    await using running = await world().run();
    const long = await signIn(running, login('alice', { endsAt: inSeconds(7200) }));
    const oldToken = await tokenOf(running, long);
    const short = await signIn(running, login('alice', { endsAt: inSeconds(900) }));
    t.is(short.metadata.name, long.metadata.name);
    t.not(short.metadata.uid, long.metadata.uid);
    t.is(await world().statusWith(await tokenOf(running, short)), 200);
    t.not(await world().statusWith(oldToken), 200);
    await world().endAll();
  });

  test.serial('no token outlives its session, whatever is left of it (S2)', async (t) => {
    await using running = await world().run();
    // 3608 is where a second less would be the number that the API server turns into a year.
    for (const seconds of [620, 3600 + 8, 3600 + 30, 8 * 3600, 30 * 86_400]) {
      const signin = await signIn(running, login(`s${seconds}`, { endsAt: inSeconds(seconds) }));
      const end = Date.parse(signin.spec.expiresAt);
      const { token, expiresAt } = await running.reconciler.token(signin.metadata.name, patience());
      const exp = expiryClaim(token) ?? Infinity;
      t.true(exp <= end, `${seconds} s: exp ${new Date(exp).toISOString()}, end ${signin.spec.expiresAt}`);
      t.true(exp >= end - 5000, `${seconds} s: a token should reach the end`);
      t.is(expiresAt.getTime(), exp);
    }
    for (const seconds of [599, 300, 10]) {
      const { metadata } = await signIn(running, login(`s${seconds}`, { endsAt: inSeconds(seconds) }));
      const given = running.reconciler.token(metadata.name, patience());
      await t.throwsAsync(given, { instanceOf: SessionEndingError }, `${seconds} s`);
      // What tka keeps works until the session ends.
      const kept = await running.reconciler.keptToken(metadata.name, 30_000);
      t.is(await world().statusWith(kept.token), 200, `${seconds} s`);
    }
    await world().endAll();
  });

  test.serial('sessions end after a restart, and after several (S5)', async (t) => {
    const endsAt = inSeconds(3600);
    {
      await using running = await world().run();
      for (const user of ['alice', 'bob']) await signIn(running, login(user, { endsAt }));
      await signIn(running, login('carol', { endsAt: inSeconds(7200) }));
    }
    for (let restarts = 0; restarts < 2; restarts += 1) {
      await using running = await world().run();
      t.is(running.reconciler.list().length, 3);
    }
    await using later = await world().run({ aheadMs: 3_601_000 });
    await later.reconciler.end('not-there', 'logout', patience());
    await untilTold(later, 'ended: expired', 2);
    t.deepEqual(
      (await world().signins()).map(({ spec }) => spec.username),
      ['carol@example.com'],
    );
    t.is((await world().objects()).length, 3);
    await world().endAll();
  });

  test.serial('a session ends at its end by itself', async (t) => {
    await using running = await world().run();
    await running.reconciler.signIn(login('alice', { endsAt: inSeconds(2) }), patience());
    await untilTold(running, 'ended: expired', 1);
    await world().empty();
    t.deepEqual(running.reconciler.list(), []);
  });

  test.serial('another role is another session with another account (S6)', async (t) => {
    await using running = await world().run();
    const admin = await signIn(running, login('alice', { role: 'admin' }));
    const adminToken = await tokenOf(running, admin);
    const view = await signIn(running, login('alice', { role: 'view' }));
    const viewToken = await tokenOf(running, view);
    t.not(await world().whoIs(adminToken), await world().whoIs(viewToken));
    t.is(await world().statusWith(adminToken, '/api/v1/secrets'), 200);
    await running.reconciler.end(admin.metadata.name, 'logout', patience());
    t.not(await world().statusWith(adminToken, '/api/v1/secrets'), 200);
    t.is(await world().statusWith(viewToken), 200);
    t.is(await world().statusWith(viewToken, '/api/v1/secrets'), 403);
    await world().endAll();
  });

  test.serial(
    'a hand-made binding to a session account gives nothing 15 s after logout, and nothing after login (S1, S6)',
    async (t) => {
      await using running = await world().run();
      const before = await signIn(running, login('alice'));
      const oldToken = await tokenOf(running, before);
      await world().admin.rbac.createClusterRoleBinding({
        body: {
          metadata: { name: 'by-hand' },
          roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' },
          subjects: [{ kind: 'ServiceAccount', name: accountName(before), namespace: 'tka-sessions' }],
        },
      });
      await running.reconciler.end(before.metadata.name, 'logout', patience());
      const after = await signIn(running, login('alice'));
      t.is(after.metadata.name, before.metadata.name);
      t.not(accountName(after), accountName(before));
      t.is(await world().statusWith(await tokenOf(running, after), '/api/v1/secrets'), 403);
      await world().untilRefused(oldToken);
      await world().admin.rbac.deleteClusterRoleBinding({ name: 'by-hand' });
      await world().endAll();
    },
  );

  test.serial('a hundred logins at once by one user, at two replicas, are one session (S7)', async (t) => {
    await using first = await world().run();
    await using second = await world().run();
    const request = login('alice');
    const all = await Promise.all(
      Array.from({ length: 100 }, async (_, i) => await signIn(i % 2 === 0 ? first : second, request)),
    );
    t.is(new Set(all.map(({ metadata }) => metadata.uid)).size, 1);
    t.is((await world().objects()).length, 3);
    const creates = [...first.requests.take(), ...second.requests.take()].filter((r) =>
      r.startsWith('create tkasignins'),
    );
    t.true(creates.length <= 2, creates.join());
    await world().endAll();
  });

  test.serial('logins and logouts of one user against each other leave nothing behind (S7)', async (t) => {
    await using first = await world().run();
    await using second = await world().run();
    const request = login('alice');
    await Promise.allSettled(
      Array.from({ length: 24 }, async (_, i) => {
        const running = i % 2 === 0 ? first : second;
        const { metadata } = await running.reconciler.signIn(request, patience());
        if (i % 3 === 0) await running.reconciler.end(metadata.name, 'logout', patience());
      }),
    );
    const last = await signIn(first, request);
    t.is(await world().statusWith(await tokenOf(first, last)), 200);
    await first.reconciler.end(last.metadata.name, 'logout', patience());
    await world().empty();
  });

  test.serial('people who look alike share nothing (S9)', async (t) => {
    await using running = await world().run();
    const people = [
      login('1', { username: 'alice@a.example' }),
      login('2', { username: 'alice@b.example' }),
      login('3', { username: 'a.b@x' }),
      login('4', { username: 'a-b@x' }),
      login('5', { username: `${'x'.repeat(299)}1` }),
      login('6', { username: `${'x'.repeat(299)}2` }),
      login('7', { username: '爱丽丝' }),
      login('8', { username: '鲍勃' }),
      login('2', { username: 'alice@b.example', subject: 'control.example|node:2' }),
      login('2', { username: 'alice@b.example', subject: 'other.example|user:2' }),
    ];
    const signins = await Promise.all(people.map(async (person) => await signIn(running, person)));
    const users = await Promise.all(signins.map(async (signin) => await world().whoIs(await tokenOf(running, signin))));
    t.is(new Set(users).size, people.length);
    // Ending one leaves the others' credentials alone.
    const [first, ...others] = signins;
    await running.reconciler.end(first?.metadata.name ?? '', 'logout', patience());
    for (const other of others) t.is(await world().statusWith(await tokenOf(running, other)), 200, other.spec.username);
    await world().endAll();
  });

  test.serial('a session in namespaces gives the role there alone', async (t) => {
    await using running = await world().run();
    await world().makeNamespace('team-a');
    await world().makeNamespace('team-b');
    const request = login('alice', { role: 'edit', namespaces: ['team-a', 'team-b'] });
    const token = await tokenOf(running, await signIn(running, request));
    t.is(await world().statusWith(token, '/api/v1/namespaces/team-a/pods'), 200);
    t.is(await world().statusWith(token, '/api/v1/namespaces/team-b/pods'), 200);
    t.is(await world().statusWith(token, '/api/v1/namespaces/default/pods'), 403);
    t.is(await world().statusWith(token, '/api/v1/pods'), 403);
    await world().endAll();
  });

  test.serial('a missing role or namespace is told by name, and the session comes up once it is there', async (t) => {
    await using running = await world().run();
    await world().allowBinding('late-role');
    t.false(await running.reconciler.roleExists('late-role', patience()));
    t.false(await running.reconciler.namespaceExists('late-namespace', patience()));
    const request = login('alice', { role: 'late-role', namespaces: ['late-namespace'] });
    await t.throwsAsync(signIn(running, request), { instanceOf: SessionFailedError, message: /ClusterRole late-role/ });
    await world().makeRole('late-role', [{ apiGroups: [''], resources: ['pods'], verbs: ['get', 'list'] }]);
    await t.throwsAsync(signIn(running, request), {
      instanceOf: SessionFailedError,
      message: /namespace late-namespace/,
    });
    await world().makeNamespace('late-namespace');
    const token = await tokenOf(running, await signIn(running, request));
    t.is(await world().statusWith(token, '/api/v1/namespaces/late-namespace/pods'), 200);
    t.true(await running.reconciler.roleExists('late-role', patience()));
    await world().endAll();
  });

  test.serial('a role that tka may not bind is told with the right that is missing (S11)', async (t) => {
    await using running = await world().run();
    const request = login('alice', { role: 'system:node' });
    await t.throwsAsync(signIn(running, request), {
      instanceOf: SessionFailedError,
      message: /tka may not get clusterroles/,
    });
    const events = await world().admin.core.listNamespacedEvent({ namespace: 'tka-sessions' });
    t.true(
      events.items.some(({ reason, involvedObject }) => reason === 'Forbidden' && involvedObject.kind === 'TkaSignin'),
    );
    await world().endAll();
  });

  test.serial('roles of every shape become usable: of paths, of nothing, of everything', async (t) => {
    await using running = await world().run();
    await world().makeRole('paths', [{ nonResourceURLs: ['/metrics'], verbs: ['get'] }]);
    await world().makeRole('nothing', []);
    for (const role of ['paths', 'nothing']) await world().allowBinding(role);
    for (const role of ['paths', 'nothing', 'cluster-admin']) {
      const token = await tokenOf(running, await signIn(running, login('alice', { role })));
      t.is(await world().statusWith(token, '/metrics'), role === 'nothing' ? 403 : 200, role);
    }
    await world().endAll();
  });
}

async function onlySignin(world: World) {
  const [signin, ...others] = await world.signins();
  if (signin === undefined || others.length > 0) throw new Error('expected one TkaSignin');
  return signin;
}

function isWrite(requests: readonly string[]): string[] {
  return requests.filter((request) => !/^(get|list|watch) |selfsubjectaccessreviews/.test(request));
}

async function untilTold(running: { readonly told: readonly string[] }, words: string, times: number): Promise<void> {
  await until(() => running.told.filter((told) => told === words).length >= times, { what: words, timeoutMs: 20_000 });
}
