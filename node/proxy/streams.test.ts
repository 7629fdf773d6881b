/** Bodies both ways: at once, at the slower side's pace, whole or visibly broken. */
import test from 'ava';
import { createHash } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { bodyOf, createFixture, statusOf, turns, until } from './fixture.ts';

const hash = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

test("a watch's headers come at once, and each event as it is written", async (t) => {
  const asked = Promise.withResolvers<ServerResponse>();
  await using at = await createFixture({
    apiServer: {
      request(_req, res) {
        res.writeHead(200, { 'content-type': 'application/json' }).flushHeaders();
        asked.resolve(res);
      },
    },
  });
  const wire = await at.dial('alice', `${at.head('GET', '/k8s/api/v1/pods?watch=true', 'alice')}\r\n`);
  t.is(statusOf(await wire.until(/\r\n\r\n$/)), 200);
  const far = await asked.promise;
  for (const event of ['{"type":"ADDED"}\n', '{"type":"MODI', 'FIED"}\n']) {
    far.write(event);
    await wire.until(new RegExp(event.replace('{', '\\{')));
  }
  far.end();
  await wire.until(/\r\n0\r\n\r\n$/);
});

test('a caller that does not read stalls the API server, and loses nothing', async (t) => {
  const total = 64 * 1024 * 1024;
  const chunk = Buffer.alloc(256 * 1024, 'abcdefg');
  let written = 0;
  await using at = await createFixture({
    apiServer: {
      request(_req, res) {
        const more = (): void => {
          while (written < total) {
            written += chunk.length;
            if (!res.write(chunk)) {
              res.once('drain', more);
              return;
            }
          }
          res.end();
        };
        more();
      },
    },
  });
  const wire = await at.dial('alice', `${at.head('GET', '/k8s/logs', 'alice')}Connection: close\r\n\r\n`);
  await wire.until(/abc/);
  wire.socket.pause();
  // Until nothing moves for many turns of the loop that all of it runs in.
  let before = -1;
  while (written !== before) {
    before = written;
    await turns(200);
  }
  // The rest lies in the kernel's buffers of three sockets.
  t.true(written < total / 2, `${written} of ${total} bytes were taken`);
  let size = wire.bytes.length;
  wire.socket.removeAllListeners('data').on('data', (bytes: Buffer) => (size += bytes.length));
  wire.socket.resume();
  await wire.closed;
  t.true(size > total);
});

test('an API server that does not read stalls the caller', async (t) => {
  await using at = await createFixture({
    apiServer: { raw: (socket) => void socket.once('data', () => socket.pause()) },
  });
  const wire = await at.dial('alice', `${at.head('POST', '/k8s/api', 'alice')}Transfer-Encoding: chunked\r\n\r\n`);
  const chunk = `10000\r\n${'x'.repeat(65_536)}\r\n`;
  let sent = 0;
  let isStalled = false;
  while (!isStalled && sent < 1000) {
    wire.send(chunk);
    sent += 1;
    await turns(2);
    if (wire.socket.writableNeedDrain) {
      const drained = new Promise<false>((resolve) => wire.socket.once('drain', () => resolve(false)));
      isStalled = await Promise.race([drained, turns(300).then(() => true)]);
    }
  }
  t.true(isStalled);
  t.true(sent < 500, `${sent} chunks were taken`);
});

for (const [title, framing] of [
  ['a length', (body: Buffer) => [`Content-Length: ${body.length}\r\n\r\n`, body]],
  [
    'chunks',
    (body: Buffer) => [
      'Transfer-Encoding: chunked\r\n\r\n',
      ...Array.from({ length: 10 }, (_, i) => {
        const part = body.subarray((i * body.length) / 10, ((i + 1) * body.length) / 10);
        return Buffer.concat([Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from('\r\n')]);
      }),
      '0\r\n\r\n',
    ],
  ],
] as const) {
  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
    test(`a ${method} of 1 MB with ${title} arrives whole`, async (t) => {
      const hashes: string[] = [];
      await using at = await createFixture({
        apiServer: {
          request(req, res) {
            const digest = createHash('sha256');
            req.on('data', (chunk: Buffer) => digest.update(chunk));
            req.on('end', () => {
              hashes.push(digest.digest('hex'));
              res.end('done');
            });
          },
        },
      });
      const body = Buffer.alloc(1_000_000, 'configmap');
      const wire = await at.dial('alice', at.head(method, '/k8s/api', 'alice'));
      for (const part of framing(body)) wire.send(part);
      await wire.until(/done$/);
      t.deepEqual(hashes, [hash(body)]);
      await until(() => at.log.some((line) => line['sentBytes'] === body.length));
    });
  }
}

