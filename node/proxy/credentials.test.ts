/** What a caller brings besides the session's token: refused, or never passed on. */
import test from 'ava';
import { bodyOf, createFixture, serviceAccountToken, statusOf } from './testing/fixture.ts';

const impersonations = [
  'Impersonate-User: root',
  'impersonate-group: system:masters',
  'IMPERSONATE-EXTRA-scopes: x',
  'Impersonate_User: root',
  'iMpErSoNaTe_GrOuP: x',
  'Impersonate-Uid: 1',
  'Connection: Impersonate-User',
  'Connection: close , impersonate_extra_a',
];
for (const line of impersonations) {
  for (const [how, upgrade] of [
    ['a request', ''],
    ['an upgrade', 'Connection: Upgrade\r\nUpgrade: websocket\r\n'],
  ] as const) {
    test(`${how} with ${line} is refused with a word about direct mode, and nothing is forwarded`, async (t) => {
      await using at = await createFixture();
      const answer = await at.ask(
        'alice',
        `${at.head('POST', '/k8s/api', 'alice')}${upgrade}${line}\r\nContent-Length: 2\r\n\r\n{`,
      );
      t.is(statusOf(answer), 400);
      t.regex(String(bodyOf(answer)['message']), /--mode direct/);
      t.deepEqual(at.rejected, ['impersonation']);
      t.is(at.upstream.length, 0);
    });
  }
}

test('impersonation behind two thousand small headers is refused as well', async (t) => {
  await using at = await createFixture();
  const many = Array.from({ length: 2500 }, () => 'a:\r\n').join('');
  const wire = await at.dial('alice', `${at.head('GET', '/k8s/api', 'alice')}${many}Impersonate-User: root\r\n\r\n`);
  t.is(statusOf(await wire.until(/\}$/)), 400);
});

for (const second of ['Authorization: Bearer other', 'authorization: Basic eDp5', 'Authorization_: Bearer x']) {
  test(`a second credential, ${second}, does not reach the API server`, async (t) => {
    await using at = await createFixture();
    const wire = await at.dial('alice', `${at.head('GET', '/k8s/api', 'alice')}${second}\r\n\r\n`);
    const answer = await wire.until(/\}$/);
    if (statusOf(answer) === 400) t.is(at.upstream.length, 0);
    else t.false(at.upstream[0]?.bytes().toLowerCase().includes('bearer x'));
    if (!second.includes('_')) t.is(statusOf(answer), 400);
  });
}

test('a credential in a websocket subprotocol is refused, and told to nobody', async (t) => {
  await using at = await createFixture();
  const secret = 'c2VjcmV0LXRva2Vu';
  const answer = await at.ask(
    'alice',
    `${at.head('GET', '/k8s/api/v1/namespaces/a/pods/b/exec', 'alice')}Connection: Upgrade\r\nUpgrade: websocket\r\n` +
      `Sec-WebSocket-Protocol: v5.channel.k8s.io, base64url.bearer.authorization.k8s.io.${secret}\r\n\r\n`,
  );
  t.is(statusOf(answer), 400);
  t.deepEqual(at.rejected, ['credential']);
  t.false(`${answer}${JSON.stringify(at.log)}`.includes(secret));
  t.is(at.upstream.length, 0);
});

const key = '0123456789abcdef0123456789abcdef';
const tokens: readonly [title: string, token: (at: { token(session: string): string }) => string][] = [
  ['none', () => ''],
  ['another scheme', () => 'Authorization: Basic eDp5'],
  ['an empty one', () => 'Authorization: Bearer '],
  ['one of another kind', () => 'Authorization: Bearer eyJhbGciOiJSUzI1NiJ9.e30.x'],
  ['a wrong key', () => `Authorization: Bearer tka_alice_${key}`],
  ['a session that is not there', () => `Authorization: Bearer tka_carol_${key}`],
  ['a key in capitals', (at) => `Authorization: Bearer ${at.token('alice').toUpperCase()}`],
  ['a key that is cut', (at) => `Authorization: Bearer ${at.token('alice').slice(0, -1)}`],
  ['a key and more', (at) => `Authorization: Bearer ${at.token('alice')}0`],
  ['the key of another session', (at) => `Authorization: Bearer ${at.token('alice').replace('alice', 'bob')}`],
  ['a path in the name', () => `Authorization: Bearer tka_../alice_${key}`],
  ['two in one', (at) => `Authorization: Bearer ${at.token('alice')}, Bearer ${at.token('alice')}`],
  ["somebody else's", (at) => `Authorization: Bearer ${at.token('bob')}`],
];
test('whatever is wrong with a token, the answer is the same 401', async (t) => {
  await using at = await createFixture();
  const answers = new Set<string>();
  for (const [title, line] of tokens) {
    const header = line(at);
    const head = `GET /k8s/api HTTP/1.1\r\nHost: tka\r\nConnection: close\r\n${header === '' ? '' : `${header}\r\n`}\r\n`;
    const answer = await at.ask('alice', head);
    t.is(statusOf(answer), 401, title);
    answers.add(answer.replace(/x-request-id: .*|Date: .*/gi, ''));
  }
  t.is(answers.size, 1);
  t.is(at.upstream.length, 0);
});

