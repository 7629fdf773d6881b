import test from 'ava';
import { clusterInfoSchema, paths, wellKnownSchema } from './contract.ts';
import { createFixture } from '../testing/http.ts';

const unknown: readonly [method: string, path: string, status: number, allow?: string][] = [
  ['GET', '/', 404],
  ['GET', '/api/v1alpha1', 404],
  ['POST', '/api/v1alpha1/nothing', 404],
  ['GET', '/api/v1alpha1/login/', 404],
  ['GET', '/API/v1alpha1/login', 404],
  ['GET', '/api/v1alpha1/../v1alpha1/login', 404],
  ['GET', '/api/v1alpha1/%6cogin', 404],
  ['GET', '/%', 404],
  ['PUT', paths.login, 405, 'POST, HEAD, GET'],
  ['DELETE', paths.login, 405, 'POST, HEAD, GET'],
  ['OPTIONS', paths.login, 405, 'POST, HEAD, GET'],
  ['GET', paths.logout, 405, 'POST'],
  ['POST', paths.kubeconfig, 405, 'HEAD, GET'],
  ['PROPFIND', paths.whoami, 405, 'HEAD, GET'],
];

for (const [method, path, status, allow] of unknown) {
  test(`${method} ${path} is answered ${status} in the shape of every error`, async (t) => {
    await using fixture = await createFixture();
    const answer = await fixture.call(method, path);
    t.is(answer.status, status);
    t.is(answer.headers.allow, allow);
    t.like(answer.json, { code: status === 404 ? 'not_found' : 'bad_request', advice: [] });
  });
}

for (const path of ['/swagger', '/swagger/index.html', '/swagger/doc.json']) {
  test(`GET ${path}, where the Go tka described its API, leads to the description of this one`, async (t) => {
    await using fixture = await createFixture();
    const answer = await fixture.call('GET', path);
    t.is(answer.status, 308);
    t.is(answer.headers.location, '/openapi.json');
    t.is((await fixture.call('POST', path)).status, 404);
  });
}

test('discovery reads the name, labels, version and modes of a server', async (t) => {
  await using fixture = await createFixture();
  const answer = await fixture.call('GET', paths.wellKnown);
  t.is(answer.status, 200);
  t.deepEqual(wellKnownSchema.parse(answer.json), {
    cluster: 'tka-cluster',
    labels: { environment: 'test' },
    version: '1.2.3',
    modes: ['direct'],
    api: ['v1alpha1'],
  });
});

test('a client understands the modes and fields of a server that is newer than it', (t) => {
  const newer = {
    cluster: 'a',
    labels: {},
    version: '9',
    modes: ['direct', 'carrier-pigeon'],
    api: ['v2'],
    more: true,
  };
  t.deepEqual(wellKnownSchema.parse(newer).modes, ['direct', 'carrier-pigeon']);
});

test("discovery reads tka's own CA where it has one", async (t) => {
  await using fixture = await createFixture({ deps: { ownCa: () => 'PEM' } });
  t.like((await fixture.call('GET', paths.wellKnown)).json, { ca: 'PEM' });
});

test('discovery reads which replicas there are, where there are several', async (t) => {
  const replicas = ['a', 'b'].map((node) => ({ node, name: `tka-${node}.tail.example` }));
  await using several = await createFixture({ deps: { replicas: () => replicas } });
  t.deepEqual(wellKnownSchema.parse((await several.call('GET', paths.wellKnown)).json).replicas, replicas);
  await using one = await createFixture({ deps: { replicas: () => replicas.slice(1) } });
  t.false('replicas' in ((await one.call('GET', paths.wellKnown)).json as object));
});

test('cluster-info has the fields that released clients decode', async (t) => {
  await using fixture = await createFixture();
  const answer = await fixture.call('GET', paths.clusterInfo);
  t.is(answer.status, 200);
  t.deepEqual(clusterInfoSchema.parse(answer.json), {
    server_url: 'https://api.example.com:6443',
    insecure_skip_tls_verify: false,
    ca_data: Buffer.from('a CA').toString('base64'),
    labels: { environment: 'test' },
  });
});

test('a caller that goes away while it waits leaves no error behind', async (t) => {
  let started: (() => void) | undefined;
  const waiting = new Promise<void>((resolve) => (started = resolve));
  let aborted: (() => void) | undefined;
  const gone = new Promise<void>((resolve) => (aborted = resolve));
  await using fixture = await createFixture({
    deps: {
      sessions: {
        signIn: (_request, signal) =>
          new Promise((_resolve, reject) => {
            signal.addEventListener('abort', () => {
              reject(new Error('aborted'));
              aborted?.();
            });
            started?.();
          }),
        list: () => [],
        usable: () => Promise.reject(new Error('unused')),
        end: () => Promise.resolve(),
        proxyToken: () => 'unused',
        token: () => Promise.reject(new Error('unused')),
      },
    },
  });
  const { request } = await import('node:http');
  const req = request({ host: '127.0.0.1', port: fixture.port, path: paths.login, method: 'POST' });
  req.on('error', () => {});
  req.end();
  await waiting;
  req.destroy();
  await gone;
  t.false(fixture.log.some((line) => line['msg'] === 'a request failed'));
});
