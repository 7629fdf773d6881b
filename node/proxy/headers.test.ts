import test from 'ava';
import {
  answerRules,
  bearerTokenIn,
  forwardHeaders,
  mayKeepCookies,
  ownLocation,
  pairsOf,
  refuseForeignCredentials,
} from './headers.ts';

const none = (): void => {};
const origin = 'https://10.0.0.1:6443';
const toApi = { isUpgrade: false, isApplication: false, origin };
const toApplication = { ...toApi, isApplication: true };

const impersonations: readonly [name: string, value: string][] = [
  ['Impersonate-User', 'root'],
  ['impersonate-group', 'system:masters'],
  ['IMPERSONATE-UID', '1'],
  ['Impersonate_User', 'root'],
  ['impersonate-Extra-scopes', 'x'],
  ['Impersonate_Extra_a', 'x'],
  ['Connection', 'close, Impersonate-User'],
  ['Connection', 'impersonate_group'],
];
for (const [name, value] of impersonations) {
  test(`${name}: ${value} is refused and counted`, (t) => {
    const kinds: string[] = [];
    t.throws(() => refuseForeignCredentials(pairsOf([name, value]), (kind) => kinds.push(kind)), {
      name: 'Refusal',
      message: /--mode direct/,
    });
    t.deepEqual(kinds, ['impersonation']);
  });
}

for (const value of [
  'base64url.bearer.authorization.k8s.io.c2VjcmV0',
  'v5.channel.k8s.io, Base64URL.bearer.authorization.k8s.io.c2VjcmV0',
]) {
  test(`the websocket subprotocol ${value.slice(0, 40)}… is refused without being quoted`, (t) => {
    const kinds: string[] = [];
    const error = t.throws(() =>
      refuseForeignCredentials(pairsOf(['Sec-WebSocket-Protocol', value]), (kind) => kinds.push(kind)),
    );
    t.false(error?.message.includes('c2VjcmV0'));
    t.deepEqual(kinds, ['credential']);
  });
}

const authorizations: readonly [headers: string[], token: string | undefined][] = [
  [['Authorization', 'Bearer tka_a_b'], 'tka_a_b'],
  [['authorization', 'bearer   tka_a_b '], 'tka_a_b'],
  [['Authorization', 'Basic dXNlcjpwYXNz'], undefined],
  [['Authorization', 'Bearer a b'], undefined],
  [['Authorization', 'Bearer a,Bearer b'], undefined],
  [['Authorization', ''], undefined],
  [['Proxy-Authorization', 'Bearer tka_a_b'], undefined],
  [[], undefined],
];
for (const [headers, token] of authorizations) {
  test(`${headers.join(': ') || 'no header'} holds ${token ?? 'no token'}`, (t) => {
    t.is(bearerTokenIn(pairsOf(headers), none), token);
  });
}

for (const second of ['Authorization', 'authorization', 'AUTHORIZATION']) {
  test(`a second ${second} is refused`, (t) => {
    t.throws(() => bearerTokenIn(pairsOf(['Authorization', 'Bearer a', second, 'Bearer b']), none), {
      name: 'Refusal',
    });
  });
}

test('only what the list names goes to the API server, less what belongs to the connection', (t) => {
  const headers = pairsOf([
    'Host',
    'tka',
    'Accept',
    'application/json',
    'User-Agent',
    'kubectl',
    'Content-Type',
    'application/json',
    'Authorization',
    'Bearer x',
    'Cookie',
    'a=b',
    'X-Forwarded-For',
    '1.2.3.4',
    'X-Remote-User',
    'root',
    'Front-Proxy',
    'x',
    'Te',
    'trailers',
    'Transfer-Encoding',
    'chunked',
    'Connection',
    'keep-alive, If-Match',
    'If-Match',
    'abc',
    'Upgrade',
    'h2c',
    'HTTP2-Settings',
    'x',
    'Sec-WebSocket-Protocol',
    'v5.channel.k8s.io',
    'Range',
    'bytes=0-1',
  ]);
  t.deepEqual(forwardHeaders(headers, toApi), {
    accept: 'application/json',
    'user-agent': 'kubectl',
    'content-type': 'application/json',
    range: 'bytes=0-1',
  });
  t.is(forwardHeaders(headers, { ...toApi, isUpgrade: true })['sec-websocket-protocol'], 'v5.channel.k8s.io');
});