test('a caller that goes ends the request at the API server', async (t) => {
  const ended: string[] = [];
  await using at = await createFixture({
    apiServer: {
      request(req, res) {
        res.on('close', () => ended.push(`${req.url} ${String(res.writableFinished)}`));
        if (req.url !== '/silent') res.write('x');
      },
    },
  });
  for (const path of ['/silent', '/streaming']) {
    const wire = await at.dial('alice', `${at.head('GET', `/k8s${path}`, 'alice')}\r\n`);
    await until(() => at.upstream.some((connection) => connection.bytes().includes(path)));
    if (path === '/streaming') await wire.until(/x/);
    wire.socket.destroy();
    await until(() => ended.includes(`${path} false`) && at.proxy.open === 0);
  }
  t.is(ended.length, 2);
});

const breakings: readonly [title: string, answer: string][] = [
  ['a length', 'HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello'],
  ['chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n'],
  ['half a chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n50\r\nhello'],
  ['a wrong chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloXX'],
];
for (const how of ['end', 'resetAndDestroy'] as const) {
  for (const [title, answer] of breakings) {
    test(`an answer with ${title} that breaks off (${how}), breaks off for the caller`, async (t) => {
      await using at = await createFixture({
        apiServer: {
          raw: (socket) =>
            void socket.once('data', () => socket.write(answer, () => setImmediate(() => socket[how]()))),
        },
      });
      const text = await at.ask('alice', `${at.head('GET', '/k8s/api', 'alice')}\r\n`);
      t.false(text.endsWith('0\r\n\r\n'));
      if (/200 OK/.test(text)) t.notRegex(text, /content-length: 5\r\n/i);
      else t.is(statusOf(text), 503);
      await until(() => at.proxy.open === 0);
    });
  }
}

test('an API server that goes before it answers: 503 to come again for what may be repeated, 502 for what may not', async (t) => {
  await using at = await createFixture({
    apiServer: { raw: (socket) => void socket.once('data', () => socket.destroy()) },
  });
  const get = await at.ask('alice', `${at.head('GET', '/k8s/api', 'alice')}Connection: close\r\n\r\n`);
  t.is(statusOf(get), 503);
  t.regex(get, /retry-after: 1/);
  const post = await at.ask(
    'alice',
    `${at.head('POST', '/k8s/api', 'alice')}Connection: close\r\nContent-Length: 2\r\n\r\n{}`,
  );
  t.is(statusOf(post), 502);
  t.notRegex(post, /retry-after/i);
  t.is(bodyOf(post)['message'], 'the API server does not answer tka');
});

test('an API server that is away is a 503 whatever was asked, for nothing was done', async (t) => {
  await using at = await createFixture();
  await at.stopApiServer();
  for (const method of ['GET', 'POST']) {
    const text = await at.ask(
      'alice',
      `${at.head(method, '/k8s/api', 'alice')}Content-Length: 2\r\nConnection: close\r\n\r\n{}`,
    );
    t.is(statusOf(text), 503);
    t.regex(text, /retry-after: 1/);
    t.is(bodyOf(text)['kind'], 'Status');
  }
});

test('an answer that comes before the whole body is heard, and is the last on its connection', async (t) => {
  await using at = await createFixture({
    apiServer: {
      request: (_req, res) => void res.writeHead(413, { 'content-type': 'text/plain' }).end('too large'),
    },
  });
  const wire = await at.dial(
    'alice',
    `${at.head('POST', '/k8s/api', 'alice')}Content-Length: 3000000\r\n\r\n${'x'.repeat(1000)}`,
  );
  const text = await wire.closed;
  t.is(statusOf(text), 413);
  t.regex(text, /connection: close/i);
  t.regex(text, /too large/);
  wire.send(`${'x'.repeat(2_999_000)}${at.head('DELETE', '/k8s/smuggled', 'alice')}\r\n`);
  await turns(20);
  t.false(at.upstream.some((connection) => connection.bytes().includes('smuggled')));
});

test('a long answer that comes before the whole body arrives whole', async (t) => {
  const long = 'x'.repeat(8_000_000);
  await using at = await createFixture({
    apiServer: { request: (_req, res) => void res.writeHead(413, { 'content-length': long.length }).end(long) },
  });
  const wire = await at.dial('alice', `${at.head('POST', '/k8s/api', 'alice')}Content-Length: 3000000\r\n\r\nhalf`);
  wire.socket.pause();
  // Until the proxy has taken what it can, and the API server's side is over or stalled.
  let before = -1;
  while (at.upstream[0]?.socket.bytesWritten !== before) {
    before = at.upstream[0]?.socket.bytesWritten ?? -1;
    await turns(50);
  }
  wire.socket.resume();
  const text = await wire.closed;
  t.is(text.length - text.indexOf('\r\n\r\n') - 4, long.length);
});

test('an API server that breaks off in the middle of an upload is told to the caller', async (t) => {
  await using at = await createFixture({
    apiServer: { raw: (socket) => void socket.once('data', () => setImmediate(() => socket.destroy())) },
  });
  const wire = await at.dial(
    'alice',
    `${at.head('POST', '/k8s/api', 'alice')}Content-Length: 3000000\r\n\r\n${'x'.repeat(1000)}`,
  );
  t.is(statusOf(await wire.closed), 502);
});
