/**
 * The Kubernetes API and tka's own on one port, byte by byte: a request gets to the API server with a session's token alone, and never to
 * tka's own API with one. Which request is which: classify.test.ts; with a tailnet and kubectl: e2e/proxy/root.ts.
 */
import test from 'ava';
import { bodyOf, createFixture, type Fixture, statusOf, turns } from './testing/fixture.ts';

/** What stands for tka's own API in the fixture. */
const own = /not the proxy/;
const close = 'Connection: close\r\n';

function firstLines(at: Fixture): readonly (string | undefined)[] {
  return at.upstream.flatMap((connection) => connection.bytes().match(/^(?:GET|POST|DELETE|OPTIONS) \S+/gm) ?? []);
}

function plain(method: string, path: string, ...headers: readonly string[]): string {
  return `${method} ${path} HTTP/1.1\r\nHost: tka\r\n${headers.map((header) => `${header}\r\n`).join('')}`;
}

for (const path of [
  '/',
  '/api',
  '/api/v1/namespaces/a/pods?limit=5',
  '/api/v1alpha1/login',
  '/openapi.json',
  '/metrics',
])
  test(`${path} with a session's token is asked of the API server, with nothing of the caller's token`, async (t) => {
    await using at = await createFixture();
    const answer = await at.ask('alice', `${at.head('GET', path, 'alice')}${close}\r\n`);
    t.is(statusOf(answer), 200);
    t.notRegex(answer, own);
    t.deepEqual(firstLines(at), [`GET ${path}`]);
    t.false(at.upstream[0]?.bytes().includes('tka_'));
  });

for (const path of [
  '/api',
  '/api/v1',
  '/apis/apps/v1',
  '/openapi/v3',
  '/version',
  '/livez',
  '/k8s',
  '/k8s/api/v1/pods',
])
  for (const [title, headers] of [
    ['no token', []],
    ['a token of another kind', ['Authorization: Bearer eyJhbGciOi']],
    ['a password', ['Authorization: Basic dGthOnRrYQ==']],
    ['a token of another scheme', ['Authorization: Token tka_alice_0']],
    ['a token in the query', ['X-Nothing: x']],
  ] as const) {
    const target = title.endsWith('query') ? `${path}?access_token=tka_alice_0` : path;
    test(`${path} with ${title} is a Status of 401`, async (t) => {
      await using at = await createFixture();
      const answer = await at.ask('alice', `${plain('GET', target, ...headers)}${close}\r\n`);
      t.is(statusOf(answer), 401);
      t.like(bodyOf(answer), { kind: 'Status', reason: 'Unauthorized', code: 401 });
      t.regex(String(bodyOf(answer)['message']), /tka login/);
      t.is(at.upstream.length, 0);
    });
  }

for (const path of ['/api/v1alpha1/whoami', '/.well-known/tka', '/openapi.json', '/', '/metrics', '/k8sx', '/K8S/api'])
  for (const [title, headers] of [
    ['no token', []],
    ['a token of another kind', ['Authorization: Bearer eyJhbGciOi']],
    ['a token of another scheme', ['Authorization: Token tka_alice_0']],
    ['a second token behind a comma', ['Authorization: Bearer x, Bearer tka_alice_0']],
    ['a token in another header', ['X-Authorization: Bearer tka_alice_0', 'Proxy-Authorization: Bearer tka_alice_0']],
    ['a token as subprotocol', ['Sec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io.dGthX2FfYg']],
  ] as const)
    test(`${path} with ${title} is tka's own`, async (t) => {
      await using at = await createFixture();
      t.regex(await at.ask('alice', `${plain('GET', path, ...headers)}${close}\r\n`), own);
      t.is(at.upstream.length, 0);
    });

for (const path of ['/api/v1alpha1/login', '/api/v1/pods', '/', '/k8s/api'])
  for (const [title, status, headers] of [
    ['a wrong key', 401, () => ['Authorization: Bearer tka_alice_00000000000000000000000000000000']],
    ['an invalid token', 401, () => ['Authorization: Bearer tka_']],
    ["another's token", 401, (at) => [`Authorization: Bearer ${at.token('bob')}`]],
    ['two tokens', 400, (at) => [`Authorization: Bearer ${at.token('alice')}`, `authorization: Bearer x`]],
    ['two tokens, ours last', 400, (at) => ['authorization: Basic eDp4', `AUTHORIZATION: bEaReR ${at.token('alice')}`]],
    ['a list of tokens', 401, (at) => [`Authorization: Bearer ${at.token('alice')}, Bearer x`]],
    [
      'a second token as subprotocol',
      400,
      (at) => [
        `Authorization: Bearer ${at.token('alice')}`,
        'Sec-WebSocket-Protocol: v5.channel.k8s.io, base64url.bearer.authorization.k8s.io.eA',
      ],
    ],
    ['impersonation', 400, (at) => [`Authorization: Bearer ${at.token('alice')}`, 'Impersonate-User: system:admin']],
  ] as const satisfies readonly (readonly [string, number, (at: Fixture) => readonly string[]])[])
    test(`${path} with ${title} is refused with ${status}, by the proxy`, async (t) => {
      await using at = await createFixture();
      const answer = await at.ask('alice', `${plain('GET', path, ...headers(at))}${close}\r\n`);
      t.is(statusOf(answer), status);
      t.like(bodyOf(answer), { kind: 'Status', code: status });
      t.is(at.upstream.length, 0);
    });

