/** Sessions that end, and servers that stop, while something is open. */
import test from 'ava';
import type { ServerResponse } from 'node:http';
import { bodyOf, createFixture, type Fixture, type FixtureOptions, statusOf, turns, until } from './fixture.ts';

const over = 'the session has ended (logout): run `tka login`';
const event = '{"type":"ADDED","object":{}}\n';

/** An API server that begins every answer as told, and leaves it open. */
function begins(type: string, first: string, more: Record<string, string> = {}): FixtureOptions {
  return {
    apiServer: {
      request(_req, res) {
        res.writeHead(200, { 'content-type': type, ...more }).flushHeaders();
        if (first !== '') res.write(first);
      },
    },
  };
}

async function watch(at: Fixture, until: RegExp, path = '/k8s/api/v1/pods?watch=1') {
  const wire = await at.dial('alice', `${at.head('GET', path, 'alice')}\r\n`);
  await wire.until(until);
  return wire;
}

/** The chunks of an answer, without their frames. */
function chunksIn(text: string): string {
  return text
    .slice(text.indexOf('\r\n\r\n') + 4)
    .split('\r\n')
    .filter((_, i) => i % 2 === 1)
    .join('');
}

for (const first of ['', event, event + event]) {
  test(`a watch that is cut behind ${first.length} bytes gets an event that says why, and a whole end`, async (t) => {
    await using at = await createFixture(begins('application/json', first));
    const wire = await watch(at, first === '' ? /\r\n\r\n/ : /\}\n\r\n$/);
    t.is(at.proxy.cut('uid-of-alice', over), 1);
    const text = await wire.until(/\r\n0\r\n\r\n$/);
    const lines = chunksIn(text).split('\n');
    const last = JSON.parse(lines.at(-2) ?? '') as { type: string; object: Record<string, unknown> };
    t.deepEqual([last.type, last.object['code'], last.object['message']], ['ERROR', 401, over]);
    t.is(lines.slice(0, -2).join('\n') + (first === '' ? '' : '\n'), first);
    await until(() => at.upstream[0]?.isClosed === true && at.proxy.open === 0);
  });
}

test('a watch that is cut inside an event gets nothing into it, and breaks off', async (t) => {
  await using at = await createFixture(begins('application/json', `${event}{"type":"AD`));
  const wire = await watch(at, /AD\r\n$/);
  at.proxy.cut('uid-of-alice', over);
  t.regex(await wire.closed, /\{"type":"AD\r\n$/);
  await until(() => at.upstream[0]?.isClosed === true && at.proxy.open === 0);
});

const unspoken: readonly [title: string, path: string, type: string, first: string, more?: Record<string, string>][] = [
  ['a list in chunks', '/k8s/api/v1/pods', 'application/json', ''],
  ['a list behind a line', '/k8s/api/v1/pods', 'application/json', '{"kind":"PodList"}\n'],
  ['a followed log', '/k8s/api/v1/namespaces/a/pods/b/log?follow=true', 'text/plain', 'a line\n'],
  ['a watch in another form', '/k8s/api/v1/pods?watch=1', 'application/vnd.kubernetes.protobuf;stream=watch', 'xxxx\n'],
  [
    'a watch that is compressed',
    '/k8s/api/v1/pods?watch=1',
    'application/json',
    'xx\n',
    { 'content-encoding': 'gzip' },
  ],
];
for (const [title, path, type, first, more] of unspoken) {
  for (const how of ['cut', 'close'] as const) {
    test(`${title} that is ended (${how}) breaks off, and nothing is put into it`, async (t) => {
      await using at = await createFixture(begins(type, first, more));
      const wire = await watch(at, first === '' ? /\r\n\r\n/ : /\n\r\n$/, path);
      if (how === 'cut') at.proxy.cut('uid-of-alice', over);
      else await at.proxy.close();
      const text = await wire.closed;
      t.false(text.endsWith('0\r\n\r\n'));
      t.notRegex(text, /ERROR|ended|restarted/);
      await until(() => at.upstream[0]?.isClosed === true && at.proxy.open === 0);
    });
  }
}

test('a watch whose caller reads nothing does not outlive a cut', async (t) => {
  const asked = Promise.withResolvers<ServerResponse>();
  await using at = await createFixture({
    apiServer: {
      request(_req, res) {
        res.writeHead(200, { 'content-type': 'application/json' });
        asked.resolve(res);
      },
    },
  });
  const wire = await at.dial('alice', `${at.head('GET', '/k8s/api/v1/pods?watch=1', 'alice')}\r\n`);
  wire.socket.pause();
  const far = await asked.promise;
  const events = event.repeat(2000);
  let isStalled = false;
  while (!isStalled) {
    if (far.write(events)) continue;
    const drained = new Promise<false>((resolve) => far.once('drain', () => resolve(false)));
    isStalled = await Promise.race([drained, turns(100).then(() => true)]);
  }
  at.proxy.cut('uid-of-alice', over);
  await until(() => at.proxy.open === 0 && at.upstream[0]?.isClosed === true);
  t.pass();
});

for (const upgrade of ['', 'Connection: Upgrade\r\nUpgrade: websocket\r\n']) {
  const what = upgrade === '' ? 'a request' : 'an upgrade';
  test(`${what} that waits for its token when its session ends is a 401, and is not forwarded`, async (t) => {
    const token = Promise.withResolvers<string>();
    await using at = await createFixture({ deps: { token: () => token.promise } });
    const wire = await at.dial('alice', `${at.head('GET', '/k8s/api', 'alice')}${upgrade}\r\n`);
    await until(() => at.proxy.open === 1);
    at.proxy.cut('uid-of-alice', over);
    const text = await wire.until(/\}$/);
    t.is(statusOf(text), 401);
    t.is(bodyOf(text)['message'], over);
    t.is(at.proxy.open, 0);
    token.resolve('too late');
    await turns();
    t.is(at.upstream.length, 0);
  });

  test(`${what} whose session is gone when its token comes is a 401, though nobody has cut it`, async (t) => {
    const token = Promise.withResolvers<string>();
    await using at = await createFixture({ deps: { token: () => token.promise } });
    const wire = await at.dial('alice', `${at.head('GET', '/k8s/api', 'alice')}${upgrade}\r\n`);
    await until(() => at.proxy.open === 1);
    const session = at.sessions.get('alice');
    if (session !== undefined) at.sessions.set('alice', { ...session, uid: 'of-a-namesake' });
    token.resolve('too late');
    t.is(statusOf(await wire.until(/\}$/)), 401);
    t.is(at.upstream.length, 0);
    t.is(at.proxy.open, 0);
  });

  test(`${what} whose caller goes while it waits for its token is not forwarded`, async (t) => {
    const token = Promise.withResolvers<string>();
    await using at = await createFixture({ deps: { token: () => token.promise } });
    const wire = await at.dial('alice', `${at.head('GET', '/k8s/api', 'alice')}${upgrade}\r\n`);
    await until(() => at.proxy.open === 1);
    wire.socket.destroy();
    await until(() => at.proxy.open === 0);
    token.resolve('too late');
    await turns();
    t.is(at.upstream.length, 0);
    t.deepEqual(
      at.served.map(({ status }) => status),
      [0],
    );
  });
}

