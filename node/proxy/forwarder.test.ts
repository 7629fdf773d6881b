/** Requests that the engine asks about: the same decisions as for those that are read here, and what becomes of them. */
import test from 'ava';
import { bodyOf, createFixture, type Fixture, serviceAccountToken, statusOf, turns } from './testing/fixture.ts';
import { ask, Asked, type Question } from './testing/asked.ts';

const watch = '/k8s/api/v1/pods?watch=true';

test("what is let through goes with the session's credential, in a pool of the session's own", async (t) => {
  await using at = await createFixture();
  const asked = await ask(at, { target: '/k8s/api/v1/pods?limit=1', method: 'POST', hasBody: true });
  t.deepEqual(asked.forwarded, [
    {
      path: '/api/v1/pods?limit=1',
      headers: { accept: 'a', authorization: `Bearer ${serviceAccountToken('alice')}`, 'audit-id': 'request-1' },
      pool: 'uid-of-alice',
      added: ['x-request-id', 'request-1'],
      tellBegun: false,
      withCookies: false,
      close: false,
    },
  ]);
  t.is(at.proxy.open, 1);
  asked.end();
  t.is(at.proxy.open, 0);
  await turns();
  t.like(at.log.at(-1), { requestId: 'request-1', by: 'engine', status: 200, sentBytes: 3, receivedBytes: 4 });
  t.like(at.served, [{ verb: 'create', status: 200 }]);
  asked.end();
  await turns();
  t.is(at.served.length, 1, 'once');
});

const host = ['Host', 'tka'];
const refused: readonly [title: string, status: number, question: (at: Fixture) => Question][] = [
  ['no token', 401, () => ({ headers: host })],
  ['a wrong token', 401, () => ({ headers: [...host, 'Authorization', 'Bearer tka_alice_x'] })],
  ["somebody else's session", 401, () => ({ session: 'bob' })],
  ['a session that has ended', 401, (at) => ended(at)],
  ['a caller nobody can name', 503, () => ({ as: 'nobody' })],
  ['a foreign name', 421, () => ({ headers: ['Host', 'evil.example'] })],
  ['two names', 421, () => ({ headers: [...host, 'host', 'tka'] })],
  ['a page of another origin', 403, () => ({ headers: [...host, 'Origin', 'https://evil.example'] })],
  ['a page of another site', 403, () => ({ headers: [...host, 'Sec-Fetch-Site', 'cross-site'] })],
  ['a way out upwards', 400, () => ({ target: '/k8s/../api' })],
  ['a way out upwards, encoded', 400, () => ({ target: '/k8s/%252e%252e/api' })],
  ['impersonation', 400, () => ({ headers: [...host, 'Impersonate-User', 'root'] })],
  ['two credentials', 400, () => ({ headers: [...host, 'Authorization', 'Bearer x', 'authorization', 'Bearer y'] })],
];

function ended(at: Fixture): Question {
  const session = at.sessions.get('alice');
  if (session !== undefined) at.sessions.set('alice', { ...session, endsAt: 0 });
  return {};
}

for (const [title, status, question] of refused) {
  test(`${title} is answered ${status}, and nothing is forwarded`, async (t) => {
    await using at = await createFixture();
    const asked = await ask(at, question(at));
    t.deepEqual(asked.forwarded, []);
    const [answer] = asked.answered;
    t.is(answer?.status, status);
    t.is(statusOf(answer?.text ?? ''), status);
    t.like(bodyOf(answer?.text ?? ''), { kind: 'Status', code: status });
    t.false(answer?.close);
    t.notRegex(answer?.text ?? '', /connection: close/);
    t.like(at.log.at(-1), { by: 'engine', result: 'refused', status });
    asked.end(status);
    t.is(at.served.length, 1, 'counted once');
    t.is(at.proxy.open, 0);
  });
}

test('a refusal before the body has been read ends the connection', async (t) => {
  await using at = await createFixture();
  const asked = await ask(at, { session: 'bob', method: 'POST', hasBody: true });
  t.true(asked.answered[0]?.close);
  t.regex(asked.answered[0]?.text ?? '', /\r\nconnection: close\r\n/);
});