test('a repeated header is one list, so that no two readers take different ones', (t) => {
  t.deepEqual(forwardHeaders(pairsOf(['Accept', 'a', 'accept', 'b']), toApi), { accept: 'a, b' });
});

const locations: readonly [from: string, to: string | undefined][] = [
  ['/api/v1/namespaces/a/services/web/proxy/', '/k8s/api/v1/namespaces/a/services/web/proxy/'],
  ['https://10.0.0.1:6443/api?x=1', '/k8s/api?x=1'],
  ['https://evil.example/x', undefined],
  ['//evil.example/x', undefined],
  ['/\\evil.example', undefined],
  ['javascript:alert(1)', undefined],
  ['index.html', 'index.html'],
];
for (const [from, to] of locations) {
  test(`a redirect to ${from} comes back as ${to ?? 'nothing'}`, (t) => {
    t.is(ownLocation(from, origin, '/k8s'), to);
  });
}

for (const name of [
  'set-cookie',
  'access-control-allow-origin',
  'strict-transport-security',
  'alt-svc',
  'clear-site-data',
  'content-security-policy',
  'www-authenticate',
])
  test(`what a pod could do to the browser of this host does not come back: ${name}`, (t) => {
    const { withheld, withheldPrefixes } = answerRules;
    t.true(withheld.some((other) => other === name) || withheldPrefixes.some((start) => name.startsWith(start)));
  });

test('a browser at this host keeps no cookies, one behind a local proxy does', (t) => {
  t.true(mayKeepCookies(pairsOf(['Accept', 'a'])));
  t.false(mayKeepCookies(pairsOf(['Sec-Fetch-Site', 'none'])));
  t.true(mayKeepCookies(pairsOf(['Sec-Fetch-Site', 'none', 'X-Forwarded-For', '127.0.0.1'])));
});

test('an application gets the headers of its caller, cookies as one list', (t) => {
  const own = [
    ['X-Csrf-Token', 'x'],
    ['X-Scope-OrgID', 'tenant'],
    ['Cookie', 'a=b'],
    ['Cookie', 'c=d'],
    ['Accept', 'a'],
    ['Accept', 'b'],
    ['constructor', 'y'],
    ['__proto__', 'z'],
  ];
  const sent = forwardHeaders(pairsOf(own.flat()), toApplication);
  t.deepEqual(Object.entries(sent), [
    ['x-csrf-token', 'x'],
    ['x-scope-orgid', 'tenant'],
    ['cookie', 'a=b; c=d'],
    ['accept', 'a, b'],
    ['constructor', 'y'],
    ['__proto__', 'z'],
  ]);
  t.deepEqual(Object.keys(forwardHeaders(pairsOf(own.flat()), toApi)), ['accept']);
});

for (const name of [
  'Authorization',
  'Proxy-Authorization',
  'Proxy-Connection',
  'Connection',
  'Keep-Alive',
  'TE',
  'Trailer',
  'Transfer-Encoding',
  'Upgrade',
  'HTTP2-Settings',
  'Expect',
  'Host',
  'Content-Length',
  'Forwarded',
  'X-Forwarded-For',
  'X_Forwarded_Proto',
  'X-Real-IP',
  'X-Remote-User',
  'X_Remote_Group',
  'Tailscale-User-Login',
]) {
  test(`an application does not get ${name}`, (t) => {
    t.deepEqual(forwardHeaders(pairsOf([name, 'x']), toApplication), {});
    t.deepEqual(forwardHeaders(pairsOf([name, 'x']), { ...toApplication, isUpgrade: true }), {});
  });
}

test('what Connection names does not reach an application', (t) => {
  t.deepEqual(
    forwardHeaders(pairsOf(['Connection', 'close, X-Mine, Origin', 'X-Mine', 'x', 'Origin', 'y']), toApplication),
    {},
  );
});

test("an own Origin is the API server's on an upgrade and for an application, and is not sent otherwise", (t) => {
  const headers = pairsOf(['Origin', 'https://tka']);
  t.deepEqual(forwardHeaders(headers, toApi), {});
  for (const route of [toApplication, { ...toApi, isUpgrade: true }, { ...toApplication, isUpgrade: true }])
    t.deepEqual(forwardHeaders(headers, route), { origin });
  t.deepEqual(forwardHeaders([], { ...toApi, isUpgrade: true }), {});
});
