/** The calls of a server, each a single exchange: what is asked, and what becomes of the answer. Connections: transport.test.ts. */
import test from 'ava';
import { NotTkaError } from './answer.ts';
import { type ExitCode, RefusedError, UnreachableError, UserError } from '../errors.ts';
import { nockServer } from '../testing/nock-server.ts';

const signal = new AbortController().signal;
const login = '/api/v1alpha1/login';
const sessions = '/api/v1alpha1/sessions';
const kubeconfig = '/api/v1alpha1/kubeconfig';
const session = { session: 'a-1', username: 'alice', role: 'view', until: '2999-01-01T00:00:00Z' };

test('a login asks the server to wait, and sends a body only for a request', async (t) => {
  const { server, requests, api } = await nockServer(t);
  server.post(login).times(2).reply(200, session);
  await api.login({}, { signal, waitSeconds: 30 });
  await api.login({ role: 'view', period: '90m' }, { signal, waitSeconds: 5 });
  const [plain, request] = requests;
  t.is(plain?.body, '');
  t.is(plain?.headers['prefer'], 'wait=30');
  t.is(plain?.headers['content-type'], undefined);
  t.is(request?.headers['content-type'], 'application/json');
  t.deepEqual(JSON.parse(request?.body ?? ''), { role: 'view', period: '90m' });
});

test('every call is a part of the trace that it was given, and of none without', async (t) => {
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  for (const given of [traceparent, '', 'x\r\nimpersonate-user: root', undefined]) {
    const { server, requests, api } = await nockServer(t, given);
    server.post(login).reply(200, session);
    await api.login({}, { signal });
    t.is(requests[0]?.headers['traceparent'], given === traceparent ? traceparent : undefined);
  }
});

const waits: readonly [string | undefined, number][] = [
  ['2', 2000],
  [undefined, 1000],
  ['86400', 10_000],
  ['0', 100],
  ['-5', 100],
  ['Wed, 21 Oct 2015 07:28:00 GMT', 1000],
];
for (const [after, retryAfterMs] of waits) {
  test(`202 means later, after as long as the server says, within bounds: Retry-After ${after ?? 'absent'}`, async (t) => {
    const { server, api } = await nockServer(t);
    server
      .get(kubeconfig)
      .query(true)
      .reply(202, {}, after === undefined ? {} : { 'retry-after': after });
    t.like(await api.kubeconfig({}, { signal }), { state: 'pending', retryAfterMs });
  });
}

test('a login that is not done yet has its session all the same, if the server says', async (t) => {
  const { server, requests, api } = await nockServer(t);
  server.post(login).reply(202, session);
  t.deepEqual(await api.login({}, { signal }), { state: 'pending', retryAfterMs: 1000, value: session });
  t.is(requests[0]?.headers['prefer'], undefined);
  server.post(login).reply(202);
  t.like(await api.login({}, { signal }), { state: 'pending', value: undefined });
});

test('the status of a login names its session, and waits if asked to', async (t) => {
  const { server, requests, api } = await nockServer(t);
  server.get(login).query({ session: 'a-1' }).reply(200, session);
  await api.loginStatus({ session: 'a-1' }, { signal, waitSeconds: 20 });
  t.is(requests[0]?.headers['prefer'], 'wait=20');
});

test('modes that the command does not know are left out', async (t) => {
  const { server, api } = await nockServer(t);
  const modes = ['pigeon', 'proxy', 'direct'];
  server.get('/.well-known/tka').reply(200, { cluster: 'a', labels: {}, version: '9', modes, more: [1] });
  t.deepEqual((await api.wellKnown({ signal })).modes, ['proxy', 'direct']);
});

test("the server's clock is that of its last answer", async (t) => {
  const { server, api } = await nockServer(t);
  t.is(api.serverDate(), undefined);
  const date = 'Wed, 21 Oct 2015 07:28:00 GMT';
  server.get(sessions).reply(200, { sessions: [] }, { date });
  await api.sessions({ signal });
  t.deepEqual(api.serverDate(), new Date(date));
  server.get(sessions).reply(200, { sessions: [] }, { date: 'soon' });
  await api.sessions({ signal });
  t.is(api.serverDate(), undefined);
});

