import test from 'ava';
import type { ExecutionContext } from 'ava';
import type { RequestListener } from 'node:http';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { once } from 'node:events';
import { createTailnetServer } from './server.ts';

/** The server behind a listener that hands it sockets, as the tailnet's listeners do. */
async function setup(
  t: ExecutionContext,
  listener: RequestListener,
  overrides: Parameters<typeof createTailnetServer>[1] = {},
) {
  const web = createTailnetServer(listener, overrides);
  const front = createServer({ allowHalfOpen: true }, (socket) => web.server.emit('connection', socket));
  web.server.emit('listening');
  front.listen(0, '127.0.0.1');
  await once(front, 'listening');
  t.teardown(() => {
    front.close();
    web.server.closeAllConnections();
  });
  const { port } = front.address() as AddressInfo;
  const dial = (text: string): Socket => {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => {});
    socket.write(text);
    return socket;
  };
  return { web, dial, port };
}

async function everything(socket: Socket): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

test('a request that drips is cut off, though it never falls silent', async (t) => {
  const { dial } = await setup(t, (_req, res) => res.end('ok'), {
    headersTimeout: 100,
    requestTimeout: 200,
    connectionsCheckingInterval: 20,
  });
  const socket = dial('GET / HTTP/1.1\r\nHost: tka\r\n');
  const drip = setInterval(() => socket.write('X'), 10);
  t.teardown(() => clearInterval(drip));
  t.regex(await everything(socket), /^HTTP\/1\.1 408 /);
});

test('17 KB of headers are refused', async (t) => {
  const { dial } = await setup(t, (_req, res) => res.end('ok'));
  const answer = await everything(dial(`GET / HTTP/1.1\r\nHost: tka\r\nX: ${'x'.repeat(17_000)}\r\n\r\n`));
  t.regex(answer, /^HTTP\/1\.1 431 /);
});

const smuggled: readonly [title: string, text: string][] = [
  ['two lengths', 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab'],
  [
    'length and chunks',
    'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  ],
  ['a folded header', 'GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n'],
  ['a bare line feed', 'GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n'],
  ['a space before the colon', 'GET / HTTP/1.1\r\nHost : a\r\n\r\n'],
  ['no Host', 'GET / HTTP/1.1\r\n\r\n'],
];

for (const [title, text] of smuggled) {
  test(`a request with ${title} is refused, and its connection closed`, async (t) => {
    let calls = 0;
    const { dial } = await setup(t, (_req, res) => {
      calls += 1;
      res.end('ok');
    });
    t.regex(await everything(dial(text)), /^HTTP\/1\.1 400 /);
    t.is(calls, 0);
  });
}

test('rubbish behind a request whose answer is under way breaks the connection off, and is not answered into it', async (t) => {
  const { dial } = await setup(t, (_req, res) => void res.write('half an answer'));
  const socket = dial('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await once(socket, 'data');
  socket.write('rubbish\r\n\r\n');
  t.is(await everything(socket), '');
});

test('a refused client that does not close is disconnected', async (t) => {
  const { port } = await setup(t, (_req, res) => res.end('ok'));
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  socket.on('error', () => {}).write('rubbish\r\n\r\n');
  const [answer] = (await once(socket, 'data')) as [Buffer];
  t.regex(answer.toString(), /^HTTP\/1\.1 400 /);
  // A write shows that the peer is gone.
  const pump = setInterval(() => socket.write('x'), 5);
  t.teardown(() => clearInterval(pump));
  await closed;
});

test('a header behind a thousand others is seen', async (t) => {
  const { dial } = await setup(t, (req, res) => void res.end(String(req.headers['x-last'])));
  const many = 'a:\r\n'.repeat(1500);
  const answer = await everything(
    dial(`GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${many}X-Last: seen\r\n\r\n`),
  );
  t.regex(answer, /seen$/);
});

test('a stop lets requests under way finish, and closes idle connections', async (t) => {
  const begun = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  const { web, dial } = await setup(t, (req, res) => {
    if (req.url === '/idle') {
      res.end('idle');
      return;
    }
    begun.resolve();
    void release.promise.then(() => res.end('done'));
  });
  const idle = dial('GET /idle HTTP/1.1\r\nHost: tka\r\n\r\n');
  await once(idle, 'data');
  const busy = everything(dial('GET /busy HTTP/1.1\r\nHost: tka\r\n\r\n'));
  await begun.promise;
  let isClosed = false;
  const closed = web.close(new AbortController().signal).then(() => (isClosed = true));
  await once(idle, 'close');
  t.false(isClosed);
  release.resolve();
  t.regex(await busy, /done$/);
  await closed;
});

test('a stop does not wait longer than it is allowed to', async (t) => {
  const begun = Promise.withResolvers<void>();
  const { web, dial } = await setup(t, () => begun.resolve());
  const busy = everything(dial('GET / HTTP/1.1\r\nHost: tka\r\n\r\n'));
  await begun.promise;
  await web.close(AbortSignal.timeout(20));
  t.is(await busy, '');
});