test('a token that cannot be had is an answer, and no bug is told to the caller', async (t) => {
  await using at = await createFixture({ deps: { token: () => Promise.reject(new Error('secret detail')) } });
  const text = await at.ask('alice', `${at.head('GET', '/k8s/api', 'alice')}Connection: close\r\n\r\n`);
  t.is(statusOf(text), 502);
  t.regex(String(bodyOf(text)['message']), /request-1/);
  t.notRegex(text, /secret detail/);
});

for (const body of ['', 'Content-Length: 100\r\n']) {
  test(`a request that waits for its answer when its session ends is a 401${body === '' ? '' : ', its body half sent'}`, async (t) => {
    await using at = await createFixture({ apiServer: { request: () => undefined } });
    const wire = await at.dial(
      'alice',
      `${at.head('POST', '/k8s/api', 'alice')}${body}\r\n${body === '' ? '' : 'half'}`,
    );
    await until(() => (at.upstream[0]?.bytes() ?? '').includes('\r\n\r\n'));
    at.proxy.cut('uid-of-alice', over);
    const text = await wire.until(/\}$/);
    t.is(statusOf(text), 401);
    t.is(bodyOf(text)['message'], over);
    await until(() => at.upstream[0]?.isClosed === true && at.proxy.open === 0);
  });
}

test("a cut leaves other sessions' streams alone", async (t) => {
  await using at = await createFixture(begins('application/json', event));
  const alice = await watch(at, /ADDED/);
  const bob = await at.dial('bob', `${at.head('GET', '/k8s/api/v1/pods?watch=1', 'bob')}\r\n`);
  await bob.until(/ADDED/);
  t.is(at.proxy.cut('uid-of-alice', over), 1);
  await alice.until(/ERROR/);
  t.is(at.proxy.open, 1);
  t.false(bob.isEnded);
});

const losses: readonly [title: string, lose: (at: Fixture) => void, isLost: boolean][] = [
  ['whose grant is gone', (at) => change(at, { covers: () => false }), true],
  ['whose node is somebody else now', (at) => change(at, { subject: 'another' }), true],
  ['whose session is over', (at) => void at.sessions.delete('alice'), true],
  ['about which nobody can say anything', (at) => void at.callers.delete('alice'), false],
  ['that is as it was', () => undefined, false],
];
for (const [title, lose, isLost] of losses) {
  test(`a stream ${title} ${isLost ? 'ends' : 'goes on'} at the next look`, async (t) => {
    await using at = await createFixture(begins('application/json', event));
    const wire = await watch(at, /ADDED/);
    lose(at);
    await at.proxy.recheck();
    if (isLost) {
      await wire.until(/ERROR/);
      await until(() => at.proxy.open === 0);
    } else {
      t.is(at.proxy.open, 1);
      t.false(wire.isEnded);
    }
    t.pass();
  });
}

test('a drain ends watches as the API server would, and lets a short request finish', async (t) => {
  const short = Promise.withResolvers<ServerResponse>();
  await using at = await createFixture({
    apiServer: {
      request(req, res) {
        res.setHeader('content-type', 'application/json');
        if (req.url?.includes('watch') === true) res.write(event);
        else short.resolve(res);
      },
    },
  });
  const watching = await watch(at, /\}\n\r\n$/);
  const asking = at.ask('alice', `${at.head('GET', '/k8s/api', 'alice')}Connection: close\r\n\r\n`);
  const res = await short.promise;
  at.proxy.drain();
  const text = await watching.until(/\r\n0\r\n\r\n$/);
  t.is(chunksIn(text), event);
  res.end('finished');
  t.regex(await asking, /finished$/);
});

function change(at: Fixture, to: object): void {
  const caller = at.callers.get('alice');
  if (caller !== undefined) at.callers.set('alice', { ...caller, ...to });
}