test("beyond a session's limit it is 429, until one has ended", async (t) => {
  await using at = await createFixture({ limits: { streamsPerSession: 1, streams: 9 } });
  const first = await ask(at);
  t.is((await ask(at)).answered[0]?.status, 429);
  first.end();
  t.is((await ask(at)).forwarded.length, 1);
});

test('a session that ends while its token is awaited gets no request through', async (t) => {
  const token = Promise.withResolvers<string>();
  await using at = await createFixture({ deps: { token: () => token.promise } });
  const asked = await ask(at);
  at.proxy.cut('uid-of-alice', 'the session has ended');
  token.resolve('too late');
  await turns();
  t.deepEqual(asked.forwarded, []);
  t.is(asked.answered[0]?.status, 401);
});

test('a caller that goes while its token is awaited is forgotten', async (t) => {
  const token = Promise.withResolvers<string>();
  await using at = await createFixture({ deps: { token: () => token.promise } });
  const asked = await ask(at);
  asked.end(0);
  token.resolve('too late');
  await turns();
  t.deepEqual([asked.forwarded, asked.answered], [[], []]);
  t.is(at.proxy.open, 0);
  t.like(at.log.at(-1), { status: 0 });
});

test('a cut reaches the engine, with a last word for a watch alone', async (t) => {
  await using at = await createFixture();
  const [watching, reading] = [await ask(at, { target: watch }), await ask(at)];
  watching.events?.begun(200);
  t.like(at.log.at(-1), { phase: 'start', status: 200 });
  t.is(at.proxy.cut('uid-of-alice', 'the session has ended'), 2);
  at.proxy.cut('uid-of-alice', 'once more');
  t.is(watching.cuts.length, 1);
  const [cut] = watching.cuts;
  t.is(cut?.answer.status, 401);
  t.like(JSON.parse(cut?.lastWord ?? ''), { type: 'ERROR', object: { code: 401, message: 'the session has ended' } });
  t.regex(cut?.lastWord ?? '', /\n$/);
  t.deepEqual([cut?.inOrder, reading.cuts[0]?.inOrder], [true, false]);
  watching.end();
  await turns();
  t.like(at.log.at(-1), { phase: 'end', cut: 'the session has ended' });
});

test('draining cuts what would not end by itself, without a last word, and waits for the rest', async (t) => {
  await using at = await createFixture();
  const [watching, reading] = [await ask(at, { target: watch }), await ask(at)];
  at.proxy.drain();
  t.is(watching.cuts[0]?.lastWord, '');
  t.deepEqual(reading.cuts, []);
  const order: string[] = [];
  const idle = at.proxy.idle(new AbortController().signal).then(() => order.push('idle'));
  watching.end();
  await turns();
  t.deepEqual(order, []);
  reading.end();
  await idle;
  await at.proxy.idle(new AbortController().signal);
  const late = await ask(at);
  await at.proxy.idle(AbortSignal.abort());
  late.end();
});

test('what is under way is cut when its caller may not have it any more', async (t) => {
  await using at = await createFixture();
  const asked = await ask(at, { target: watch });
  await at.proxy.recheck();
  t.deepEqual(asked.cuts, []);
  const alice = at.callers.get('alice');
  if (alice !== undefined) at.callers.set('alice', { ...alice, covers: () => false });
  await at.proxy.recheck();
  t.is(asked.cuts.length, 1);
});

for (const [method, isSent, status] of [
  ['GET', true, 503],
  ['POST', true, 502],
  ['POST', false, 503],
] as const) {
  test(`an API server that does not answer a ${method} that was ${isSent ? '' : 'not '}sent: ${status}`, async (t) => {
    await using at = await createFixture();
    const asked = await ask(at, { method });
    const answer = asked.events?.failed({ isSent, isInvalid: false, reason: 'reset' });
    t.is(answer?.status, status);
    t.like(bodyOf(answer?.text ?? ''), { code: status, message: 'the API server does not answer tka' });
  });
}

test('an answer that is not valid HTTP is 502, whatever was asked', async (t) => {
  await using at = await createFixture();
  for (const method of ['GET', 'POST']) {
    const asked = await ask(at, { method });
    const answer = asked.events?.failed({ isSent: true, isInvalid: true, reason: 'a header' });
    t.is(answer?.status, 502);
    t.like(bodyOf(answer?.text ?? ''), { kind: 'Status', code: 502 });
    t.regex(answer?.text ?? '', /not valid HTTP/);
    asked.end(502);
  }
});

