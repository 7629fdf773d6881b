/** Whose bytes travel on which connection to the API server: a session's own, and never after an exchange that was not whole. */
import test from 'ava';
import * as fc from 'fast-check';
import { createFixture, type Fixture, serviceAccountToken, statusOf, until } from './fixture.ts';

const get = (at: Fixture, session: string, path: string): string => `${at.head('GET', path, session)}\r\n`;

async function answered(at: Fixture, session: string, path: string): Promise<string> {
  return await at.ask(session, `${at.head('GET', path, session)}Connection: close\r\n\r\n`);
}

test('the connections of one session are never used for another', async (t) => {
  await using at = await createFixture();
  for (let i = 0; i < 6; i += 1) {
    const session = i % 2 === 0 ? 'alice' : 'bob';
    t.is(statusOf(await answered(at, session, `/k8s/${i}`)), 200);
  }
  t.is(at.upstream.length, 2);
  const tokensOn = at.upstream.map((connection) => new Set(connection.bytes().match(/Bearer \S+/g)));
  t.deepEqual(
    tokensOn.map((tokens) => [...tokens]),
    [[`Bearer ${serviceAccountToken('alice')}`], [`Bearer ${serviceAccountToken('bob')}`]],
  );
});

test('a session that comes back under its name does not get the connections of the one before', async (t) => {
  await using at = await createFixture();
  await answered(at, 'alice', '/k8s/first');
  const session = at.sessions.get('alice');
  at.proxy.cut('uid-of-alice', 'the session has ended');
  if (session !== undefined) at.sessions.set('alice', { ...session, uid: 'another-uid' });
  await answered(at, 'alice', '/k8s/second');
  t.is(at.upstream.length, 2);
  await until(() => at.upstream[0]?.isClosed === true);
});

/** What leaves a connection in a state that nobody should trust, seen from the caller or the API server. */
const spoilers: readonly [title: string, spoil: (at: Fixture) => Promise<void>][] = [
  [
    'a caller that went before the answer',
    async (at) => {
      const wire = await at.dial('alice', get(at, 'alice', '/k8s/silent'));
      await until(() => at.upstream.some((connection) => connection.bytes().includes('/silent')));
      wire.socket.destroy();
    },
  ],
  [
    'a caller that went in the middle of the answer',
    async (at) => {
      const wire = await at.dial('alice', get(at, 'alice', '/k8s/endless'));
      await wire.until(/endless/);
      wire.socket.destroy();
    },
  ],
  [
    'a body that broke off',
    async (at) => {
      const wire = await at.dial('alice', `${at.head('POST', '/k8s/sink', 'alice')}Content-Length: 100\r\n\r\nhalf`);
      await until(() => at.upstream.some((connection) => connection.bytes().endsWith('half')));
      wire.socket.destroy();
    },
  ],
  [
    'a chunk that broke off',
    async (at) => {
      const wire = await at.dial(
        'alice',
        `${at.head('POST', '/k8s/sink', 'alice')}Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n`,
      );
      await until(() => at.upstream.some((connection) => connection.bytes().includes('half')));
      wire.send('rubbish\r\n');
      await wire.closed;
    },
  ],
  [
    'an answer before the whole body',
    async (at) => {
      const wire = await at.dial('alice', `${at.head('POST', '/k8s/early', 'alice')}Content-Length: 100\r\n\r\nhalf`);
      await wire.until(/early/);
    },
  ],
  [
    'a cut stream',
    async (at) => {
      const wire = await at.dial('alice', get(at, 'alice', '/k8s/endless'));
      await wire.until(/endless/);
      await at.proxy.recheck();
      at.callers.set('alice-before', at.callers.get('alice') ?? never());
      at.callers.delete('alice');
      at.callers.set('alice', { ...(at.callers.get('alice-before') ?? never()), covers: () => false });
      await at.proxy.recheck();
      await wire.closed;
      at.callers.set('alice', at.callers.get('alice-before') ?? never());
    },
  ],
];
for (const [title, spoil] of spoilers) {
  test(`a connection is never used again after ${title}`, async (t) => {
    await using at = await createFixture({
      apiServer: {
        request(req, res) {
          if (req.url === '/early') res.end('early');
          else if (req.url === '/endless') res.write('endless');
          else if (req.url === '/after') res.end('after');
        },
      },
    });
    await spoil(at);
    await until(() => at.upstream[0]?.isClosed === true);
    t.is(statusOf(await answered(at, 'alice', '/k8s/after')), 200);
    t.is(at.upstream.length, 2);
    t.false(at.upstream[0]?.bytes().includes('/after'));
    t.true(at.upstream[1]?.bytes().startsWith('GET /after '));
  });
}

test('bytes that the API server sends unasked answer no request', async (t) => {
  await using at = await createFixture({
    apiServer: {
      raw: (socket) =>
        void socket.on('data', () => {
          socket.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst');
          socket.write('HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nsmuggled');
        }),
    },
  });
  const first = await answered(at, 'alice', '/k8s/first');
  const second = await answered(at, 'alice', '/k8s/second');
  t.regex(first, /first$/);
  t.regex(second, /first$/);
});

test('whatever two sessions do at once, each answer is its own', async (t) => {
  await using at = await createFixture({
    apiServer: {
      request(req, res) {
        const body = `${req.headers.authorization ?? ''} ${req.url ?? ''}`;
        if (req.url?.startsWith('/early') !== true) req.resume();
        // The answer's size differs, so that a shifted one would not fit.
        res.end(`${body} ${'x'.repeat((body.length * 7919) % 3000)}`);
      },
    },
  });
  const step = fc.record({
    session: fc.constantFrom('alice', 'bob'),
    kind: fc.constantFrom('get', 'post', 'early', 'gone'),
  });
  let requests = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 12 }), async (steps) => {
      await Promise.all(
        steps.map(async ({ session, kind }) => {
          const path = `/${kind}/${(requests += 1)}`;
          const body = kind === 'post' || kind === 'early' ? 'x'.repeat(20_000) : '';
          const length = body === '' ? '' : `Content-Length: ${body.length}\r\n`;
          const text = `${at.head(body === '' ? 'GET' : 'POST', `/k8s${path}`, session)}Connection: close\r\n${length}\r\n${body}`;
          if (kind === 'gone') {
            (await at.dial(session, text)).socket.destroy();
            return;
          }
          t.regex(await at.ask(session, text), new RegExp(`Bearer ${serviceAccountToken(session)} ${path} `));
        }),
      );
    }),
    { numRuns: 20 },
  );
  for (const connection of at.upstream) t.true(new Set(connection.bytes().match(/Bearer \S+/g)).size <= 1);
});

function never(): never {
  throw new Error('there is always alice');
}
