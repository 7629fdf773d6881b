import test from 'ava';
import { ask } from './testing/asked.ts';
import { bodyOf, createFixture, statusOf } from './testing/fixture.ts';
import { upgradeIn } from './upgrade.ts';

const connection = ['Connection', 'keep-alive, Upgrade'];
const cases: readonly [
  title: string,
  method: string,
  hasBody: boolean,
  headers: readonly string[],
  expected: unknown,
][] = [
  ['websocket', 'GET', false, [...connection, 'Upgrade', 'websocket'], { protocol: 'websocket' }],
  ['SPDY by POST', 'POST', false, [...connection, 'upgrade', ' spdy/3.1 '], { protocol: 'SPDY/3.1' }],
  ['an Upgrade that Connection does not name', 'GET', false, ['Upgrade', 'websocket'], undefined],
  ['a Connection without an Upgrade', 'GET', false, connection, undefined],
  ['h2c', 'GET', false, [...connection, 'Upgrade', 'h2c'], { protocol: undefined }],
  ['TLS/1.0', 'GET', false, [...connection, 'Upgrade', 'TLS/1.0'], { protocol: undefined }],
  ['SPDY/3', 'GET', false, [...connection, 'Upgrade', 'SPDY/3'], { protocol: undefined }],
  ['two protocols', 'GET', false, [...connection, 'Upgrade', 'websocket, h2c'], { protocol: undefined }],
  ['two headers', 'GET', false, [...connection, 'Upgrade', 'websocket', 'UPGRADE', 'h2c'], { protocol: undefined }],
  ['a body', 'POST', true, [...connection, 'Upgrade', 'websocket'], { protocol: undefined }],
  ['a method that has none', 'DELETE', false, [...connection, 'Upgrade', 'websocket'], { protocol: undefined }],
];
for (const [title, method, hasBody, headers, expected] of cases)
  test(`${title}: ${JSON.stringify(expected) ?? 'no upgrade'}`, (t) => {
    t.deepEqual(upgradeIn(method, hasBody, headers), expected as ReturnType<typeof upgradeIn>);
  });

const exec = '/k8s/api/v1/namespaces/a/pods/b/exec?command=sh';
const websocket = Object.entries({
  Connection: 'Upgrade',
  Upgrade: 'websocket',
  'Sec-WebSocket-Key': 'k',
  'Sec-WebSocket-Protocol': 'v5.channel.k8s.io',
  'X-Secret': 's',
}).flat();

test('an upgrade is forwarded with its own headers, and is the last request on its connection', async (t) => {
  await using at = await createFixture();
  const asked = await ask(at, { target: exec, upgrade: websocket });
  const [order] = asked.forwarded;
  t.like(order, { path: '/api/v1/namespaces/a/pods/b/exec?command=sh', tellBegun: true, close: true });
  const forwarded = 'accept audit-id authorization connection sec-websocket-key sec-websocket-protocol upgrade';
  t.is(
    Object.keys(order?.headers ?? {})
      .toSorted()
      .join(' '),
    forwarded,
  );
  t.like(order?.headers, { connection: 'Upgrade', upgrade: 'websocket' });
  asked.end(101);
});

for (const protocol of ['h2c', 'websocket, h2c'])
  test(`an upgrade to ${protocol} is refused, and its connection closed`, async (t) => {
    await using at = await createFixture();
    const asked = await ask(at, { target: exec, upgrade: ['Connection', 'Upgrade', 'Upgrade', protocol] });
    const [answer] = asked.answered;
    t.deepEqual([asked.forwarded.length, answer?.status, answer?.close], [0, 400, true]);
    t.regex(answer?.text ?? '', /\r\nconnection: close\r\n/);
  });

test('a refused upgrade closes its connection, whatever it was refused for', async (t) => {
  await using at = await createFixture();
  const asked = await ask(at, { target: exec, upgrade: websocket, session: 'bob' });
  t.deepEqual([asked.answered[0]?.status, asked.answered[0]?.close], [401, true]);
});

for (const how of ['cut', 'drain', 'close'] as const)
  test(`an upgraded connection that is ended (${how}) is told why`, async (t) => {
    await using at = await createFixture();
    const asked = await ask(at, { target: exec, upgrade: websocket });
    asked.events?.begun(101);
    if (how === 'cut') at.proxy.cut('uid-of-alice', 'the session has ended');
    else at.proxy[how]();
    const reason = how === 'cut' ? 'the session has ended' : 'tka is being restarted';
    const [cut] = asked.cuts;
    t.like(cut, { inOrder: false, reason });
    t.like(JSON.parse(cut?.lastWord ?? ''), { kind: 'Status', status: 'Failure', code: 401, message: reason });
    t.is(statusOf(cut?.answer.text ?? ''), how === 'cut' ? 401 : 503);
    asked.end(101);
  });

test('a watch by websocket that is cut gets no event, for its frames are not lines', async (t) => {
  await using at = await createFixture();
  const asked = await ask(at, { target: '/k8s/api/v1/pods?watch=1', upgrade: websocket });
  at.proxy.cut('uid-of-alice', 'the session has ended');
  t.like(asked.cuts[0], { inOrder: false });
  t.is((JSON.parse(asked.cuts[0]?.lastWord ?? '') as { kind?: string }).kind, 'Status');
});

test('an API server that is away for an upgrade is a 503, for nothing has run', async (t) => {
  await using at = await createFixture();
  const asked = await ask(at, { method: 'POST', target: exec, upgrade: websocket });
  const answer = asked.events?.failed({ isSent: true, isInvalid: false, reason: 'reset' });
  t.is(answer?.status, 503);
  t.is(bodyOf(answer?.text ?? '')['message'], 'the API server does not answer tka');
  asked.end(503);
});
