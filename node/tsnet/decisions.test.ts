/** Node's end of the decision channel, with a socket for an engine. */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import type { AskedRequest, Decider, ForwardingEngine, RequestEvents } from './decider.ts';
import { serveDecisions } from './decisions.ts';
import { createLineReader } from './lines.ts';
import type { TailnetConnection } from './peer.ts';

const settings = {
  readHere: [],
  match: { paths: ['/k8s'], exceptPaths: [], bearerPrefix: 'token_' },
  server: 'https://cluster:6443',
  withheld: ['a'],
  withheldPrefixes: [],
  added: [],
};
const opened = {
  type: 'opened',
  connection: 1,
  source: { address: '100.64.0.1', port: 4711 },
  destination: { address: '100.64.0.2', port: 443 },
  tls: true,
  identity: { nodeId: 'n1', nodeKey: 'k', nodeName: 'laptop', tags: [], capabilities: {} },
};
const ask = {
  type: 'ask',
  connection: 1,
  request: 2,
  hasBody: 0,
  version: '1.1',
  method: 'GET',
  target: '/k8s/api',
  headers: ['Host', 'tka'],
};

/** Those that each request needs are fields, in the order in which they are written here. */
function lineOf(message: object): string {
  const fields: unknown[] = Object.values(message);
  return fields[0] === 'ask' || fields[0] === 'ended' ? fields.flat().join('\x1f') : JSON.stringify(message);
}

class Asked implements Decider, RequestEvents {
  readonly settings = settings;
  readonly requests: AskedRequest[] = [];
  readonly told: unknown[] = [];
  engine: ForwardingEngine | undefined;

  decide(request: AskedRequest, listen: (events: RequestEvents) => void): void {
    this.requests.push(request);
    listen(this);
  }
  opened(engine: ForwardingEngine): void {
    this.engine = engine;
  }
  closed(): void {
    this.told.push('closed');
  }
  body(bytes: Buffer | undefined): void {
    this.told.push({ body: bytes?.toString() });
  }
  unrecorded(failure: string, reason: string): void {
    this.told.push({ unrecorded: [failure, reason] });
  }
  begun(status: number): void {
    this.told.push({ begun: status });
  }
  failed({ isSent }: { readonly isSent: boolean }): { status: number; text: string; close: boolean } {
    return { status: isSent ? 502 : 503, text: 'HTTP/1.1 …', close: true };
  }
  moved(location: string): string | undefined {
    return location === '/lost' ? undefined : `/k8s${location}`;
  }
  ended({ status, sentBytes, receivedBytes }: Parameters<RequestEvents['ended']>[0]): void {
    this.told.push({ ended: [status, sentBytes, receivedBytes] });
  }
}

