import { createServer as createTcpServer, type AddressInfo } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { type Api, createApi, NotTkaError } from './api.ts';
import { type ExitCode, RefusedError, UnreachableError, UserError } from '../errors.ts';
import { type Handler, sendJson, startStubServer, type StubServer } from '../testing/stub-server.ts';
import { createTransport } from './transport.ts';

const signal = new AbortController().signal;

interface Setup {
  readonly stub: StubServer;
  readonly api: Api;
}

async function setup(t: ExecutionContext, answers: Readonly<Record<string, Handler>> = {}): Promise<Setup> {
  const stub = await startStubServer();
  for (const [call, handler] of Object.entries(answers)) stub.answer(call, handler);
  const transport = await createTransport(new URL(stub.url), undefined);
  t.teardown(async () => {
    transport.close();
    await stub.close();
  });
  return { stub, api: createApi(transport) };
}

const sessionsCall = 'GET /api/v1alpha1/sessions';

test('a login asks the server to wait, and sends a body only for a wish', async (t) => {
  const { stub, api } = await setup(t);
  await api.login({}, { signal, waitSeconds: 30 });
  await api.login({ role: 'view', period: '90m' }, { signal, waitSeconds: 5 });
  const [plain, wish] = stub.requests;
  t.like(plain, { call: 'POST /api/v1alpha1/login', body: '' });
  t.is(plain?.headers.prefer, 'wait=30');
  t.is(plain?.headers['content-type'], undefined);
  t.is(wish?.headers['content-type'], 'application/json');
  t.deepEqual(JSON.parse(wish?.body ?? ''), { role: 'view', period: '90m' });
});

test('every call is a part of the trace that it was given, and of none where that is none', async (t) => {
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  const { stub } = await setup(t);
  const transport = await createTransport(new URL(stub.url), undefined);
  t.teardown(() => transport.close());
  const given = [traceparent, '', 'x\r\nimpersonate-user: root', undefined];
  for (const trace of given) await createApi(transport, trace).login({}, { signal });
  t.deepEqual(
    stub.requests.map(({ headers }) => headers['traceparent']),
    [traceparent, undefined, undefined, undefined],
  );
});

test('202 means later, after as long as the server says, within bounds', async (t) => {
  const waits: readonly [Record<string, string>, number][] = [
    [{ 'retry-after': '2' }, 2000],
    [{}, 1000],
    [{ 'retry-after': '86400' }, 10_000],
    [{ 'retry-after': '0' }, 100],
    [{ 'retry-after': '-5' }, 100],
    [{ 'retry-after': 'Wed, 21 Oct 2015 07:28:00 GMT' }, 1000],
  ];
  const { stub, api } = await setup(t);
  for (const [headers, retryAfterMs] of waits) {
    stub.answer('GET /api/v1alpha1/kubeconfig', (_, response) => sendJson(response, 202, {}, headers));
    t.like(await api.kubeconfig({}, { signal }), { state: 'pending', retryAfterMs });
  }
});

test('a login that is not done yet has its session all the same, if the server says', async (t) => {
  const { stub, api } = await setup(t);
  const value = { session: 'a-1', username: 'alice', role: 'view', until: '2999-01-01T00:00:00Z' };
  stub.answer('POST /api/v1alpha1/login', (_, response) => sendJson(response, 202, value));
  t.deepEqual(await api.login({}, { signal }), { state: 'pending', retryAfterMs: 1000, value });
  t.is(stub.requests[0]?.headers.prefer, undefined);
  stub.answer('POST /api/v1alpha1/login', (_, response) => void response.writeHead(202).end());
  t.like(await api.login({}, { signal }), { state: 'pending', value: undefined });
});

test('the status of a login names its session, and waits if asked to', async (t) => {
  const { stub, api } = await setup(t);
  await api.loginStatus({ session: 'a-1' }, { signal, waitSeconds: 20 });
  t.like(stub.requests[0], { call: 'GET /api/v1alpha1/login?session=a-1' });
  t.is(stub.requests[0]?.headers.prefer, 'wait=20');
});

test('modes that the command does not know are left out', async (t) => {
  const { stub, api } = await setup(t);
  const facts = { cluster: 'a', labels: {}, version: '9', modes: ['pigeon', 'proxy', 'direct'], more: [1] };
  stub.answer('GET /.well-known/tka', (_, response) => sendJson(response, 200, facts));
  t.deepEqual((await api.wellKnown({ signal })).modes, ['proxy', 'direct']);
});

