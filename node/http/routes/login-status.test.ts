import test from 'ava';
import { paths, sessionsResponseSchema } from '../contract.ts';
import { alice, createFixture, rule } from '../../testing/http.ts';
import type { StoredSession } from '../../testing/http.ts';

const stored = (name: string, fields: Partial<StoredSession> = {}): StoredSession => ({
  subject: 'control.example|user:7',
  name,
  username: 'alice@example.com',
  role: 'view',
  until: '2026-01-02T04:04:35Z',
  ready: true,
  isUsable: true,
  ...fields,
});

test('a caller without a session is answered 401', async (t) => {
  await using fixture = await createFixture();
  const answer = await fixture.call('GET', paths.login);
  t.is(answer.status, 401);
  t.like(answer.json, { code: 'not_logged_in', advice: ['run `tka login`'] });
});

test('a session that is ready is answered 200', async (t) => {
  await using fixture = await createFixture();
  fixture.sessions.push(stored('one'));
  const answer = await fixture.call('GET', paths.login);
  t.is(answer.status, 200);
  t.deepEqual(answer.json, {
    username: 'alice@example.com',
    role: 'view',
    until: '2026-01-02T04:04:35Z',
    session: 'one',
  });
});

test('a session that is being provisioned is answered 202 with the time to wait', async (t) => {
  await using fixture = await createFixture({ settings: { retryAfterSeconds: 3 } });
  fixture.sessions.push(stored('one', { ready: false }));
  const answer = await fixture.call('GET', paths.login);
  t.is(answer.status, 202);
  t.is(answer.headers['retry-after'], '3');
});

test('with `Prefer: wait` the answer comes when the session is usable', async (t) => {
  await using fixture = await createFixture({
    deps: {
      sessions: {
        signIn: () => Promise.reject(new Error('none')),
        list: () => [stored('one', { ready: false })],
        usable: () => Promise.resolve(stored('one')),
        end: () => Promise.resolve(),
        proxyToken: () => 'none',
        token: () => Promise.reject(new Error('none')),
      },
    },
  });
  const answer = await fixture.call('GET', paths.login, { headers: { Prefer: 'wait=10' } });
  t.is(answer.status, 200);
  t.is(answer.headers['preference-applied'], 'wait=10');
  t.like(answer.json, { session: 'one' });
});

test('with `Prefer: wait` a session that takes longer is answered 202 when the time is up', async (t) => {
  await using fixture = await createFixture();
  fixture.sessions.push(stored('one', { ready: false, isUsable: false }));
  const answer = await fixture.call('GET', paths.login, { headers: { Prefer: 'wait=1' } });
  t.is(answer.status, 202);
  t.is(answer.headers['retry-after'], '1');
  t.like(answer.json, { session: 'one' });
});

test('a session that cannot be provisioned is answered 422 with the reason', async (t) => {
  await using fixture = await createFixture();
  fixture.sessions.push(stored('one', { ready: false, problem: 'the ClusterRole view does not exist' }));
  for (const path of [paths.login, paths.kubeconfig]) {
    const answer = await fixture.call('GET', path);
    t.is(answer.status, 422);
    t.like(answer.json, { message: 'the ClusterRole view does not exist' });
  }
});

test('without a name, the session of the best rule is meant', async (t) => {
  const rules = [rule(), rule({ role: 'edit', priority: 5, namespaces: ['b', 'a'] })];
  await using fixture = await createFixture({ identity: () => Promise.resolve(alice(rules)) });
  fixture.sessions.push(
    stored('newest'),
    stored('elsewhere', { role: 'edit', namespaces: ['a'] }),
    stored('best', { role: 'edit', namespaces: ['a', 'b'] }),
  );
  t.like((await fixture.call('GET', paths.login)).json, { session: 'best' });
});

test('without a name and without a session of the best rule, the newest is meant', async (t) => {
  await using fixture = await createFixture({ identity: () => Promise.resolve(alice([rule({ role: 'edit' })])) });
  fixture.sessions.push(stored('newest'), stored('older'));
  t.like((await fixture.call('GET', paths.login)).json, { session: 'newest' });
});

test('a named session is meant', async (t) => {
  await using fixture = await createFixture();
  fixture.sessions.push(stored('one'), stored('two', { role: 'edit' }));
  t.like((await fixture.call('GET', `${paths.login}?session=two`)).json, { session: 'two', role: 'edit' });
});

test("another subject's session is answered like one that does not exist", async (t) => {
  await using fixture = await createFixture();
  fixture.sessions.push(stored('theirs', { subject: 'control.example|user:70' }));
  for (const path of [paths.login, paths.kubeconfig]) {
    const theirs = await fixture.call('GET', `${path}?session=theirs`);
    const missing = await fixture.call('GET', `${path}?session=missing`);
    t.is(theirs.status, 404);
    t.deepEqual(theirs.json, missing.json);
  }
  t.deepEqual((await fixture.call('GET', paths.sessions)).json, { sessions: [] });
});

test('two sessions in one query are refused', async (t) => {
  await using fixture = await createFixture();
  t.is((await fixture.call('GET', `${paths.login}?session=a&session=b`)).status, 400);
});

test('the list has all of the sessions of the caller, newest first', async (t) => {
  await using fixture = await createFixture();
  fixture.sessions.push(
    stored('one', { ready: false }),
    stored('two', { namespaces: ['dev'] }),
    stored('theirs', { subject: 'x' }),
  );
  const { sessions } = sessionsResponseSchema.parse((await fixture.call('GET', paths.sessions)).json);
  t.deepEqual(
    sessions.map(({ session, ready, namespaces }) => ({ session, ready, namespaces })),
    [
      { session: 'one', ready: false, namespaces: undefined },
      { session: 'two', ready: true, namespaces: ['dev'] },
    ],
  );
});

for (const [title, role] of [
  ['in another role than a rule grants', 'edit'],
  ['in the whole cluster, of a rule that has namespaces,', 'view'],
] as const) {
  test(`a session ${title} is not ready, however it is asked for`, async (t) => {
    const identity = () => Promise.resolve(alice([rule({ namespaces: ['dev'] })]));
    await using fixture = await createFixture({ identity });
    fixture.sessions.push(stored('one', { role }));
    for (const headers of [{}, { Prefer: 'wait=10' }]) {
      t.is((await fixture.call('GET', paths.login, { headers })).status, 202);
    }
    t.is((await fixture.call('GET', paths.kubeconfig)).status, 202);
    const { json } = await fixture.call('GET', paths.sessions);
    t.deepEqual(
      sessionsResponseSchema.parse(json).sessions.map(({ ready }) => ready),
      [false],
    );
  });
}
