/** Upgraded connections: what is spliced, when, and how both sides end. */
import test from 'ava';
import { createHash } from 'node:crypto';
import type { Socket } from 'node:net';
import { createFixture, type Fixture, statusOf, turns, until } from './fixture.ts';
import { asking, exec, received, switches, switching } from './fixture-upgrades.ts';

test('an upgrade goes on with the session account and its own headers alone', async (t) => {
  const { options, far } = switches();
  await using at = await createFixture(options);
  const wire = await at.dial(
    'alice',
    asking(
      at,
      'WebSocket',
      'Sec-WebSocket-Key: a2V5\r\nSec-WebSocket-Version: 13\r\nCookie: a=b\r\nX-Remote-User: root\r\n',
    ),
  );
  t.is(statusOf(await wire.until(/\r\n\r\n/)), 101);
  await far;
  const lines = (at.upstream[0]?.bytes() ?? '').toLowerCase().trim().split('\r\n');
  t.is(lines.shift(), 'get /api/v1/namespaces/a/pods/b/exec?command=sh&stdin=true http/1.1');
  t.deepEqual(lines.filter((line) => !line.startsWith('host:')).toSorted(), [
    'audit-id: request-1',
    'authorization: bearer service-account-token-of-alice',
    'connection: upgrade',
    'sec-websocket-key: a2v5',
    'sec-websocket-version: 13',
    'upgrade: websocket',
  ]);
});

for (const protocol of ['websocket', 'SPDY/3.1']) {
  test(`${protocol} is spliced both ways, with all of its bytes, and a side that ends lets the other finish`, async (t) => {
    const { options, far: opened } = switches(switching(protocol));
    await using at = await createFixture(options);
    const wire = await at.dial('alice', asking(at, protocol));
    const far = await opened;
    const up = received(far);
    await wire.until(/101 Switching[^]*\r\n\r\n/);
    const headBytes = wire.bytes.length;
    const big = Buffer.alloc(3_000_000, 'abcdefghijk');
    const hash = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
    wire.send(big);
    wire.socket.end();
    await up.ended;
    t.is(hash(Buffer.from(up.text(), 'latin1')), hash(big));
    far.write(big);
    far.end('the end');
    await wire.closed;
    t.is(hash(wire.bytes.subarray(headBytes)), hash(Buffer.concat([big, Buffer.from('the end')])));
    await until(() => at.proxy.open === 0);
  });
}

test('bytes that come before the 101 reach the API server after it, and only then', async (t) => {
  const asked = Promise.withResolvers<Socket>();
  await using at = await createFixture({ apiServer: { raw: (socket) => asked.resolve(socket) } });
  const wire = await at.dial('alice', `${asking(at)}early`);
  const socket = await asked.promise;
  await until(() => (at.upstream[0]?.bytes() ?? '').includes('\r\n\r\n'));
  wire.send(' and more');
  await turns();
  t.false(at.upstream[0]?.bytes().includes('early'));
  socket.write(`${switching()}from the start`);
  await wire.until(/from the start$/);
  await until(() => (at.upstream[0]?.bytes() ?? '').endsWith('\r\n\r\nearly and more'));
  t.pass();
});

for (const [title, line] of [
  ['a space before the colon', 'Sec-WebSocket-Protocol : v5.channel.k8s.io'],
  ['a name that is no token', 'X(a): b'],
  ['a bare carriage return', 'X: a\rSet-Cookie: b'],
] as const) {
  test(`a 101 with ${title} is 502, and nothing is spliced`, async (t) => {
    const answer = `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${line}\r\n\r\n`;
    await using at = await createFixture({
      apiServer: { raw: (socket) => void socket.once('data', () => socket.write(answer)) },
    });
    const wire = await at.dial('alice', `${asking(at)}early`);
    const text = await wire.closed;
    t.is(statusOf(text), 502);
    t.notRegex(text, /101 |set-cookie|x\(a\)/i);
    t.false(at.upstream[0]?.bytes().includes('early'));
  });
}

