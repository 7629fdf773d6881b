import test, { type ExecutionContext } from 'ava';
import { type Cluster, findClusters } from './index.ts';
import { UserError } from '../errors.ts';
import { rememberServer } from '../trust/known-servers.ts';
import { createTestRuntime, type NodeOptions, startTailscaled, statusOf } from '../testing/tailscaled.ts';
import { sendJson, startStubServer, type StubServer } from '../testing/stub-server.ts';
import { TailnetError } from '../tailnet/types.ts';

const signal = new AbortController().signal;

/** A proxy that is every machine on the tailnet: it answers by the name that it is asked for. */
async function startProxy(t: ExecutionContext, clusters: Readonly<Record<string, unknown>>): Promise<StubServer> {
  const stub = await startStubServer();
  t.teardown(() => stub.close());
  stub.answer('GET /.well-known/tka', ({ headers }, response) => {
    const [host = ''] = (headers.host ?? '').split('.', 1);
    const answer = clusters[host];
    if (answer === 'hang') return;
    if (typeof answer === 'string') {
      sendJson(response, 200, { cluster: answer, labels: { env: 'x' }, version: '1.2.3', modes: ['direct', 'proxy'] });
    } else if (answer === undefined) response.writeHead(200, { 'content-type': 'text/html' }).end('<html>');
    else sendJson(response, 200, answer);
  });
  return stub;
}

const node = (id: string, name: string, more: Partial<NodeOptions> = {}): NodeOptions => ({ id, name, ...more });
const brief = (clusters: readonly Cluster[]): string[] =>
  clusters.map(
    ({ name, server, trust, answer }) => `${name} ${server.replace('http://', '')} ${trust} ${answer.state}`,
  );

test('peers by tag and by name are asked, others are not; the offline, the expired and the shared are left in peace', async (t) => {
  const proxy = await startProxy(t, { auth: 'prod', 'tka-dev': 'dev' });
  const { socket } = await startTailscaled(
    t,
    statusOf([
      node('n1', 'auth', { tags: ['tag:tka-server'] }),
      node('n2', 'tka-dev'),
      node('n3', 'laptop2'),
      node('n4', 'tka-off', { online: false }),
      node('n5', 'tka-expired', { Expired: true }),
      node('n6', 'tka.other.ts.net', { tags: ['tag:tka'] }),
      node('n7', 'tka-web'),
    ]),
  );
  const runtime = createTestRuntime(t, { socket, env: { http_proxy: proxy.url } });
  const { clusters, problem } = await findClusters(runtime, { signal });
  t.is(problem, undefined);
  t.deepEqual(brief(clusters), [
    'dev tka-dev.tail.example new here',
    'prod auth.tail.example new here',
    'tka-expired tka-expired.tail.example new away',
    'tka-off tka-off.tail.example new away',
    'tka-web tka-web.tail.example new away',
  ]);
  t.deepEqual(
    clusters.map(({ answer }) => (answer.state === 'away' ? answer.reason : answer.state)),
    ['here', 'here', 'its node key has expired', 'offline', 'is not a tka server (status 200, text/html)'],
  );
  t.is(proxy.calls.length, 3);
});

test('what is found is heard of as it becomes known', async (t) => {
  const proxy = await startProxy(t, { tka: 'prod' });
  const { socket } = await startTailscaled(t, statusOf([node('n1', 'tka')]));
  const runtime = createTestRuntime(t, { socket, env: { http_proxy: proxy.url } });
  const heard: string[][] = [];
  await findClusters(runtime, { signal, onChange: (clusters) => void heard.push(brief(clusters)) });
  t.deepEqual(heard, [['tka tka.tail.example new asking'], ['prod tka.tail.example new here']]);
});

test('eight are asked at once, and each has a second', async (t) => {
  const names = Array.from({ length: 9 }, (_, i) => `tka-${i}`);
  const proxy = await startProxy(t, Object.fromEntries(names.map((name) => [name, 'hang'])));
  const { socket } = await startTailscaled(t, statusOf(names.map((name, i) => node(`n${i}`, name))));
  const runtime = createTestRuntime(t, { socket, env: { http_proxy: proxy.url } });
  let first = 0;
  const { clusters } = await findClusters(runtime, {
    signal,
    onChange: (all) => {
      if (first === 0 && all.some(({ answer }) => answer.state === 'away')) first = proxy.calls.length;
    },
  });
  t.true(first <= 9 && first >= 8, `${first} were asked when the first had not answered`);
  t.true(clusters.every(({ answer }) => answer.state === 'away' && answer.reason === 'no answer within 1 s'));
});

test('two servers with one cluster name stay apart, and the trusted one keeps its name', async (t) => {
  const proxy = await startProxy(t, { tka: 'prod', 'tka-evil': 'prod' });
  const peers = [node('n1', 'tka', { tags: ['tag:tka'] }), node('n2', 'tka-evil')];
  const { socket } = await startTailscaled(t, statusOf(peers));
  const runtime = createTestRuntime(t, { socket, env: { http_proxy: proxy.url } });
  t.deepEqual(brief((await findClusters(runtime, { signal })).clusters), [
    'prod-tka tka.tail.example new here',
    'prod-tka-evil tka-evil.tail.example new here',
  ]);
  rememberServer(runtime.env, { server: 'http://tka', nodeId: 'n1', tags: ['tag:tka'], cluster: 'prod' });
  t.deepEqual(brief((await findClusters(runtime, { signal })).clusters), [
    'prod tka pinned here',
    'prod-tka-evil tka-evil.tail.example new here',
  ]);
});