test("the server's clock is that of its last answer", async (t) => {
  const { stub, api } = await setup(t);
  t.is(api.serverDate(), undefined);
  const date = 'Wed, 21 Oct 2015 07:28:00 GMT';
  stub.answer('GET /api/v1alpha1/sessions', (_, response) => sendJson(response, 200, { sessions: [] }, { date }));
  await api.sessions({ signal });
  t.deepEqual(api.serverDate(), new Date(date));
  stub.answer('GET /api/v1alpha1/sessions', (_, response) =>
    sendJson(response, 200, { sessions: [] }, { date: 'soon' }),
  );
  await api.sessions({ signal });
  t.is(api.serverDate(), undefined);
});

test('a gateway that fails once is asked again, and the session is the same', async (t) => {
  const { stub, api } = await setup(t);
  let failures = 1;
  stub.answer('POST /api/v1alpha1/login', (_, response) => {
    failures -= 1;
    if (failures >= 0) response.writeHead(502).end();
    else sendJson(response, 200, { username: 'a@b', role: 'view', until: '2030-01-01T00:00:00Z', session: 'a-1' });
  });
  const answer = await api.login({}, { signal, waitSeconds: 1 });
  t.like(answer, { state: 'ready', value: { session: 'a-1' } });
  t.is(stub.calls.length, 2);
});

test('a session and a mode are asked for in the query', async (t) => {
  const { stub, api } = await setup(t);
  await api.kubeconfig({ session: 'alice-1', mode: 'direct' }, { signal });
  await api.kubeconfig({ session: 'alice-1', mode: 'proxy' }, { signal });
  await api.kubeconfig({}, { signal });
  t.deepEqual(stub.calls, [
    'GET /api/v1alpha1/kubeconfig?mode=direct&session=alice-1',
    'GET /api/v1alpha1/kubeconfig?mode=proxy&session=alice-1&root=true',
    'GET /api/v1alpha1/kubeconfig?root=true',
  ]);
});

