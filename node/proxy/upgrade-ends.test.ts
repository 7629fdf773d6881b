/** How both sides of an upgraded connection end, and what a cut says. */
import test from 'ava';
import { createFixture, statusOf, turns, until } from './fixture.ts';
import { asking, openings, received, switches, switching } from './fixture-upgrades.ts';
import { serverFrame } from './frames.ts';
import { lastFrame } from './spdy.ts';

for (const how of ['end', 'destroy'] as const) {
  test(`when the caller's side goes (${how}), so does the API server's`, async (t) => {
    const { options, far } = switches();
    await using at = await createFixture(options);
    const wire = await at.dial('alice', asking(at));
    await wire.until(/101/);
    const up = received(await far);
    if (how === 'end') wire.socket.end();
    else wire.socket.resetAndDestroy();
    await up.ended;
    (await far).end();
    await until(() => at.proxy.open === 0);
    t.pass();
  });

  test(`when the API server's side goes (${how}), so does the caller's`, async (t) => {
    const { options, far } = switches();
    await using at = await createFixture(options);
    const wire = await at.dial('alice', asking(at));
    await wire.until(/101/);
    (await far)[how]();
    await wire.closed;
    await until(() => at.proxy.open === 0);
    t.pass();
  });
}

test('a caller that was refused and does not hang up is hung up on', async (t) => {
  await using at = await createFixture();
  const wire = await at.dial('alice', asking(at).replace('tka_', 'tka_x'));
  await wire.until(/\}$/);
  wire.send('unread');
  const broken = Promise.withResolvers<void>();
  wire.socket.once('close', () => broken.resolve());
  // A write tells when nobody is there any more.
  while (!wire.socket.destroyed) {
    wire.socket.write('x');
    await turns(1);
  }
  await broken.promise;
  t.pass();
});

for (const subprotocol of ['v5.channel.k8s.io', 'v4.channel.k8s.io']) {
  test(`a cut says why on the error channel of ${subprotocol}, then closes both sides`, async (t) => {
    const { options, far } = switches(switching('websocket', subprotocol));
    await using at = await createFixture(options);
    const wire = await at.dial('alice', asking(at));
    (await far).write(serverFrame('binary', Buffer.from('\x01output')));
    await wire.until(/output$/);
    const before = wire.bytes.length;
    t.is(at.proxy.cut('uid-of-alice', 'the session has ended'), 1);
    await wire.closed;
    const last = wire.bytes.subarray(before);
    t.is(last[0], 0x82);
    t.is(last[1], 126);
    const length = last.readUInt16BE(2);
    t.is(last[4], 3);
    const status = JSON.parse(last.subarray(5, 4 + length).toString()) as { message: string; code: number };
    t.deepEqual([status.code, status.message], [401, 'the session has ended']);
    t.is(last[4 + length], 0x88);
    await until(() => at.upstream[0]?.isClosed === true && at.proxy.open === 0);
  });
}

test('a cut inside a frame puts nothing into it', async (t) => {
  const { options, far } = switches();
  await using at = await createFixture(options);
  const wire = await at.dial('alice', asking(at));
  (await far).write(serverFrame('binary', Buffer.from('\x01output')).subarray(0, 5));
  await wire.until(/[^a-z]ou$/);
  at.proxy.cut('uid-of-alice', 'the session has ended');
  t.regex(await wire.closed, /[^a-z]ou$/);
  await until(() => at.upstream[0]?.isClosed === true && at.proxy.open === 0);
});

const spdyData = lastFrame(3, Buffer.from('spdy'));