test('a machine is listed once, under the name that the configuration file has for it', async (t) => {
  const proxy = await startProxy(t, { tka: 'prod' });
  const { socket } = await startTailscaled(t, statusOf([node('n1', 'tka')]));
  const config = 'server: tka\nservers: [http://tka, https://tka.tail.example]';
  const runtime = createTestRuntime(t, { socket, config, env: { http_proxy: proxy.url } });
  const { clusters } = await findClusters(runtime, { signal });
  t.deepEqual(brief(clusters), ['prod tka new here']);
  t.is(clusters[0]?.source, 'configuration');
});

for (const [what, config, expected] of [
  ['discovery: false', 'discovery: false', []],
  ['its own tags', "discovery: {tags: ['tag:gate'], names: []}", ['prod auth.tail.example new here']],
  ['its own names', "discovery: {tags: [], names: ['*-gate', 'a.b']}", ['dev my-gate.tail.example new here']],
] as const) {
  test(`the configuration file says what is looked for: ${what}`, async (t) => {
    const proxy = await startProxy(t, { auth: 'prod', 'my-gate': 'dev', tka: 'x', axb: 'y' });
    const peers = [
      node('n1', 'auth', { tags: ['tag:gate'] }),
      node('n2', 'my-gate'),
      node('n3', 'tka'),
      node('n4', 'axb'),
    ];
    const { socket } = await startTailscaled(t, statusOf(peers));
    const runtime = createTestRuntime(t, { socket, config, env: { http_proxy: proxy.url } });
    t.deepEqual(brief((await findClusters(runtime, { signal })).clusters), [...expected]);
  });
}

for (const [what, status, env, server] of [
  ['names resolve', {}, {}, 'http://tka.tail.example'],
  ['nothing resolves them', { TUN: false }, {}, 'http://127.0.0.1'],
  ['a proxy resolves them', { TUN: false }, { http_proxy: 'http://127.0.0.1:1' }, 'http://tka.tail.example'],
] as const) {
  test(`where ${what}, a peer is ${server}`, async (t) => {
    const { socket } = await startTailscaled(t, statusOf([node('n1', 'tka')], status));
    const runtime = createTestRuntime(t, { socket, env });
    t.is((await findClusters(runtime, { signal })).clusters[0]?.server, server);
  });
}

test('without a tailscaled the configured servers are asked, and the problem is said', async (t) => {
  const stub = await startStubServer();
  t.teardown(() => stub.close());
  const runtime = createTestRuntime(t, { config: `servers: ["${stub.url}"]` });
  const { clusters, problem } = await findClusters(runtime, { signal });
  t.deepEqual(brief(clusters), [`prod ${stub.url.replace('http://', '')} unverifiable here`]);
  t.true(problem instanceof TailnetError);
});

test('a configuration file that is broken is no empty list', async (t) => {
  const runtime = createTestRuntime(t, { config: 'servers: yes, please' });
  await t.throwsAsync(findClusters(runtime, { signal }), { instanceOf: UserError, message: /config\.yaml: servers/ });
});

test('what a server says of itself comes out fit to be shown', async (t) => {
  const evil = 'a\u001B]52;c;eA==\u0007\u202Eb\n$(id)';
  const labels = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`${evil}${i}`, evil]));
  const proxy = await startProxy(t, {
    tka: { cluster: `../${evil}`, labels: { ...labels, __proto__: 'x' }, version: evil, modes: ['direct', 'magic'] },
  });
  const { socket } = await startTailscaled(t, statusOf([node('n1', 'tka')]));
  const runtime = createTestRuntime(t, { socket, env: { http_proxy: proxy.url } });
  const { clusters } = await findClusters(runtime, { signal });
  t.regex(clusters[0]?.name ?? '', /^[a-z0-9.-]{1,63}$/);
  t.notRegex(JSON.stringify(clusters), /\\u|\\n|\u202E/);
  const [only] = clusters;
  t.deepEqual(only?.answer.state === 'here' && only.answer.modes, ['direct']);
  t.is(only?.answer.state === 'here' && Object.keys(only.answer.labels).length, 32);
});

test('a search stops when it is aborted', async (t) => {
  const proxy = await startProxy(t, { tka: 'hang' });
  const { socket } = await startTailscaled(t, statusOf([node('n1', 'tka')]));
  const runtime = createTestRuntime(t, { socket, env: { http_proxy: proxy.url } });
  const stop = new AbortController();
  const onChange = (): void => stop.abort(new Error('enough'));
  await t.throwsAsync(findClusters(runtime, { signal: stop.signal, onChange }), { message: 'enough' });
});