async function start(t: ExecutionContext) {
  const decider = new Asked();
  const logged: string[] = [];
  const ends: (() => void)[] = [];
  const server = createServer((socket) => {
    socket.on('error', () => {});
    serveDecisions(socket, {
      decider,
      log: (_level, message) => logged.push(message),
      opened: () => () => undefined,
      connectionFrom({ source }, destroy): TailnetConnection {
        ends.push(destroy);
        return {
          remoteAddress: source.address,
          localPort: 443,
          tls: true,
          identity: () => Promise.reject(new Error()),
        };
      },
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  // It listens on TCP.
  const socket: Socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  t.teardown(() => {
    socket.destroy();
    server.close();
  });
  const heard: unknown[] = [];
  const waiting: ((message: unknown) => void)[] = [];
  const lines = createLineReader(1 << 20, (line) => {
    const message: unknown = line.startsWith('{') ? JSON.parse(line) : line.split('\x1f');
    const next = waiting.shift();
    if (next) next(message);
    else heard.push(message);
  });
  socket.on('data', (chunk: Buffer) => lines.push(chunk));
  const say = (...messages: readonly object[]): void => {
    socket.write(messages.map((message) => `${lineOf(message)}\n`).join(''));
  };
  const hear = (): Promise<unknown> =>
    heard.length > 0 ? Promise.resolve(heard.shift()) : new Promise((resolve) => waiting.push(resolve));
  t.like(await hear(), { type: 'settings', caPem: '', serverName: '', insecureSkipVerify: false, ...settings });
  /** Resolves when all that was said has been taken: a location is asked for and told. */
  const taken = async (): Promise<void> => {
    say({ type: 'moved', request: 99, location: '/' });
    t.deepEqual(await hear(), { type: 'location', request: 99, location: '' });
  };
  return { decider, socket, say, hear, taken, logged, ends };
}

test('a question reaches the decider with its connection, and the decision the engine', async (t) => {
  const { decider, say, hear, taken } = await start(t);
  say(opened, ask);
  await taken();
  const [asked] = decider.requests;
  t.is(asked?.connection.remoteAddress, '100.64.0.1');
  t.like(asked, { method: 'GET', target: '/k8s/api', rawHeaders: ['Host', 'tka'], hasBody: false });
  const order = {
    path: '/api',
    pool: 'uid',
    added: ['x-request-id', 'r'],
    tellBegun: true,
    close: false,
    withCookies: true,
  };
  asked?.forward({ ...order, headers: { accept: 'a', authorization: 'b' } });
  const added = ['2', 'x-request-id', 'r'];
  t.deepEqual(await hear(), [
    'forward',
    '2',
    '1',
    '0',
    '1',
    '/api',
    'uid',
    ...added,
    'accept',
    'a',
    'authorization',
    'b',
  ]);
  const evil = { accept: 'a\x1fauthorization\x1fb' };
  t.throws(() => asked?.forward({ ...order, headers: evil }), { message: /is not plain/ });
  t.throws(() => asked?.forward({ ...order, headers: {}, path: '/\nanswer' }), { message: /is not plain/ });
  const words = { inOrder: true, lastWord: '{}', reason: 'over' };
  asked?.cut({ answer: { status: 401, text: 'no', close: true }, ...words });
  t.deepEqual(await hear(), { type: 'cut', request: 2, status: 401, answer: 'no', ...words });
  asked?.read(9);
  t.deepEqual(await hear(), { type: 'read', request: 2, most: 9 });
  const recording = { path: '/r/x.cast', maxBytes: 5, required: true };
  asked?.record(recording);
  t.deepEqual(await hear(), { type: 'record', request: 2, ...recording });
  asked?.answer({ status: 403, text: 'HTTP/1.1 403', close: false });
  t.deepEqual(await hear(), { type: 'answer', request: 2, status: 403, answer: 'HTTP/1.1 403', close: false });
});

test('what becomes of a request is told once, and in order', async (t) => {
  const { decider, say, hear, taken } = await start(t);
  const ended = { type: 'ended', request: 2, status: 200, sentBytes: 1, receivedBytes: 2 };
  say(opened, ask, { type: 'begun', request: 2, status: 200 });
  say(
    { type: 'failed', request: 2, sent: true, invalid: false, reason: 'x' },
    { type: 'moved', request: 2, location: '/a' },
  );
  t.deepEqual(await hear(), { type: 'answer', request: 2, status: 502, answer: 'HTTP/1.1 …', close: true });
  t.deepEqual(await hear(), { type: 'location', request: 2, location: '/k8s/a' });
  say(ended, ended, { type: 'begun', request: 2, status: 200 });
  await taken();
  t.deepEqual(decider.told, [{ begun: 200 }, { ended: [200, 1, 2] }]);
});

test('a body arrives as it was read, or as one that is longer; a recording that fails is told', async (t) => {
  const { decider, say, taken } = await start(t);
  const bodyOf = (body: string | null): object => ({ type: 'body', request: 2, body });
  say(opened, ask, bodyOf(Buffer.from('grün').toString('base64')), bodyOf(''), bodyOf(null));
  say({ type: 'unrecorded', request: 2, failure: 'disk_full', reason: 'x' });
  await taken();
  t.deepEqual(decider.told, [{ body: 'grün' }, { body: '' }, { body: undefined }, { unrecorded: ['disk_full', 'x'] }]);
});

test('a connection that is destroyed here is hung up on there; a pool is forgotten, the engine drained', async (t) => {
  const { decider, say, hear, taken, ends } = await start(t);
  say(opened);
  await taken();
  ends[0]?.();
  t.deepEqual(await hear(), { type: 'hangUp', connection: 1 });
  decider.engine?.forget('uid');
  decider.engine?.drain();
  t.deepEqual(await hear(), { type: 'forget', pool: 'uid' });
  t.deepEqual(await hear(), { type: 'drain' });
});

test('when the channel ends, every request on it has ended', async (t) => {
  const { decider, say, socket, taken } = await start(t);
  say(opened, ask, { ...ask, request: 3 }, { type: 'ended', request: 3, status: 200, sentBytes: 0, receivedBytes: 0 });
  await taken();
  socket.destroy();
  while (decider.told.length < 3) await new Promise((resolve) => setImmediate(resolve));
  t.deepEqual(decider.told, [{ ended: [200, 0, 0] }, { ended: [0, 0, 0] }, 'closed']);
  // To nobody, and without an error.
  decider.requests[0]?.answer({ status: 200, text: '', close: false });
});

for (const [title, line] of [
  ['no JSON', '{"type":"begun","target":"/k8s"'],
  ['half a question', lineOf(ask).slice(0, -'/k8s/api␟Host␟tka'.length - 1)],
  ['a question with half a header', `${lineOf(ask)}\x1fk8s`],
  ['a question in JSON', JSON.stringify(ask)],
  ['no JSON that begins with a secret', 'k8s'],
  ['no message', '{"type":"forward"}'],
  ['a question on a connection that was not opened', lineOf({ ...ask, connection: 9 })],
  ['a question that is number 0', lineOf({ ...ask, request: 0 })],
  ['a number that is none', lineOf({ ...ask, request: -1 })],
  ['a number that no number can be', lineOf({ ...ask, request: '9'.repeat(16) })],
  ['a flag that is none', lineOf({ ...ask, hasBody: 'k8s' })],
  ['the end of a request that says too little', 'ended\x1f2\x1f200\x1f0'],
  ['the end of a request that says too much', 'ended\x1f2\x1f200\x1f0\x1f0\x1f0'],
] as const) {
  test(`${title} ends the channel, without a word of it in the log`, async (t) => {
    const { socket, decider, logged } = await start(t);
    // So that nothing but the line itself is amiss.
    socket.write(`${lineOf(opened)}\n${line}\n`);
    await once(socket, 'close');
    t.is(decider.requests.length, 0);
    t.is(logged.length, 1);
    t.false(logged[0]?.includes('k8s'));
  });
}