const others: readonly [title: string, answer: string, body: string][] = [
  ['200 with a length', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nSet-Cookie: a=b\r\n\r\nxyyzz', 'xyyzz'],
  ['200 in chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nxy\r\n3\r\nyzz\r\n0\r\n\r\n', 'xyyzz'],
  ['400', 'HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\n{}', '{}'],
  ['403 until the end', 'HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\n{}', '{}'],
  ['204', 'HTTP/1.1 204 No Content\r\n\r\n', ''],
];
for (const [title, answer, body] of others) {
  test(`an API server that answers ${title} is heard, the connection is closed, and early bytes are nobody's`, async (t) => {
    await using at = await createFixture({
      apiServer: { raw: (socket) => void socket.once('data', () => socket.end(answer)) },
    });
    const early = `${at.head('DELETE', '/k8s/smuggled', 'alice')}\r\n`;
    const wire = await at.dial('alice', `${asking(at)}${early}`);
    wire.send(early);
    const text = await wire.closed;
    t.is(statusOf(text), Number(answer.slice(9, 12)));
    t.regex(text, /connection: close/i);
    t.regex(text, /content-security-policy: sandbox/);
    t.notRegex(text, /set-cookie/i);
    const rest = text.slice(text.indexOf('\r\n\r\n') + 4);
    t.is(/chunked/i.test(text) ? rest.replaceAll(/[0-9a-f]+\r\n|\r\n/g, '') : rest, body);
    t.false(at.upstream.some((connection) => connection.bytes().includes('smuggled')));
    t.is(at.upstream.length, 1);
    await until(() => at.proxy.open === 0);
  });
}

for (const [title, answer] of [
  ['a length', 'HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello'],
  ['chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n'],
] as const) {
  test(`an answer with ${title} that breaks off, breaks off for the caller`, async (t) => {
    await using at = await createFixture({
      apiServer: { raw: (socket) => void socket.once('data', () => socket.write(answer, () => socket.destroy())) },
    });
    const wire = await at.dial('alice', asking(at));
    const text = await wire.closed;
    t.regex(text, /hello/);
    t.false(text.endsWith('0\r\n\r\n'));
    await until(() => at.proxy.open === 0);
  });
}

test('an API server that switches to another protocol is not spliced', async (t) => {
  const { options } = switches(`${switching('h2c')}secret bytes`);
  await using at = await createFixture(options);
  const text = await at.ask('alice', `${asking(at)}early`);
  t.is(statusOf(text), 502);
  t.notRegex(text, /secret bytes/);
  await until(() => at.upstream.every((connection) => connection.isClosed));
  t.false(at.upstream[0]?.bytes().includes('early'));
});

test('an API server that is away is a 503, with a word when to come again', async (t) => {
  await using at = await createFixture();
  await at.stopApiServer();
  const text = await at.ask('alice', asking(at));
  t.is(statusOf(text), 503);
  t.regex(text, /retry-after: 1/i);
});

test('a caller that goes while the API server has not answered takes its request along', async (t) => {
  await using at = await createFixture({ apiServer: { raw: () => undefined } });
  for (const [i, leave] of (['end', 'destroy'] as const).entries()) {
    const wire = await at.dial('alice', asking(at));
    await until(() => (at.upstream[i]?.bytes() ?? '').includes('\r\n\r\n'));
    wire.socket[leave]();
    await until(() => at.upstream[i]?.isClosed === true && at.proxy.open === 0);
  }
  t.deepEqual(
    at.served.map(({ status }) => status),
    [0, 0],
  );
});

const refused: readonly [title: string, head: (at: Fixture) => string][] = [
  ['h2c', (at) => asking(at, 'h2c', 'HTTP2-Settings: AAMAAABkAAQAAP__\r\n')],
  ['two protocols', (at) => asking(at, 'websocket, h2c')],
  ['two Upgrade headers', (at) => asking(at, 'websocket', 'Upgrade: h2c\r\n')],
  ['TLS/1.0', (at) => asking(at, 'TLS/1.0')],
  ['SPDY/3', (at) => asking(at, 'SPDY/3')],
  ['a body with a length', (at) => `${asking(at, 'websocket', 'Content-Length: 5\r\n')}hello`],
  ['a body in chunks', (at) => `${asking(at, 'websocket', 'Transfer-Encoding: chunked\r\n')}5\r\nhello\r\n0\r\n\r\n`],
  ['a method that has none', (at) => asking(at).replace('GET', 'DELETE')],
];
for (const [title, head] of refused) {
  test(`an upgrade with ${title} is refused, and its connection closed`, async (t) => {
    const { options } = switches();
    await using at = await createFixture(options);
    const text = await at.ask('alice', `${head(at)}${at.head('DELETE', '/k8s/smuggled', 'alice')}\r\n`);
    t.is(statusOf(text), 400);
    t.is(at.upstream.length, 0);
  });
}

test('an Upgrade that the Connection header does not name is no upgrade', async (t) => {
  await using at = await createFixture();
  const text = await at.ask('alice', `${at.head('GET', exec, 'alice')}Upgrade: websocket\r\nConnection: close\r\n\r\n`);
  t.is(statusOf(text), 200);
  t.false(at.upstream[0]?.bytes().toLowerCase().includes('upgrade'));
});

test('an upgrade while an answer is owed is not heeded', async (t) => {
  const { options } = switches();
  await using at = await createFixture({
    ...options,
    apiServer: { ...options.apiServer, request: (_req, res) => void res.write('half') },
  });
  const wire = await at.dial('alice', `${at.head('GET', '/k8s/first', 'alice')}\r\n`);
  await wire.until(/half/);
  wire.send(asking(at));
  const text = await wire.closed;
  t.notRegex(text, /101 Switching/);
  t.false(at.upstream.some((connection) => /upgrade: websocket/i.test(connection.bytes())));
});