test('a redirect within the API server comes back below the prefix, one to elsewhere not', async (t) => {
  await using at = await createFixture();
  const asked = await ask(at);
  t.is(asked.events?.moved('/api/v1'), '/k8s/api/v1');
  t.is(asked.events?.moved('https://elsewhere.example/'), undefined);
  asked.end();
});

test('every engine is told to forget a session that was cut, and one that comes while draining to drain', async (t) => {
  await using at = await createFixture();
  const told: string[] = [];
  const engine = { forget: (pool: string) => void told.push(pool), drain: () => void told.push('drain') };
  at.proxy.decider.opened(engine);
  at.proxy.cut('uid-of-alice', 'the session has ended');
  t.deepEqual(told, ['uid-of-alice']);
  at.proxy.decider.closed(engine);
  at.proxy.cut('uid-of-alice', 'the session has ended');
  t.deepEqual(told, ['uid-of-alice']);
  at.proxy.drain();
  at.proxy.decider.opened(engine);
  t.deepEqual(told, ['uid-of-alice', 'drain']);
});

test('what cannot be forwarded is answered at once, and counted once', async (t) => {
  await using at = await createFixture();
  const asked = new Asked(at, {});
  asked.forward = () => {
    throw new Error('a field of a decision is not plain');
  };
  await turns();
  t.is(asked.answered[0]?.status, 502);
  asked.end(502);
  await turns();
  t.is(at.served.length, 1);
  t.is(at.proxy.open, 0);
});

const over = 'the session has ended (logout): run `tka login`';
const losses: readonly [title: string, lose: (at: Fixture) => void, isLost: boolean][] = [
  ['whose grant is gone', (at) => change(at, { covers: () => false }), true],
  ["whose node is another user's now", (at) => change(at, { subject: 'another' }), true],
  ['whose session is over', (at) => void at.sessions.delete('alice'), true],
  ['whose caller cannot be identified now', (at) => void at.callers.delete('alice'), false],
  ['that is as it was', () => undefined, false],
];
for (const [title, lose, isLost] of losses) {
  test(`a stream ${title} ${isLost ? 'ends' : 'continues'} at the next look`, async (t) => {
    await using at = await createFixture();
    const asked = await ask(at, { target: watch });
    lose(at);
    await at.proxy.recheck();
    t.is(asked.cuts.length, isLost ? 1 : 0);
  });
}

function change(at: Fixture, to: object): void {
  const caller = at.callers.get('alice');
  if (caller !== undefined) at.callers.set('alice', { ...caller, ...to });
}

test("a cut leaves other sessions' streams alone", async (t) => {
  await using at = await createFixture();
  const [alice, bob] = [await ask(at, { target: watch }), await ask(at, { target: watch, as: 'bob', session: 'bob' })];
  t.is(at.proxy.cut('uid-of-alice', over), 1);
  t.deepEqual([alice.cuts.length, bob.cuts.length], [1, 0]);
});

test('a token that cannot be had is an answer, and no bug is told to the caller', async (t) => {
  await using at = await createFixture({ deps: { token: () => Promise.reject(new Error('secret detail')) } });
  const [answer] = (await ask(at)).answered;
  t.is(answer?.status, 502);
  t.regex(String(bodyOf(answer?.text ?? '')['message']), /request-1/);
  t.notRegex(answer?.text ?? '', /secret detail/);
});

for (const length of ['9007199254740993', '18446744073709551615'])
  test(`a length of ${length} is refused, and never forwarded as another number`, async (t) => {
    await using at = await createFixture();
    const headers = ['Host', 'tka', 'Authorization', `Bearer ${at.token('alice')}`, 'Content-Length', length];
    const asked = await ask(at, { method: 'POST', headers, hasBody: true });
    t.deepEqual([asked.forwarded.length, asked.answered[0]?.status], [0, 413]);
  });

test('a session that comes back under its name does not get the connections of the one before', async (t) => {
  await using at = await createFixture();
  const first = await ask(at);
  const session = at.sessions.get('alice');
  if (session !== undefined) at.sessions.set('alice', { ...session, uid: 'another-uid' });
  const second = await ask(at);
  t.deepEqual([first.forwarded[0]?.pool, second.forwarded[0]?.pool], ['uid-of-alice', 'another-uid']);
});
