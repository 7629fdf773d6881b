/** The connection under the API's calls, to real servers on loopback: sizes, times, aborts, and what is no HTTP. */
import { createServer as createTcpServer, type AddressInfo } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { type Api, createApi } from './api.ts';
import { UnreachableError, UserError } from '../errors.ts';
import { type Handler, sendJson, startStubServer } from '../testing/stub-server.ts';
import { createTransport } from './transport.ts';

const signal = new AbortController().signal;
const sessionsCall = 'GET /api/v1alpha1/sessions';

async function setup(t: ExecutionContext, handler: Handler): Promise<Api> {
  const stub = await startStubServer();
  stub.answer(sessionsCall, handler);
  const transport = await createTransport(new URL(stub.url), undefined);
  t.teardown(async () => {
    transport.close();
    await stub.close();
  });
  return createApi(transport);
}

test('an answer without end is cut at 1 MB', async (t) => {
  let sent = 0;
  const api = await setup(t, (_, response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    const more = (): void => {
      while (!response.destroyed && response.write(' '.repeat(64 * 1024))) sent += 64 * 1024;
    };
    response.on('drain', more);
    more();
  });
  await t.throwsAsync(api.sessions({ signal }), { instanceOf: UserError, message: /more than 1 MB/ });
  t.true(sent < 32 * 1024 * 1024);
});

test('a server that never answers is given up after the time-out', async (t) => {
  const api = await setup(t, () => {});
  await t.throwsAsync(api.sessions({ signal, timeoutMs: 50 }), {
    instanceOf: UnreachableError,
    message: /did not answer within 1 s/,
  });
});

test('a server that sends a byte now and then is given up all the same', async (t) => {
  const api = await setup(t, (_, response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    const timer = setInterval(() => response.write(' '), 10);
    response.on('close', () => clearInterval(timer));
  });
  await t.throwsAsync(api.sessions({ signal, timeoutMs: 100 }), { instanceOf: UnreachableError });
});

test('a call ends with its signal', async (t) => {
  const stop = new AbortController();
  const reason = new Error('enough');
  const api = await setup(t, () => stop.abort(reason));
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
  // Listening on a port, so the address is not a pipe.
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
  const api = await setup(t, (_, response) => {
    ports.add(response.socket?.remotePort);
    sendJson(response, 200, { sessions: [] });
  });
  await api.sessions({ signal });
  await api.sessions({ signal });
  t.is(ports.size, 1);
});

test('work for the meantime begins once the request has left', async (t) => {
  const order: string[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  const api = await setup(t, (_, response) => {
    // Answered only when the work has begun: it cannot have waited for the answer.
    void promise.then(() => sendJson(response, 200, { sessions: [] }));
  });
  const meanwhile = (): Promise<void> => {
    order.push('meanwhile');
    resolve();
    return Promise.resolve();
  };
  await api.sessions({ signal, meanwhile });
  t.deepEqual(order, ['meanwhile']);
});
