/** What the API server may answer, and what the caller hears of it. */
import test from 'ava';
import { request } from 'node:http';
import type { Socket } from 'node:net';
import { bodyOf, createFixture, statusOf, until } from './fixture.ts';

const bodiless: readonly [title: string, method: string, answer: string, status: number][] = [
  ['HEAD', 'HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n', 200],
  ['HEAD in chunks', 'HEAD', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', 200],
  ['204', 'DELETE', 'HTTP/1.1 204 No Content\r\n\r\n', 204],
  ['304', 'GET', 'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\n\r\n', 304],
  ['304 with a length', 'GET', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 1234\r\n\r\n', 304],
];
for (const [title, method, answer, status] of bodiless) {
  test(`${title}: the caller's connection goes on behind an answer without a body`, async (t) => {
    let answers = 0;
    await using at = await createFixture({
      apiServer: {
        raw(socket: Socket) {
          socket.on(
            'data',
            () =>
              void socket.write((answers += 1) === 1 ? answer : 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond'),
          );
        },
      },
    });
    const wire = await at.dial('alice', `${at.head(method, '/k8s/first', 'alice')}\r\n`);
    t.is(statusOf(await wire.until(/\r\n\r\n$/)), status);
    await until(() => at.proxy.open === 0);
    wire.send(`${at.head('GET', '/k8s/second', 'alice')}\r\n`);
    await wire.until(/^HTTP[^]*\r\n\r\nHTTP\/1\.1 200 [^]*second$/);
  });
}

test('an answer that should have no body and has one is the last on its connection to the API server', async (t) => {
  await using at = await createFixture({
    apiServer: {
      raw: (socket) =>
        void socket.on(
          'data',
          () =>
            void socket.write(
              'HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nsmuggled',
            ),
        ),
    },
  });
  const wire = await at.dial('alice', `${at.head('HEAD', '/k8s/first', 'alice')}\r\n`);
  await wire.until(/\r\n\r\n$/);
  await until(() => at.upstream[0]?.isClosed === true);
  wire.send(`${at.head('HEAD', '/k8s/second', 'alice')}\r\n`);
  await wire.until(/\r\n\r\nHTTP\/1\.1 200[^]*\r\n\r\n$/);
  t.is(at.upstream.length, 2);
  t.regex(at.upstream[0]?.bytes() ?? '', /connection: close/);
  t.notRegex(wire.text, /smuggled/);
});

const informational: readonly [title: string, answer: string, expected: number][] = [
  ['103', 'HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok', 200],
  ['102', 'HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok', 200],
  ['100', 'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok', 502],
  ['101', 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n', 502],
  ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok', 502],
  ['rubbish', 'SSH-2.0-x\r\n', 502],
  ['60 KB of headers', `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(60_000)}\r\nContent-Length: 2\r\n\r\nok`, 200],
  ['70 KB of headers', `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(70_000)}\r\nContent-Length: 2\r\n\r\nok`, 502],
  ['a reason that is no ASCII', 'HTTP/1.1 200 \xe2\x82\xac\r\nContent-Length: 2\r\n\r\nok', 200],
  ['a header that is no ASCII', 'HTTP/1.1 200 OK\r\nX: \xe2\x82\xac\r\nContent-Length: 2\r\n\r\nok', 200],
];
for (const [title, answer, expected] of informational) {
  test(`an API server that answers a plain request with ${title}: ${expected}`, async (t) => {
    await using at = await createFixture({
      apiServer: { raw: (socket) => void socket.once('data', () => socket.write(answer, 'latin1')) },
    });
    const text = await at.ask('alice', `${at.head('GET', '/k8s/api', 'alice')}Connection: close\r\n\r\n`);
    t.is(statusOf(text), expected);
    t.is((text.match(/HTTP\/1\.1/g) ?? []).length, 1);
  });
}

// One list with the engine's own test, TestAnAnswerThatTwoReadersCouldUnderstandDifferentlyIsNotRelayed.
const malformed: readonly (readonly [title: string, answer: string])[] = [
  ['a space before the colon of a length', 'HTTP/1.1 200 OK\r\nContent-Length : 5\r\nContent-Length: 2\r\n\r\nok'],
  [
    'a space before the colon of a location',
    'HTTP/1.1 302 Found\r\nLocation : https://evil.example/\r\nContent-Length: 0\r\n\r\n',
  ],
  ['a tab before the colon', 'HTTP/1.1 200 OK\r\nX-A\t: b\r\nContent-Length: 2\r\n\r\nok'],
  ['a space in a name', 'HTTP/1.1 200 OK\r\nSet-Cookie X: a=b\r\nContent-Length: 2\r\n\r\nok'],
  ['a name with parentheses', 'HTTP/1.1 200 OK\r\nX(a): b\r\nContent-Length: 2\r\n\r\nok'],
  ['a name with C1', 'HTTP/1.1 200 OK\r\nX\x85: b\r\nContent-Length: 2\r\n\r\nok'],
  ['a line without a colon', 'HTTP/1.1 200 OK\r\nX-A\r\nContent-Length: 2\r\n\r\nok'],
  ['a null in a value', 'HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 2\r\n\r\nok'],
  ['a bare carriage return in a value', 'HTTP/1.1 200 OK\r\nX: a\rSet-Cookie: b\r\nContent-Length: 2\r\n\r\nok'],
  ['two locations', 'HTTP/1.1 302 Found\r\nLocation: /a\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n'],
  ['two different lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok'],
  ['a length that is no number', 'HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\nok'],
  ['a signed length', 'HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok'],
  ['a length of twenty digits', `HTTP/1.1 200 OK\r\nContent-Length: ${'9'.repeat(20)}\r\n\r\nok`],
  ['an unknown coding', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n2\r\nok\r\n0\r\n\r\n'],
];
for (const [title, answer] of malformed) {
  test(`an answer with ${title} is 502, and nothing of it is relayed`, async (t) => {
    await using at = await createFixture({
      apiServer: { raw: (socket) => void socket.once('data', () => socket.write(answer, 'latin1')) },
    });
    const text = await at.ask('alice', `${at.head('GET', '/k8s/api', 'alice')}Connection: close\r\n\r\n`);
    t.is(statusOf(text), 502);
    t.like(bodyOf(text), { kind: 'Status', code: 502 });
    t.notRegex(text, /evil|set-cookie|\nx-a|\nx[^-]|\nlocation/i);
    t.true(at.upstream[0]?.isClosed);
  });
}

test('a length beyond 53 bits is relayed digit for digit', async (t) => {
  const answer = 'HTTP/1.1 200 OK\r\nContent-Length: 9007199254740993\r\n\r\n';
  await using at = await createFixture({
    apiServer: { raw: (socket) => void socket.once('data', () => socket.write(answer)) },
  });
  const text = await at.ask('alice', `${at.head('HEAD', '/k8s/api', 'alice')}Connection: close\r\n\r\n`);
  t.regex(text, /\ncontent-length: 9007199254740993\r\n/i);
});

test('an answer whose header is folded is relayed on one line, or 502', async (t) => {
  const answer = 'HTTP/1.1 200 OK\r\nX: a\r\n Set-Cookie: b\r\nContent-Length: 2\r\n\r\nok';
  await using at = await createFixture({
    apiServer: { raw: (socket) => void socket.once('data', () => socket.write(answer, 'latin1')) },
  });
  const text = await at.ask('alice', `${at.head('GET', '/k8s/api', 'alice')}Connection: close\r\n\r\n`);
  t.notRegex(text, /\n[ \t]|\nset-cookie/i);
  t.true(statusOf(text) === 502 || /\nx: a +Set-Cookie: b\r\n/i.test(text), text);
});

test('an HTTP client that keeps its connection gets what the API server says', async (t) => {
  await using at = await createFixture({
    apiServer: { request: (req, res) => void res.setHeader('X-Path', req.url ?? '').end('x'.repeat(2_000_000)) },
  });
  const wire = await at.dial('alice');
  const body = await new Promise<Buffer>((resolve, reject) => {
    wire.socket.removeAllListeners('data');
    const headers = { host: 'tka', authorization: `Bearer ${at.token('alice')}` };
    const req = request({ createConnection: () => wire.socket, path: '/k8s/api', headers }, (res) => {
      const chunks: Buffer[] = [];
      res.on('data', (chunk: Buffer) => chunks.push(chunk)).on('end', () => resolve(Buffer.concat(chunks)));
    });
    req.on('error', reject).end();
  });
  t.is(body.length, 2_000_000);
});
