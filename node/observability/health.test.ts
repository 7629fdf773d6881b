import test from 'ava';
import { HealthPortError, readiness, startHealth } from './health.ts';
import type { HealthSources } from './health.ts';

const now = 1_000_000;
const good: HealthSources = {
  node: () => ({ status: 'Running', ready: true }),
  reconciler: () => ({ synced: true, lastListAt: now - 1000 }),
  startup: () => undefined,
  isStopping: () => false,
  loginHold: () => undefined,
  notes: () => [],
  version: '1.2.3',
  scrape: () => Promise.resolve({ type: 'text/plain', text: 'tka_engine_up 1\n' }),
  now: () => now,
};

const missing: readonly [title: string, sources: Partial<HealthSources>, words: RegExp][] = [
  ['a node that is not made yet', { node: () => undefined }, /not started/],
  [
    'a node that restarts',
    { node: () => ({ status: 'Restarting', ready: false, reason: 'it was killed' }) },
    /Restarting: it was killed/,
  ],
  ['a node that runs without its peers', { node: () => ({ status: 'Running', ready: false }) }, /is Running/],
  [
    'a node that waits for approval',
    { node: () => ({ status: 'NeedsLogin', ready: false, authUrl: 'https://login' }) },
    /approve it: the URL is below/,
  ],
  ['sessions that are not known', { reconciler: () => ({ synced: false, lastListAt: undefined }) }, /not known yet/],
  ['no reconciler', { reconciler: () => undefined }, /not known yet/],
  [
    'a list of long ago',
    { reconciler: () => ({ synced: true, lastListAt: now - 150_001 }) },
    /list of sessions is old/,
  ],
  ['checks that are not through', { startup: () => 'the API server is away' }, /the API server is away/],
  ['refused logins', { loginHold: () => 'new logins are refused' }, /new logins are refused/],
  ['a server that stops', { isStopping: () => true }, /stopping/],
];

for (const [title, sources, words] of missing) {
  test(`${title} is not ready, and says so`, (t) => {
    const state = readiness({ ...good, ...sources }, true);
    t.is(state.status, 'not ready');
    t.is(state.missing.length, 1);
    t.regex(state.missing.join(), words);
  });
}

test('a problem that refuses nothing is a note, and the server is ready', (t) => {
  const note = 'no contact with the control server https://control.example for 5 s';
  t.deepEqual(readiness({ ...good, notes: () => [note] }, false), { status: 'ready', missing: [], notes: [note] });
  t.deepEqual(readiness(good, false), { status: 'ready', missing: [] });
});

test('the URL to approve the node at is for callers on the same machine alone', (t) => {
  const waiting = { ...good, node: () => ({ status: 'NeedsLogin', ready: false, authUrl: 'https://login/secret' }) };
  t.is(readiness(waiting, true).authUrl, 'https://login/secret');
  t.notRegex(JSON.stringify(readiness(waiting, false)), /login\/secret/);
});

const answers: readonly [title: string, path: string, sources: Partial<HealthSources>, status: number, body: RegExp][] =
  [
    ['all is well', '/readyz', {}, 200, /"ready"/],
    ['all is well', '/ready', {}, 200, /"ready"/],
    ['it stops', '/readyz', { isStopping: () => true }, 503, /stopping/],
    ['all is well', '/livez', {}, 200, /live/],
    ['all is well', '/openapi.json', {}, 200, /"version":"1\.2\.3"/],
    ['all is well', '/docs', {}, 200, /<h1>The API of tka 1\.2\.3<\/h1>/],
    [
      'the engine restarts',
      '/livez',
      { node: () => ({ status: 'Restarting', ready: false }), reconciler: () => undefined },
      200,
      /live/,
    ],
    [
      'the node has failed',
      '/livez',
      { node: () => ({ status: 'Failed', ready: false, reason: 'bad key' }) },
      503,
      /bad key/,
    ],
    ['all is well', '/metrics', {}, 200, /^tka_engine_up 1$/m],
    ['a collector throws', '/metrics', { scrape: () => Promise.reject(new Error('/secret')) }, 500, /cannot be read/],
    ['all is well', '/metrics?x=y', {}, 200, /tka_engine_up/],
    ['all is well', '/', {}, 404, /livez/],
  ];

for (const [title, path, sources, status, body] of answers) {
  test(`when ${title}, GET ${path} is ${status}`, async (t) => {
    const health = await startHealth('127.0.0.1', 0, { ...good, ...sources });
    t.teardown(() => health.close());
    const response = await fetch(`http://127.0.0.1:${health.port}${path}`);
    t.is(response.status, status);
    t.regex(await response.text(), body);
  });
}

test('a page that cannot be made is 500, and the server lives on', async (t) => {
  const broken = {
    ...good,
    get version(): string {
      throw new Error('/secret');
    },
  };
  const health = await startHealth('127.0.0.1', 0, broken);
  t.teardown(() => health.close());
  for (const path of ['/docs', '/openapi.json']) {
    const response = await fetch(`http://127.0.0.1:${health.port}${path}`);
    t.is(response.status, 500);
    t.notRegex(await response.text(), /secret/);
  }
});

test('a port that is taken is an error that names the setting and the address', async (t) => {
  const health = await startHealth('127.0.0.1', 0, good);
  t.teardown(() => health.close());
  await t.throwsAsync(startHealth('127.0.0.1', health.port, good), {
    instanceOf: HealthPortError,
    message: new RegExp(`127\\.0\\.0\\.1:${health.port}: another program has it; choose another health\\.port`),
  });
});

test('an installation that is incomplete is named, and not taken for an API server that is away', (t) => {
  const problem = 'the CustomResourceDefinition tkasignins.tka.specht-labs.de is not installed';
  const state = readiness({ ...good, reconciler: () => ({ synced: true, lastListAt: 0, problem }) }, false);
  t.is(state.status, 'not ready');
  t.true(state.missing.some((words) => words.startsWith(`${problem}: `) && words.includes('kubectl apply -k OVERLAY')));
  t.false(state.missing.some((words) => words.includes('is away')));
});
