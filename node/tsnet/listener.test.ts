import { once } from 'node:events';
import { existsSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { connect, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { text } from 'node:stream/consumers';
import test, { type ExecutionContext } from 'ava';
import * as fc from 'fast-check';
import { openHandOver } from './listener.ts';
import type { Preamble } from './protocol.ts';

const NONCE = 'beef'.repeat(16);
const PREAMBLE: Preamble = {
  nonce: NONCE,
  listener: '1',
  source: { address: '100.64.0.1', port: 4711 },
  destination: { address: 'fd7a:115c:a1e0::2', port: 443 },
  tls: true,
  identity: { nodeId: 'n1', nodeKey: 'k', nodeName: 'laptop', tags: [], capabilities: {} },
};

function encode(preamble: Preamble): Buffer {
  const bytes = Buffer.from(JSON.stringify(preamble));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

/** A hand-over whose connections go to an ordinary HTTP server that says what it got. */
async function start(t: ExecutionContext, { nonce = (): string | undefined => NONCE, preambleWithinMs = 5_000 } = {}) {
  const requests: string[] = [];
  const logged: string[] = [];
  const sockets: Socket[] = [];
  const server = createServer((request, response) => {
    // In the order of their arrival, not of their bodies' ends.
    const nth = requests.push('') - 1;
    const { remoteAddress, remotePort, remoteFamily, localPort } = request.socket;
    text(request).then(
      (body) => {
        requests[nth] = `${request.method} ${request.url} ${body}`;
        response.end(JSON.stringify({ remoteAddress, remotePort, remoteFamily, localPort }));
      },
      () => {},
    );
  });
  const handOver = await openHandOver({
    nonce,
    preambleWithinMs,
    log: (_level, message) => logged.push(message),
    onDecisions: () => false,
    onConnection: (socket, preamble) => {
      if (preamble.listener !== '1') return false;
      sockets.push(socket);
      server.emit('connection', socket);
      return true;
    },
  });
  t.teardown(() => handOver.close());
  return { handOver, requests, logged, sockets };
}

async function send(path: string, chunks: readonly Buffer[]): Promise<string> {
  const socket = connect(path);
  socket.on('error', () => {});
  for (const chunk of chunks) {
    if (chunk.length === 0) continue;
    socket.write(chunk);
    // Lets the other side read this much alone.
    await new Promise((resolve) => setImmediate(resolve));
  }
  return text(socket).catch(() => ''); // a reset is as good as an end
}

const TWO_REQUESTS = Buffer.from(
  'POST /first HTTP/1.1\r\nHost: tka\r\nContent-Length: 5\r\n\r\nhello' +
    'GET /second HTTP/1.1\r\nHost: tka\r\nConnection: close\r\n\r\n',
);

test('pipelined requests arrive whole however preamble and bytes are cut', async (t) => {
  const { handOver, requests } = await start(t);
  const bytes = Buffer.concat([encode(PREAMBLE), TWO_REQUESTS]);
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat({ max: bytes.length }), { maxLength: 6 }), async (cuts) => {
      requests.length = 0;
      const at = [0, ...cuts.sort((a, b) => a - b), bytes.length];
      await send(
        handOver.socketPath,
        at.slice(1).map((end, i) => bytes.subarray(at[i], end)),
      );
      t.deepEqual(requests, ['POST /first hello', 'GET /second ']);
    }),
    { numRuns: 100 },
  );
});

test('the socket’s addresses are those of the tailnet connection', async (t) => {
  const { handOver, sockets } = await start(t);
  const answer = await send(handOver.socketPath, [encode(PREAMBLE), TWO_REQUESTS]);
  t.regex(answer, /"remoteAddress":"100.64.0.1","remotePort":4711,"remoteFamily":"IPv4","localPort":443/);
  t.like(sockets[0], { encrypted: true });
});

test('only this user may reach the socket, and nothing is left of it', async (t) => {
  const { handOver } = await start(t);
  const directory = dirname(handOver.socketPath);
  t.is(statSync(directory).mode & 0o777, 0o700);
  await handOver.close();
  t.false(existsSync(directory));
});

for (const [title, bytes, reason] of [
  ['a wrong nonce', encode({ ...PREAMBLE, nonce: 'dead'.repeat(16) }), /wrong nonce/],
  ['an oversized preamble', Buffer.from([0x7f, 0xff, 0xff, 0xff, 0x20]), /more than/],
  ['no preamble at all', Buffer.from('GET / HTTP/1.1\r\nHost: tka\r\n\r\n'), /more than/],
] as const) {
  test(`${title} is dropped, and reaches no server`, async (t) => {
    const { handOver, requests, logged } = await start(t);
    t.is(await send(handOver.socketPath, [bytes, TWO_REQUESTS]), '');
    t.deepEqual(requests, []);
    t.is(logged.length, 1);
    t.regex(logged[0] ?? '', reason);
  });
}

test('a preamble for a listener that is not there is dropped', async (t) => {
  const { handOver, requests } = await start(t);
  t.is(await send(handOver.socketPath, [encode({ ...PREAMBLE, listener: '2' }), TWO_REQUESTS]), '');
  t.deepEqual(requests, []);
});

test('a preamble that does not come in time is dropped', async (t) => {
  const { handOver, logged } = await start(t, { preambleWithinMs: 20 });
  t.is(await send(handOver.socketPath, [encode(PREAMBLE).subarray(0, 20)]), '');
  t.regex(logged[0] ?? '', /in time/);
});

test('a connection that ends within its preamble is dropped', async (t) => {
  const { handOver, logged } = await start(t);
  const socket = connect(handOver.socketPath);
  socket.end(encode(PREAMBLE).subarray(0, 20));
  t.is(await text(socket), '');
  t.regex(logged[0] ?? '', /within its preamble/);
});

test('between engines no nonce is good', async (t) => {
  const { handOver, requests } = await start(t, { nonce: () => undefined });
  t.is(await send(handOver.socketPath, [encode({ ...PREAMBLE, nonce: '' }), TWO_REQUESTS]), '');
  t.deepEqual(requests, []);
});

test('connections end with their engine', async (t) => {
  const { handOver } = await start(t);
  const socket = connect(handOver.socketPath);
  socket.on('error', () => {});
  socket.write(
    Buffer.concat([encode(PREAMBLE), Buffer.from('GET /slow HTTP/1.1\r\nHost: tka\r\nContent-Length: 9\r\n\r\n')]),
  );
  await once(socket, 'connect');
  while (!(await isOpenAtServer(handOver.socketPath))) await new Promise((resolve) => setImmediate(resolve));
  handOver.destroyConnections();
  await text(socket).catch(() => '');
  t.true(socket.readableEnded || socket.destroyed);
});

/** A second connection that is served tells that the first one has been accepted. */
async function isOpenAtServer(path: string): Promise<boolean> {
  return (await send(path, [encode(PREAMBLE), TWO_REQUESTS])).includes('100.64.0.1');
}
