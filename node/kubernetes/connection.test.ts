/** The connection against a server that records what arrives; TLS and tokens against a real API server are in e2e/. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { pino } from 'pino';
import { stringify } from 'yaml';
import { during } from '../../reconciler/cluster.ts';
import {
  ApiUnavailableError,
  ConflictError,
  ForbiddenError,
  GoneError,
  InvalidError,
  NotFoundError,
  NotLeadingError,
  UnauthorizedError,
} from '../../reconciler/errors.ts';
import { connectKubernetes, KubeconfigError, type KubernetesOptions } from './connection.ts';

const log = pino({ level: 'silent' });
const never = new AbortController().signal;

interface Seen {
  readonly method: string;
  readonly url: string;
  readonly authorization: string | undefined;
  readonly userAgent: string | undefined;
  readonly type: string | undefined;
  readonly port: number | undefined;
}

async function start(
  t: ExecutionContext,
  handle: (request: IncomingMessage, response: ServerResponse) => void,
  options: Partial<KubernetesOptions> = {},
) {
  const seen: Seen[] = [];
  const server = createServer((request, response) => {
    const { authorization, 'user-agent': userAgent, 'content-type': type } = request.headers;
    const { method = '', url = '' } = request;
    seen.push({ method, url, authorization, userAgent, type, port: request.socket.remotePort });
    handle(request, response);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  // A server that listens on TCP has an address of this form.
  const { port } = server.address() as AddressInfo;
  const kubeconfig = writeKubeconfig(t, `http://127.0.0.1:${port}`);
  const kubernetes = connectKubernetes({ kubeconfig, log, ...options });
  t.teardown(async () => {
    server.closeAllConnections();
    server.close();
    await kubernetes.close();
  });
  return { kubernetes, seen, server };
}

function writeKubeconfig(t: ExecutionContext, server: string): string {
  const dir = mkdtempSync(join(tmpdir(), 'tka-kubeconfig-'));
  t.teardown(() => rmSync(dir, { recursive: true }));
  const path = join(dir, 'config');
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    // client-node takes plain HTTP only with this.
    clusters: [{ name: 'test', cluster: { server, 'insecure-skip-tls-verify': true } }],
    users: [{ name: 'tka', user: { token: 'tka-own-token' } }],
    contexts: [
      { name: 'one', context: { cluster: 'test', user: 'tka' } },
      { name: 'two', context: { cluster: 'test', user: 'tka' } },
    ],
    'current-context': 'one',
  };
  writeFileSync(path, stringify(config));
  return path;
}

async function collect(events: AsyncIterable<unknown>): Promise<readonly unknown[]> {
  const all: unknown[] = [];
  for await (const event of events) all.push(event);
  return all;
}

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'x', namespace: 'a' } };

test('calls one after another do not open a connection each', async (t) => {
  const { kubernetes, seen } = await start(t, (_request, response) => json(response, 200, account));
  for (let i = 0; i < 10; i += 1) {
    await kubernetes.core.readNamespacedServiceAccount({ name: 'x', namespace: 'a' }, during(never));
  }
  // A second one may be opened while the first is about to become free.
  t.true(new Set(seen.map(({ port }) => port)).size <= 2);
  t.is(seen[0]?.authorization, 'Bearer tka-own-token');
  t.regex(seen[0]?.userAgent ?? '', /^tka\//);
});

test('deletes with preconditions keep their connection', async (t) => {
  const { kubernetes, seen } = await start(t, (_request, response) => json(response, 200, account));
  const body = { preconditions: { uid: 'u' } };
  for (let i = 0; i < 10; i += 1) {
    await kubernetes.core.deleteNamespacedServiceAccount({ name: 'x', namespace: 'a', body }, during(never));
  }
  t.true(new Set(seen.map(({ port }) => port)).size <= 2);
});

test("a session's token travels alone: without tka's own, and on other connections", async (t) => {
  const { kubernetes, seen } = await start(t, (_request, response) =>
    json(response, 201, { status: { allowed: true } }),
  );
  const body = { spec: { resourceAttributes: { verb: 'get', resource: 'pods' } } };
  await kubernetes.may({ verb: 'get', group: '', resource: 'pods' }, never);
  await kubernetes.withToken('session-token').createSelfSubjectAccessReview({ body }, during(never));
  await kubernetes.withToken('other-token').createSelfSubjectAccessReview({ body }, during(never));
  t.deepEqual(
    seen.map(({ authorization }) => authorization),
    ['Bearer tka-own-token', 'Bearer session-token', 'Bearer other-token'],
  );
  t.not(seen[0]?.port, seen[1]?.port);
});

const errors: readonly (readonly [number, new (...args: never[]) => Error])[] = [
  [400, InvalidError],
  [401, UnauthorizedError],
  [403, ForbiddenError],
  [404, NotFoundError],
  [409, ConflictError],
  [410, GoneError],
  [422, InvalidError],
  [429, ApiUnavailableError],
  [500, ApiUnavailableError],
  [503, ApiUnavailableError],
];
for (const [status, type] of errors) {
  test(`${status} is a ${type.name} that names verb, resource and the API server's reason`, async (t) => {
    const { kubernetes } = await start(t, (_request, response) => {
      json(response, status, { kind: 'Status', status: 'Failure', message: 'because', code: status });
    });
    const call = kubernetes.core.deleteNamespacedServiceAccount({ name: 'x', namespace: 'a' }, during(never));
    const error = await t.throwsAsync(call, { instanceOf: type });
    t.like(error, { verb: 'delete', resource: 'serviceaccounts' });
    t.is(error?.message, 'cannot delete serviceaccounts x in a: because');
  });
}

test('an answer that is no Status still has its error', async (t) => {
  const { kubernetes } = await start(t, (_request, response) =>
    response.writeHead(502).end('<html>bad gateway</html>'),
  );
  await t.throwsAsync(kubernetes.version(never), { instanceOf: ApiUnavailableError, message: /answered 502/ });
});

test('an API server that is not there is an ApiUnavailableError, and the next call finds it again', async (t) => {
  let away = true;
  const { kubernetes } = await start(t, (request, response) => {
    if (away) request.socket.destroy();
    else json(response, 200, { major: '1', minor: '30', gitVersion: 'v1.30.0' });
  });
  await t.throwsAsync(kubernetes.version(never), { instanceOf: ApiUnavailableError });
  away = false;
  t.is((await kubernetes.version(never)).gitVersion, 'v1.30.0');
});

test("a caller's signal ends its call, with its own reason", async (t) => {
  const { kubernetes } = await start(t, () => undefined);
  const controller = new AbortController();
  const call = kubernetes.version(controller.signal);
  controller.abort(new Error('enough'));
  await t.throwsAsync(call, { message: 'enough' });
});

test('a missing object and a forbidden one are different errors', async (t) => {
  const { kubernetes } = await start(t, ({ url }, response) => {
    json(response, url === '/here' ? 200 : url === '/missing' ? 404 : 403, { kind: 'Status', message: 'x' });
  });
  t.truthy(await kubernetes.object('/here', never));
  t.is(await kubernetes.object('/missing', never), undefined);
  await t.throwsAsync(kubernetes.object('/secret', never), { instanceOf: ForbiddenError });
});

test('each request is counted once, with its verb, resource and status', async (t) => {
  const counted: string[] = [];
  const { kubernetes } = await start(t, (_request, response) => json(response, 404, { kind: 'Status', message: 'x' }), {
    onRequest: ({ verb, resource, status }) => counted.push(`${verb} ${resource} ${status}`),
  });
  await t.throwsAsync(kubernetes.core.readNamespace({ name: 'a' }, during(never)));
  t.deepEqual(counted, ['get namespaces 404']);
});

test('a watch yields each object, however the bytes are cut, and sends the query', async (t) => {
  const lines = `${JSON.stringify({ type: 'ADDED', object: 'é' })}\n${JSON.stringify({ type: 'X' })}\n`;
  const bytes = Buffer.from(lines);
  const { kubernetes, seen } = await start(t, (_request, response) => {
    response.writeHead(200);
    for (let i = 0; i < bytes.length; i += 1) response.write(bytes.subarray(i, i + 1));
    response.end();
  });
  const events = await collect(kubernetes.watch('/apis/x/v1/y', { resourceVersion: '7' }, never));
  t.deepEqual(events, [{ type: 'ADDED', object: 'é' }, { type: 'X' }]);
  t.is(seen[0]?.url, '/apis/x/v1/y?resourceVersion=7&watch=true');
});

test('a watch that is refused, breaks or is left says which', async (t) => {
  const { kubernetes } = await start(t, ({ url = '' }, response) => {
    if (url.startsWith('/gone')) json(response, 410, { kind: 'Status', message: 'too old' });
    else response.writeHead(200).write('{"type":"ADDED"}\n', () => url.startsWith('/broken') && response.destroy());
  });
  const read = async (path: string, signal: AbortSignal): Promise<unknown> =>
    await collect(kubernetes.watch(path, {}, signal));
  await t.throwsAsync(read('/gone', never), { instanceOf: GoneError });
  await t.throwsAsync(read('/broken', never), { instanceOf: ApiUnavailableError });
  const controller = new AbortController();
  const left = (async () => {
    for await (const event of kubernetes.watch('/open', {}, controller.signal)) {
      t.deepEqual(event, { type: 'ADDED' });
      controller.abort(new Error('left'));
    }
  })();
  await t.throwsAsync(left, { message: 'left' });
});

test('interceptors are around every request', async (t) => {
  const paths: string[] = [];
  const { kubernetes } = await start(t, (_request, response) => json(response, 200, {}), {
    interceptors: [
      (dispatch) => (options, handler) => {
        paths.push(options.path);
        return dispatch(options, handler);
      },
    ],
  });
  await kubernetes.version(never);
  t.deepEqual(paths, ['/version']);
});

test('the context named is used, and a missing one is answered with those there are', (t) => {
  const kubeconfig = writeKubeconfig(t, 'http://127.0.0.1:1');
  t.is(connectKubernetes({ kubeconfig, context: 'two', log }).contextName, 'two');
  t.throws(() => connectKubernetes({ kubeconfig, context: 'three', log }), {
    instanceOf: KubeconfigError,
    message: /no context three \(it has one, two\): set kubernetes\.context/,
  });
});

test('a kubeconfig that is not there is named, with the key that sets it', (t) => {
  t.throws(() => connectKubernetes({ kubeconfig: '/nowhere/config', log }), {
    instanceOf: KubeconfigError,
    message: /\/nowhere\/config.*set kubernetes\.kubeconfig/,
  });
});

test('a separate request does not wait behind the others', async (t) => {
  const waiting: ServerResponse[] = [];
  let isSlow = true;
  const answer = (response: ServerResponse): void =>
    void response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
  const { kubernetes } = await start(t, ({ url = '' }, response) => {
    if (isSlow && url.endsWith('slow')) waiting.push(response);
    else answer(response);
  });
  // More than there are connections.
  const slow = Array.from({ length: 70 }, () => kubernetes.core.readNamespace({ name: 'slow' }, during(never)));
  await t.notThrowsAsync(kubernetes.apart.core.readNamespace({ name: 'quick' }, during(never)));
  isSlow = false;
  for (const response of waiting) answer(response);
  await Promise.all(slow);
});

test('a check that throws keeps a request from leaving, and the caller gets what it threw', async (t) => {
  const { kubernetes, seen } = await start(t, (_, response) => {
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
  });
  let mayGo = true;
  const { core } = kubernetes.checkedBy(() => {
    if (!mayGo) throw new NotLeadingError('another replica leads');
  });
  await core.readNamespace({ name: 'a' }, during(never));
  mayGo = false;
  await t.throwsAsync(core.readNamespace({ name: 'b' }, during(never)), { instanceOf: NotLeadingError });
  await kubernetes.core.readNamespace({ name: 'c' }, during(never));
  t.deepEqual(
    seen.map(({ url }) => url.at(-1)),
    ['a', 'c'],
  );
});