test('a session of the same subject opens nothing from a node without the grant', async (t) => {
  await using at = await createFixture();
  const alice = at.callers.get('alice');
  if (alice !== undefined) at.callers.set('second', { ...alice, node: 'another-node', covers: () => false });
  t.is(statusOf(await at.ask('second', `${at.head('GET', '/k8s/api', 'alice')}Connection: close\r\n\r\n`)), 401);
  t.is(statusOf(await at.ask('alice', `${at.head('GET', '/k8s/api', 'alice')}Connection: close\r\n\r\n`)), 200);
});

test('while nobody can say who calls, nothing is forwarded', async (t) => {
  await using at = await createFixture();
  const answer = await at.ask('nobody', `${at.head('GET', '/k8s/api', 'alice')}Connection: close\r\n\r\n`);
  t.is(statusOf(answer), 503);
  t.is(bodyOf(answer)['kind'], 'Status');
  t.is(at.upstream.length, 0);
});

test('the API server gets the session account and no other identity', async (t) => {
  await using at = await createFixture();
  const own = [
    'X-Remote-User: root',
    'X-Remote-Group: system:masters',
    'X-Remote-Extra-Scopes: x',
    'X-Forwarded-For: 10.0.0.1',
    'X-Forwarded-Uri: /x',
    'X-Forwarded-Client-Cert: x',
    'X-Real-Ip: 10.0.0.1',
    'Forwarded: for=10.0.0.1',
    'X-Webauth-User: root',
    'X-Original-Url: /api/v1/secrets',
    'X-Http-Method-Override: DELETE',
    'Tailscale-User-Login: root@example.com',
    'Proxy-Authorization: Bearer y',
    'Cookie: session=root',
    'Audit-Id: mine',
    'Via: 1.1 x',
    'Te: trailers',
    'Accept: application/json',
  ];
  await at.ask(
    'alice',
    `${at.head('GET', '/k8s/api/v1/pods?limit=1', 'alice')}${own.join('\r\n')}\r\nConnection: close\r\n\r\n`,
  );
  const [first, ...lines] = (at.upstream[0]?.bytes() ?? '').trim().split('\r\n');
  t.is(first, 'GET /api/v1/pods?limit=1 HTTP/1.1');
  t.deepEqual(
    lines.toSorted(),
    [
      'accept: application/json',
      'audit-id: request-1',
      `authorization: Bearer ${serviceAccountToken('alice')}`,
      'Connection: keep-alive',
      lines.find((line) => line.startsWith('Host: 127.0.0.1:')) ?? 'a host',
    ].toSorted(),
  );
});

const foreign: readonly [status: number, kind: string, head: string][] = [
  [421, 'host', 'GET /k8s/api HTTP/1.1\r\nHost: evil.example\r\n'],
  [421, 'host', 'GET /k8s/api HTTP/1.1\r\nHost: tka\r\nHost: tka\r\n'],
  [421, 'host', 'GET /k8s/api HTTP/1.1\r\nHost: tka@evil.example\r\n'],
  [403, 'origin', 'GET /k8s/api HTTP/1.1\r\nHost: tka\r\nOrigin: https://evil.example\r\n'],
  [403, 'origin', 'GET /k8s/api HTTP/1.1\r\nHost: tka\r\nOrigin: null\r\n'],
  [403, 'origin', 'GET /k8s/api HTTP/1.1\r\nHost: tka\r\nOrigin: http://tka\r\n'],
  [403, 'origin', 'GET /k8s/api HTTP/1.1\r\nHost: tka\r\nSec-Fetch-Site: cross-site\r\n'],
  [403, 'origin', 'GET /k8s/api HTTP/1.1\r\nHost: tka\r\nSec-Fetch-Site: same-site\r\n'],
];
for (const [status, kind, head] of foreign) {
  for (const upgrade of ['', 'Upgrade: websocket\r\n']) {
    test(`${status} as a Status for ${JSON.stringify(head.slice(24))}${upgrade === '' ? '' : ' on an upgrade'}`, async (t) => {
      await using at = await createFixture();
      const connection = `Connection: ${upgrade === '' ? 'close' : 'Upgrade'}\r\n`;
      const answer = await at.ask(
        'alice',
        `${head}Authorization: Bearer ${at.token('alice')}\r\n${connection}${upgrade}\r\n`,
      );
      t.is(statusOf(answer), status);
      t.is(bodyOf(answer)['code'], status);
      t.deepEqual(at.rejected, [kind]);
      t.is(at.upstream.length, 0);
    });
  }
}
