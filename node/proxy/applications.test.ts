/** Applications behind `pods/proxy` and `services/proxy`, by whichever carrier: their own headers, cookies and paths. */
import test from 'ava';
import type { StandIn } from './testing/fixture.ts';
import { createFixture, statusOf } from './testing/fixture.ts';
import { switches, switching } from './testing/upgrades.ts';

const web = '/api/v1/namespaces/a/services/http:web:80/proxy';
const cookies: StandIn = {
  request: (_req, res) => res.setHeader('set-cookie', ['session=1; Path=/', 'theme=dark']).end('{}'),
};

test('an application gets and sets cookies, gets its own headers, and its answer stays in the sandbox', async (t) => {
  await using at = await createFixture({ apiServer: cookies });
  const own = 'Cookie: session=0\r\nX-Csrf-Token: t\r\nOrigin: https://tka\r\nX-Forwarded-For: 1.2.3.4\r\n';
  const answer = await at.ask('alice', `${at.head('GET', `/k8s${web}//a//b`, 'alice')}${own}Connection: close\r\n\r\n`);
  t.is(statusOf(answer), 200);
  t.deepEqual(
    answer.match(/set-cookie: .*/gi)?.map((line) => line.slice(12)),
    ['session=1; Path=/', 'theme=dark'],
  );
  t.regex(answer, /content-security-policy: sandbox/i);
  t.regex(answer, /x-content-type-options: nosniff/i);
  const asked = at.upstream[0]?.bytes().toLowerCase() ?? '';
  t.true(asked.startsWith(`get ${web}//a//b http/1.1\r\n`), asked);
  t.regex(asked, /\r\ncookie: session=0\r\n/);
  t.regex(asked, /\r\nx-csrf-token: t\r\n/);
  t.regex(asked, /\r\norigin: http:\/\/127\.0\.0\.1:\d+\r\n/);
  t.regex(asked, /\r\nauthorization: bearer service-account-token-of-alice\r\n/);
  t.notRegex(asked, /x-forwarded-for|tka_/);
});

test('the API server itself neither gets nor sets cookies', async (t) => {
  await using at = await createFixture({ apiServer: cookies });
  const answer = await at.ask(
    'alice',
    `${at.head('GET', '/k8s/api/v1/nodes/n/proxy/x', 'alice')}Cookie: session=0\r\nConnection: close\r\n\r\n`,
  );
  t.is(statusOf(answer), 200);
  t.notRegex(answer, /set-cookie/i);
  t.notRegex(at.upstream[0]?.bytes() ?? '', /cookie/i);
});

for (const [title, header] of [
  ['another origin', 'Origin: https://evil.example'],
  ['another site', 'Sec-Fetch-Site: cross-site'],
] as const) {
  test(`an application is not asked by a page of ${title}`, async (t) => {
    await using at = await createFixture();
    const asked = `${at.head('GET', `/k8s${web}/`, 'alice')}${header}\r\nConnection: close\r\n\r\n`;
    t.is(statusOf(await at.ask('alice', asked)), 403);
    t.is(at.upstream.length, 0);
  });
}

test('a websocket watch reaches the API server with an Origin, which it wants; an application may set a cookie', async (t) => {
  const { options } = switches(switching().replace('\r\n\r\n', '\r\nSet-Cookie: a=b\r\n\r\n'));
  for (const [path, isApplication] of [
    ['/api/v1/namespaces?watch=true', false],
    [`${web}/ws`, true],
  ] as const) {
    await using at = await createFixture(options);
    const upgrade = 'Connection: Upgrade\r\nUpgrade: websocket\r\nOrigin: https://tka\r\nCookie: a=b\r\n\r\n';
    const wire = await at.dial('alice', `${at.head('GET', `/k8s${path}`, 'alice')}${upgrade}`);
    const answer = await wire.until(/\r\n\r\n/);
    t.is(statusOf(answer), 101);
    t.is(/set-cookie: a=b/.test(answer), isApplication);
    const asked = at.upstream[0]?.bytes() ?? '';
    t.regex(asked, /\r\norigin: http:\/\/127\.0\.0\.1:\d+\r\n/);
    t.is(/\r\ncookie: a=b\r\n/.test(asked), isApplication);
  }
});

test('a websocket watch from a foreign origin is refused', async (t) => {
  const { options } = switches();
  await using at = await createFixture(options);
  const head = at.head('GET', '/k8s/api/v1/namespaces?watch=true', 'alice');
  for (const origin of ['https://evil.example', 'null', 'https://tka:8443', 'http://tka']) {
    const upgrade = `Connection: Upgrade\r\nUpgrade: websocket\r\nOrigin: ${origin}\r\n\r\n`;
    t.is(statusOf(await at.ask('alice', `${head}${upgrade}`)), 403, origin);
  }
  t.is(at.upstream.length, 0);
});
