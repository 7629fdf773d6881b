/** How much may be under way, and that whatever ends is counted out. */
import test from 'ava';
import * as fc from 'fast-check';
import type { Duplex } from 'node:stream';
import { bodyOf, createFixture, type Fixture, statusOf, until } from './testing/fixture.ts';

const upgrade = 'Connection: Upgrade\r\nUpgrade: websocket\r\n';
const switching = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';

async function tooMany(at: Fixture, session: string, more = 'Connection: close\r\n'): Promise<string> {
  return await at.ask(session, `${at.head('GET', '/k8s/api', session)}${more}\r\n`);
}

for (const [title, more] of [
  ['a request', 'Connection: close\r\n'],
  ['an upgrade', upgrade],
] as const) {
  test(`${title} beyond a session's limit is a 429 that says when to come again, and another session goes on`, async (t) => {
    await using at = await createFixture({
      limits: { streamsPerSession: 2, streams: 100 },
      apiServer: { request: (req, res) => void (req.url === '/hang' || res.end('ok')) },
    });
    for (let i = 0; i < 2; i += 1) await at.dial('alice', `${at.head('GET', '/k8s/hang', 'alice')}\r\n`);
    await until(() => at.proxy.open === 2);
    const text = await tooMany(at, 'alice', more);
    t.is(statusOf(text), 429);
    t.regex(text, /retry-after: 1/i);
    t.is(bodyOf(text)['reason'], 'TooManyRequests');
    t.is(statusOf(await tooMany(at, 'bob')), 200);
  });
}

test('a request beyond the limit of all sessions is a 429', async (t) => {
  await using at = await createFixture({
    limits: { streamsPerSession: 100, streams: 2 },
    apiServer: { request: (req, res) => void (req.url === '/hang' || res.end('ok')) },
  });
  const wires = [];
  for (const session of ['alice', 'bob'])
    wires.push(await at.dial(session, `${at.head('GET', '/k8s/hang', session)}\r\n`));
  await until(() => at.proxy.open === 2);
  t.is(statusOf(await tooMany(at, 'alice')), 429);
  wires[0]?.socket.destroy();
  await until(() => at.proxy.open === 1);
  t.is(statusOf(await tooMany(at, 'alice')), 200);
});

test('requests that are refused count as none', async (t) => {
  await using at = await createFixture({ limits: { streamsPerSession: 1, streams: 1 } });
  for (let i = 0; i < 5; i += 1) {
    t.is(statusOf(await at.ask('alice', `${at.head('GET', '/k8s/../x', 'alice')}Connection: close\r\n\r\n`)), 400);
    t.is(statusOf(await at.ask('bob', `${at.head('GET', '/k8s/x', 'alice')}Connection: close\r\n\r\n`)), 401);
  }
  t.is(at.proxy.open, 0);
  t.is(statusOf(await tooMany(at, 'alice')), 200);
});

test('whatever way requests and upgrades end, they are counted out, and each has its line of audit', async (t) => {
  const hold = new Set<() => void>();
  await using at = await createFixture({
    limits: { streamsPerSession: 1000, streams: 1000 },
    apiServer: {
      request(req, res) {
        if (req.url?.includes('break') === true) req.socket.destroy();
        else if (req.url?.includes('half') === true) res.write('half', () => void req.socket.destroy());
        else if (req.url?.includes('hang') === true) hold.add(() => res.end());
        else if (req.url?.includes('stream') === true) res.write('stream');
        else res.end('ok');
      },
      upgrade(req, socket: Duplex) {
        socket.on('error', () => undefined);
        if (req.url?.includes('break') === true) socket.destroy();
        else if (req.url?.includes('half') === true) socket.write(switching, () => void socket.destroy());
        else if (req.url?.includes('stream') === true) socket.write(switching);
        else if (req.url?.includes('hang') === false)
          socket.end('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n');
      },
    },
    deps: {
      async token({ name }) {
        await Promise.resolve();
        if (name === 'bob') throw new Error('no token');
        return 'token';
      },
    },
  });
  const way = fc.record({
    session: fc.constantFrom('alice', 'alice', 'bob'),
    server: fc.constantFrom('ok', 'break', 'half', 'hang', 'stream'),
    isUpgrade: fc.boolean(),
    hasBody: fc.boolean(),
    caller: fc.constantFrom('waits', 'ends', 'breaks', 'cut'),
  });
  let sent = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(way, { minLength: 1, maxLength: 8 }), async (ways) => {
      const before = at.served.length;
      await Promise.all(
        ways.map(async ({ session, server, isUpgrade, hasBody, caller }) => {
          const body = hasBody && !isUpgrade ? 'Content-Length: 9\r\n' : '';
          const head = `${at.head('POST', `/k8s/${server}/${(sent += 1)}`, session)}${isUpgrade ? upgrade : ''}${body}\r\n`;
          const wire = await at.dial(session, head);
          // Half of the body, where it has one.
          if (body !== '') wire.send('half');
          if (caller === 'ends') wire.socket.end();
          if (caller === 'breaks') wire.socket.destroy();
        }),
      );
      const isHeld = (): boolean => at.served.length + at.proxy.open - before >= ways.length;
      await until(isHeld);
      at.proxy.cut('uid-of-alice', 'the session has ended');
      await until(() => at.served.length - before === ways.length);
      await until(() => at.proxy.open === 0);
    }),
    { numRuns: 40 },
  );
  t.is(at.proxy.open, 0);
  t.is(at.served.length, sent);
  const audited = at.log.filter((line) => line['audit'] === true && line['phase'] !== 'start');
  t.is(new Set(audited.map((line) => line['requestId'])).size, sent);
  t.is(audited.length, sent);
});