test('a gateway that fails once is asked again, and the session is the same', async (t) => {
  const { server, api } = await nockServer(t);
  server.post(login).reply(502).post(login).reply(200, session);
  t.like(await api.login({}, { signal, waitSeconds: 1 }), { state: 'ready', value: { session: 'a-1' } });
});

test('a gateway that fails four times is named as what it is', async (t) => {
  const { server, api } = await nockServer(t);
  server.get(sessions).times(4).reply(502);
  await t.throwsAsync(api.sessions({ signal }), { instanceOf: UnreachableError, message: /proxy on the way/ });
});

for (const [options, query] of [
  [
    { session: 'a-1', mode: 'direct' },
    { session: 'a-1', mode: 'direct' },
  ],
  [
    { session: 'a-1', mode: 'proxy' },
    { session: 'a-1', mode: 'proxy', root: 'true' },
  ],
  [{}, { root: 'true' }],
] as const) {
  test(`a session and a mode are asked for in the query: ${JSON.stringify(options)}`, async (t) => {
    const { server, api } = await nockServer(t);
    server.get(kubeconfig).query(query).reply(202, {});
    await t.notThrowsAsync(api.kubeconfig(options, { signal }));
  });
}

test('a refusal has the reason and the advice of the server, without its escapes', async (t) => {
  const { server, api } = await nockServer(t);
  const message = 'no \u001B[31mgrant\u001B[0m\r\nok: yes';
  server.get(sessions).reply(403, { message, advice: ['ask\u202E an admin', 'b'], code: 'no_grant' });
  const error = await t.throwsAsync(api.sessions({ signal }), { instanceOf: RefusedError });
  t.like(error, {
    message: 'no grant ok: yes',
    advice: ['ask an admin', 'b'],
    code: 'no_grant',
    status: 403,
    exitCode: 3,
  });
});

const exitCodes: readonly [number, ExitCode][] = [
  [400, 1],
  [401, 3],
  [403, 3],
  [404, 1],
  [409, 1],
  [422, 1],
  [429, 1],
  [500, 1],
  [503, 4],
];
for (const [status, exitCode] of exitCodes) {
  test(`an error of status ${status} ends with exit code ${exitCode}`, async (t) => {
    const { server, api } = await nockServer(t);
    server.get(sessions).reply(status, { message: 'no', advice: [], code: 'x' });
    t.is((await t.throwsAsync(api.sessions({ signal }), { instanceOf: RefusedError }))?.exitCode, exitCode);
  });
}

const html = { 'content-type': 'text/html' };
const otherAnswers: readonly [string, number, string, Record<string, string>][] = [
  ['HTML', 200, '<h1>Welcome to the hotel</h1>', html],
  ['JSON that is cut off', 200, '{"a":', { 'content-type': 'application/json' }],
  ['an HTML error', 500, '<h1>Oh no</h1>', html],
  ['a 404 of another kind', 404, '{"error":"x"}', { 'content-type': 'application/json' }],
  ['an empty body', 200, '', {}],
];
for (const [what, status, body, headers] of otherAnswers) {
  test(`a server that answers with ${what} is not a tka server`, async (t) => {
    const { server, api } = await nockServer(t);
    server.get(sessions).reply(status, body, headers);
    await t.throwsAsync(api.sessions({ signal }), { instanceOf: NotTkaError, message: /not a tka server/ });
  });
}

test('an answer of another shape is refused, with the field', async (t) => {
  const { server, api } = await nockServer(t);
  server.get(sessions).reply(200, { sessions: [{ session: 1 }] });
  await t.throwsAsync(api.sessions({ signal }), { instanceOf: UserError, message: /sessions 0 session/ });
});

test('a redirect is refused, and names where it leads', async (t) => {
  const { server, api } = await nockServer(t);
  server.get(sessions).reply(302, undefined, { location: login });
  await t.throwsAsync(api.sessions({ signal }), { instanceOf: UserError, message: /redirects to \/api/ });
});