test('a token that is named in Connection is the token all the same, and is not forwarded', async (t) => {
  await using at = await createFixture();
  const head = at.head('GET', '/api/v1alpha1/login', 'alice');
  const answer = await at.ask('alice', `${head}Connection: close, Authorization\r\n\r\n`);
  t.notRegex(answer, own);
  t.false(at.upstream.some((connection) => connection.bytes().includes('tka_')));
});

for (const path of [
  '//',
  '//api/v1/pods',
  '/..',
  '/../api/v1alpha1/login',
  '/%2e%2e/x',
  '/%252e%252e/x',
  '/api%00',
  '/\\api',
])
  test(`${path} at the root is refused, with a token`, async (t) => {
    await using at = await createFixture();
    const answer = await at.ask('alice', `${at.head('GET', path, 'alice')}${close}\r\n`);
    t.is(statusOf(answer), 400);
    t.notRegex(answer, own);
    t.is(at.upstream.length, 0);
  });

const upgrading =
  'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: eA==\r\n\r\n';

test('an upgrade at the root goes to the API server with a token, is refused without', async (t) => {
  await using at = await createFixture();
  const path = '/api/v1/namespaces/a/pods/b/exec?command=ls';
  t.is(statusOf(await at.ask('alice', `${plain('GET', path)}${upgrading}`)), 401);
  t.is(at.upstream.length, 0);
  t.is(statusOf(await at.ask('alice', `${at.head('GET', path, 'alice')}${upgrading}`)), 200);
  t.deepEqual(firstLines(at), [`GET ${path}`]);
});

test("an upgrade at a path of tka's own is a plain request to it without a token, and with one the API server's", async (t) => {
  await using at = await createFixture();
  const wire = await at.dial('alice', `${plain('GET', '/api/v1alpha1/whoami')}${upgrading}`);
  t.is(statusOf(await wire.until(own)), 404);
  t.is(at.upstream.length, 0);
  t.is(statusOf(await at.ask('alice', `${at.head('GET', '/api/v1alpha1/whoami', 'alice')}${upgrading}`)), 200);
  t.deepEqual(firstLines(at), ['GET /api/v1alpha1/whoami']);
});

test('requests of both kinds on one connection each get to their own place', async (t) => {
  await using at = await createFixture();
  const wire = await at.dial('alice');
  const answers: string[] = [];
  for (const text of [
    at.head('GET', '/first', 'alice'),
    plain('GET', '/second'),
    at.head('GET', '/api/v1alpha1/third', 'alice'),
    plain('GET', '/api/v1alpha1/fourth'),
    plain('GET', '/api/v1/fifth'),
  ]) {
    const before = wire.text.length;
    wire.send(`${text}\r\n`);
    await wire.until(new RegExp(`(?:HTTP/1.1 \\d{3}[^]*(?:\\}|proxy)[^]*){${answers.length + 1}}`));
    answers.push(wire.text.slice(before));
  }
  t.deepEqual(answers.map(statusOf), [200, 404, 200, 404, 401]);
  await turns();
  t.deepEqual(firstLines(at), ['GET /first', 'GET /api/v1alpha1/third']);
});

for (const [prefix, location, expected] of [
  ['', '/api/v1/x/', '/api/v1/x/'],
  ['/k8s', '/api/v1/x/', '/k8s/api/v1/x/'],
  ['', 'relative', 'relative'],
  ['', 'https://elsewhere.example/', undefined],
  ['', '//elsewhere.example/', undefined],
] as const)
  test(`a redirect to ${location} comes back to ${prefix}/api as ${expected ?? 'none'}`, async (t) => {
    await using at = await createFixture({
      apiServer: { request: (_req, res) => res.writeHead(302, { location }).end() },
    });
    const answer = await at.ask('alice', `${at.head('GET', `${prefix}/api/v1/x`, 'alice')}${close}\r\n`);
    t.is(/^location: (.*)\r$/im.exec(answer)?.[1], expected);
  });

test('hashes of OpenAPI v3 and the addresses of discovery are the ones that the API server wrote, at both places', async (t) => {
  const index = '{"paths":{"api/v1":{"serverRelativeURL":"/openapi/v3/api/v1?hash=0A"}}}';
  await using at = await createFixture({ apiServer: { request: (_req, res) => res.end(index) } });
  for (const prefix of ['', '/k8s']) {
    const answer = await at.ask('alice', `${at.head('GET', `${prefix}/openapi/v3`, 'alice')}${close}\r\n`);
    t.true(answer.includes(index));
  }
  t.deepEqual(firstLines(at), ['GET /openapi/v3', 'GET /openapi/v3']);
});
