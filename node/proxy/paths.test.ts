/** Request targets as raw bytes: what leaves for the API server lies under its root, and is what the caller wrote. */
import test from 'ava';
import { bodyOf, createFixture, statusOf } from './testing/fixture.ts';

const refused: readonly string[] = [
  '/k8s//api',
  '/k8s/../api/v1alpha1/login',
  '/k8s/./api',
  '/k8s/api/..',
  '/k8s/..%2f',
  '/k8s/%2e%2e/metrics',
  '/k8s/%2E%2E%2Fmetrics',
  '/k8s/%252e%252e/metrics',
  '/k8s/api/%2e',
  '/k8s/api%2f%2e%2e%2f%2e%2e',
  '/k8s/%2f%2fevil.example',
  '/k8s/\\evil.example',
  '/k8s/%5c%5cevil.example',
  '/k8s/api%00',
  '/k8s/api%0d%0aX:y',
  '/k8s/api%7f',
  '/k8s/api%',
  '/k8s/api%zz',
  '/k8s/api;/../x',
  '/k8s/a[b]',
  '/k8s/<script>',
  '/k8s/"x"',
  '/k8s/api?a#b',
];
for (const path of refused) {
  test(`${path} is refused with a Status`, async (t) => {
    await using at = await createFixture();
    const answer = await at.ask('alice', `${at.head('GET', path, 'alice')}Connection: close\r\n\r\n`);
    t.is(statusOf(answer), 400);
    if (answer.includes('application/json')) t.is(bodyOf(answer)['reason'], 'BadRequest');
    t.is(at.upstream.length, 0);
  });
}

const elsewhere: readonly string[] = [
  'http://tka/k8s/api',
  'https://127.0.0.1:6443/k8s/api',
  '//k8s/api',
  '//evil.example/k8s/api',
  '/api/../k8s/api',
  '*',
];
for (const path of elsewhere) {
  test(`${path} is not forwarded, whatever its token`, async (t) => {
    await using at = await createFixture();
    await at.ask('alice', `${at.head(path === '*' ? 'OPTIONS' : 'GET', path, 'alice')}Connection: close\r\n\r\n`);
    t.is(at.upstream.length, 0);
  });
}

for (const line of [
  'CONNECT 127.0.0.1:6443 HTTP/1.1',
  'TRACE /k8s/api HTTP/1.1',
  'PROPFIND /k8s/api HTTP/1.1',
  'GET /k8s/api HTTP/1.0',
]) {
  test(`${line} goes nowhere`, async (t) => {
    await using at = await createFixture();
    await at.ask(
      'alice',
      `${line}\r\nHost: tka\r\nConnection: close\r\nAuthorization: Bearer ${at.token('alice')}\r\n\r\n`,
    );
    t.is(at.upstream.length, 0);
  });
}

test('an HTTP/2 preface is refused, and its connection closed', async (t) => {
  await using at = await createFixture();
  t.is(statusOf(await at.ask('alice', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')), 400);
  t.is(at.upstream.length, 0);
});

const passed: readonly [from: string, to: string][] = [
  ['/', '/'],
  ['/api/v1alpha1/login', '/api/v1alpha1/login'],
  ['/?timeout=32s', '/?timeout=32s'],
  // At the root a path is the API server's own, whose 404 it then is.
  ['/K8S/api', '/K8S/api'],
  ['/%6b8s/api', '/%6b8s/api'],
  ['/k8s%2fapi', '/k8s%2fapi'],
  ['/k8sx/api', '/k8sx/api'],
  ['/api/v1/namespaces/a/services/https:web:443/proxy/', '/api/v1/namespaces/a/services/https:web:443/proxy/'],
  ['/k8s', '/'],
  ['/k8s/', '/'],
  ['/k8s?timeout=32s', '/?timeout=32s'],
  ['/k8s/api/v1/namespaces/a/services/https:web:443/proxy/', '/api/v1/namespaces/a/services/https:web:443/proxy/'],
  [
    '/k8s/api/v1/pods?fieldSelector=metadata.name%3Da%2Cb&x=%2e%2e%2f',
    '/api/v1/pods?fieldSelector=metadata.name%3Da%2Cb&x=%2e%2e%2f',
  ],
  [
    '/k8s/api/v1/namespaces/a/pods/b/exec?command=sh&command=-c&command=echo%20%22hi%22',
    '/api/v1/namespaces/a/pods/b/exec?command=sh&command=-c&command=echo%20%22hi%22',
  ],
];
for (const [from, to] of passed) {
  test(`${from} is asked for as ${to}`, async (t) => {
    await using at = await createFixture();
    t.is(statusOf(await at.ask('alice', `${at.head('GET', from, 'alice')}Connection: close\r\n\r\n`)), 200);
    t.is(at.upstream[0]?.bytes().split('\r\n')[0], `GET ${to} HTTP/1.1`);
  });
}