test('a refusal has the reason and the advice of the server, without its escapes', async (t) => {
  const { api } = await setup(t, {
    [sessionsCall]: (_, response) =>
      sendJson(response, 403, {
        message: 'no \u001B[31mgrant\u001B[0m\r\nok: yes',
        advice: ['ask\u202E nobody', 'b'],
        code: 'no_grant',
      }),
  });
  const error = await t.throwsAsync(api.sessions({ signal }), { instanceOf: RefusedError });
  t.like(error, {
    message: 'no grant ok: yes',
    advice: ['ask nobody', 'b'],
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
    const { api } = await setup(t, {
      [sessionsCall]: (_, response) => sendJson(response, status, { message: 'no', advice: [], code: 'x' }),
    });
    t.is((await t.throwsAsync(api.sessions({ signal }), { instanceOf: RefusedError }))?.exitCode, exitCode);
  });
}

const strangers: readonly [string, Handler][] = [
  [
    'HTML',
    (_, response) => void response.writeHead(200, { 'content-type': 'text/html' }).end('<h1>Welcome to the hotel</h1>'),
  ],
  [
    'JSON that is none',
    (_, response) => void response.writeHead(200, { 'content-type': 'application/json' }).end('{"a":'),
  ],
  [
    'an HTML error',
    (_, response) => void response.writeHead(500, { 'content-type': 'text/html' }).end('<h1>Oh no</h1>'),
  ],
  ['a 404 of another kind', (_, response) => sendJson(response, 404, { error: 'x' })],
  ['nothing', (_, response) => void response.writeHead(200).end()],
];
for (const [what, handler] of strangers) {
  test(`who answers with ${what} is no tka server`, async (t) => {
    const { api } = await setup(t, { [sessionsCall]: handler });
    await t.throwsAsync(api.sessions({ signal }), { instanceOf: NotTkaError, message: /not a tka server/ });
  });
}

test('a gateway that goes on failing is named as what it is', async (t) => {
  const { stub, api } = await setup(t, { [sessionsCall]: (_, response) => void response.writeHead(502).end() });
  await t.throwsAsync(api.sessions({ signal }), { instanceOf: UnreachableError, message: /proxy on the way/ });
  t.is(stub.calls.length, 4);
});

test('an answer of another shape is refused, with the field', async (t) => {
  const { api } = await setup(t, {
    [sessionsCall]: (_, response) => sendJson(response, 200, { sessions: [{ session: 1 }] }),
  });
  await t.throwsAsync(api.sessions({ signal }), { instanceOf: UserError, message: /sessions 0 session/ });
});

test('a redirect is refused, and names where it leads', async (t) => {
  const { stub, api } = await setup(t, {
    [sessionsCall]: (_, response) => void response.writeHead(302, { location: '/api/v1alpha1/login' }).end(),
  });
  await t.throwsAsync(api.sessions({ signal }), { instanceOf: UserError, message: /redirects to \/api/ });
  t.is(stub.calls.length, 1);
});

test('an answer without end is cut at 1 MB', async (t) => {
  let sent = 0;
  const { api } = await setup(t, {
    [sessionsCall]: (_, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      const more = (): void => {
        while (!response.destroyed && response.write(' '.repeat(64 * 1024))) sent += 64 * 1024;
      };
      response.on('drain', more);
      more();
    },
  });
  await t.throwsAsync(api.sessions({ signal }), { instanceOf: UserError, message: /more than 1 MB/ });
  t.true(sent < 32 * 1024 * 1024);
});

test('a server that never answers is given up after the time-out', async (t) => {
  const { api } = await setup(t, { [sessionsCall]: () => {} });
  await t.throwsAsync(api.sessions({ signal, timeoutMs: 50 }), {
    instanceOf: UnreachableError,
    message: /did not answer within 1 s/,
  });
});

test('a server that sends a byte now and then is given up all the same', async (t) => {
  const { api } = await setup(t, {
    [sessionsCall]: (_, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      const timer = setInterval(() => response.write(' '), 10);
      response.on('close', () => clearInterval(timer));
    },
  });
  await t.throwsAsync(api.sessions({ signal, timeoutMs: 100 }), { instanceOf: UnreachableError });
});

test('a call ends with its signal', async (t) => {
  const stop = new AbortController();
  const reason = new Error('enough');
  const { api } = await setup(t, { [sessionsCall]: () => stop.abort(reason) });
  const error = await t.throwsAsync(api.sessions({ signal: stop.signal }));
  t.true(error === reason || error?.cause === reason);
});

async function tcpServer(t: ExecutionContext, greeting: string): Promise<string> {
  const server = createTcpServer((socket) => {
    socket.on('error', () => {});
    socket.end(greeting);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  t.teardown(() => void server.close());
  // Listening on a port, so the address is none of a pipe.
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function failure(t: ExecutionContext, url: string): Promise<UnreachableError | undefined> {
  const transport = await createTransport(new URL(url), undefined);
  t.teardown(() => transport.close());
  return t.throwsAsync(createApi(transport).sessions({ signal }), { instanceOf: UnreachableError });
}

test('who does not speak HTTP is told from who is not there', async (t) => {
  t.regex((await failure(t, await tcpServer(t, 'SSH-2.0-OpenSSH\r\n')))?.message ?? '', /does not speak HTTP/);
  t.regex((await failure(t, await tcpServer(t, '')))?.message ?? '', /closed the connection/);
  t.regex((await failure(t, 'http://127.0.0.1:1'))?.message ?? '', /refuses the connection/);
  t.regex((await failure(t, 'http://tka.invalid'))?.message ?? '', /has no address/);
});

test('both requests of a login share one connection', async (t) => {
  const ports = new Set<number | undefined>();
  const { api } = await setup(t, {
    [sessionsCall]: (_, response) => {
      ports.add(response.socket?.remotePort);
      sendJson(response, 200, { sessions: [] });
    },
  });
  await api.sessions({ signal });
  await api.sessions({ signal });
  t.is(ports.size, 1);
});

test('work for the meantime begins once the request has left', async (t) => {
  const order: string[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  const { api } = await setup(t, {
    [sessionsCall]: (_, response) => {
      // Answered only when the work has begun: it cannot have waited for the answer.
      void promise.then(() => sendJson(response, 200, { sessions: [] }));
    },
  });
  const meanwhile = (): Promise<void> => {
    order.push('meanwhile');
    resolve();
    return Promise.resolve();
  };
  await api.sessions({ signal, meanwhile });
  t.deepEqual(order, ['meanwhile']);
});