test('a cut of a SPDY exec says why on the error stream, then closes both sides', async (t) => {
  const { options, far } = switches(switching('SPDY/3.1', 'v4.channel.k8s.io'));
  await using at = await createFixture(options);
  const wire = await at.dial('alice', asking(at, 'SPDY/3.1'));
  await wire.until(/101/);
  const up = received(await far);
  wire.socket.write(openings.errorThenStdin);
  await until(() => up.text() === openings.errorThenStdin.toString('latin1'));
  (await far).write(spdyData);
  await wire.until(/spdy$/);
  const before = wire.bytes.length;
  at.proxy.cut('uid-of-alice', 'the session has ended');
  await wire.closed;
  const last = wire.bytes.subarray(before);
  t.is(last.subarray(0, 5).toString('hex'), '0000000101');
  t.is(last.readUIntBE(5, 3), last.length - 8);
  const status = JSON.parse(last.subarray(8).toString()) as { status: string; message: string };
  t.like(status, { status: 'Failure', message: 'the session has ended' });
  await until(() => at.upstream[0]?.isClosed === true && at.proxy.open === 0);
});

for (const [title, { subprotocol, opening, data }] of Object.entries({
  'of another kind than exec': {
    subprotocol: 'portforward.k8s.io',
    opening: openings.errorThenStdin,
    data: spdyData,
  },
  'whose first stream is another': { subprotocol: 'v4.channel.k8s.io', opening: openings.stdout, data: spdyData },
  'inside a frame': {
    subprotocol: 'v4.channel.k8s.io',
    opening: openings.errorThenStdin,
    data: Buffer.concat([lastFrame(3, Buffer.alloc(100)).subarray(0, 20), Buffer.from('spdy')]),
  },
})) {
  test(`a cut of a SPDY stream ${title} ends both sides without a word`, async (t) => {
    const { options, far } = switches(switching('SPDY/3.1', subprotocol));
    await using at = await createFixture(options);
    const wire = await at.dial('alice', asking(at, 'SPDY/3.1'));
    await wire.until(/101/);
    const up = received(await far);
    wire.socket.write(opening);
    await until(() => up.text() === opening.toString('latin1'));
    (await far).write(data);
    await wire.until(/spdy$/);
    at.proxy.cut('uid-of-alice', 'the session has ended');
    t.regex(await wire.closed, /spdy$/);
    await until(() => at.upstream[0]?.isClosed === true && at.proxy.open === 0);
  });
}

test('nothing of the API server comes behind the last word', async (t) => {
  const { options, far } = switches();
  await using at = await createFixture(options);
  const wire = await at.dial('alice', asking(at));
  await wire.until(/101/);
  const frame = serverFrame('binary', Buffer.alloc(1000, 'z'));
  const pump = setInterval(() => void far.then((socket) => socket.write(frame)), 0);
  t.teardown(() => clearInterval(pump));
  await wire.until(/z{1000}/);
  at.proxy.cut('uid-of-alice', 'the session has ended');
  const text = await wire.closed;
  t.true(text.endsWith('the session has ended') || text.endsWith('z'));
});

test('a caller that reads nothing does not outlive a cut', async (t) => {
  const { options, far } = switches();
  await using at = await createFixture(options);
  const wire = await at.dial('alice', asking(at));
  await wire.until(/101/);
  wire.socket.pause();
  const socket = await far;
  const frame = serverFrame('binary', Buffer.alloc(60_000, 1));
  let isStalled = false;
  while (!isStalled) {
    for (let i = 0; i < 100; i += 1) isStalled = !socket.write(frame);
    isStalled &&= await Promise.race([
      new Promise<false>((resolve) => socket.once('drain', () => resolve(false))),
      turns(50).then(() => true),
    ]);
  }
  at.proxy.cut('uid-of-alice', 'the session has ended');
  await until(() => at.proxy.open === 0 && at.upstream[0]?.isClosed === true);
  t.pass();
});

test('a cut while the API server has not answered is a 401 for the caller', async (t) => {
  await using at = await createFixture({ apiServer: { raw: () => undefined } });
  const wire = await at.dial('alice', asking(at));
  await until(() => (at.upstream[0]?.bytes() ?? '').includes('\r\n\r\n'));
  at.proxy.cut('uid-of-alice', 'the session has ended');
  t.is(statusOf(await wire.closed), 401);
  await until(() => at.proxy.open === 0 && at.upstream[0]?.isClosed === true);
});
