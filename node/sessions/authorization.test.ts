import test from 'ava';
import { annotations } from '../../crd/tkasignin.ts';
import { testSignin } from '../../reconciler/testing/signin.ts';
import { alice, hour, identity, session, setup, type World } from '../testing/authorization.ts';
import type { Identity } from '../tsnet/peer.ts';

test('a session whose grant holds stays, and open streams are checked in each pass', async (t) => {
  const world = setup(t);
  await world.passes(5);
  t.deepEqual(world.ended, []);
  t.deepEqual(world.shortened, []);
  t.deepEqual(world.asked[0], ['n1']);
});

const losses: readonly [title: string, lose: (world: World) => void, reason: RegExp][] = [
  ['the grant is lost or does not cover it', (world) => (world.periodMs = undefined), /no longer grants it/],
  ['the node key has expired', (world) => world.identities.set('n1', identity({ refusal: 'expired' })), /\(expired\)/],
  ['the node routes for others', (world) => world.identities.set('n1', identity({ refusal: 'router' })), /\(router\)/],
  [
    'the login name is another',
    (world) => world.identities.set('n1', identity({ user: { ...alice, loginName: 'carol@example.com' } })),
    /login name has changed/,
  ],
  [
    "the node is another user's",
    (world) => world.identities.set('n1', identity({ user: { ...alice, id: '2' } })),
    /another user/,
  ],
  [
    'the owner of the node is unknown',
    (world) => world.identities.set('n1', { ...identity(), user: undefined } as unknown as Identity),
    /owner of the node .* is unknown/,
  ],
];
for (const [title, lose, reason] of losses) {
  test(`a session ends when ${title}, though no hint comes, with a line of audit`, async (t) => {
    const world = setup(t);
    await world.passes(2);
    t.deepEqual(world.ended, []);
    lose(world);
    await world.passes(2);
    t.is(world.ended.length, 1);
    t.regex(world.ended[0]?.[1] ?? '', reason);
    t.like(
      world.log.find((line) => line['event'] === 'revoked'),
      { audit: true, username: 'alice@example.com' },
    );
  });
}

test('a hint makes a pass long before it is due', async (t) => {
  const world = setup(t, { everyMs: 3_600_000 });
  world.periodMs = undefined;
  world.hint();
  await world.passes(1);
  await Promise.resolve();
  t.is(world.asked.length, 1);
});

test('a storm of hints while the engine is slow makes one pass more, not one each', async (t) => {
  const release = Promise.withResolvers<void>();
  /** The clock is read whenever the next pass is put off, by a hint or by a timer that finds one under way. */
  let onPutOff = (): void => {};
  let questions = 0;
  let atOnce = 0;
  const world = setup(t, {
    everyMs: 3_600_000,
    hintDelayMs: 1,
    now() {
      onPutOff();
      return 0;
    },
    async identities() {
      questions += 1;
      atOnce += 1;
      t.is(atOnce, 1);
      await release.promise;
      atOnce -= 1;
      return new Map([['n1', identity()]]);
    },
  });
  world.hint();
  await world.passes(1);
  for (let i = 0; i < 20; i += 1) {
    for (let n = 0; n < 10; n += 1) world.hint();
    const putOff = Promise.withResolvers<void>();
    onPutOff = putOff.resolve;
    await putOff.promise;
  }
  release.resolve();
  await world.passes(1);
  t.is(questions, 2);
});

for (const [title, answer] of [
  ['is not in the answer', undefined],
  ['is unknown', identity({ refusal: 'unknown' })],
] as const) {
  test(`a node that ${title} counts as gone only after a second look, some time later`, async (t) => {
    const world = setup(t);
    world.identities.delete('n1');
    if (answer !== undefined) world.identities.set('n1', answer);
    await world.passes(5);
    // No time has passed, however many looks there were.
    t.deepEqual(world.ended, []);
    world.now += 5;
    await world.passes(2);
    t.regex(world.ended[0]?.[1] ?? '', /has left the tailnet/);
  });
}

test('a node that was missing once and is back keeps its session, and its next absence counts from the start', async (t) => {
  const world = setup(t);
  for (let i = 0; i < 3; i += 1) {
    world.identities.delete('n1');
    await world.passes(2);
    world.identities.set('n1', identity());
    await world.passes(2);
    world.now += 5;
  }
  t.deepEqual(world.ended, []);
});

test('a session without a recorded node ends like one whose node has left', async (t) => {
  const world = setup(t);
  world.sessions = [testSignin()];
  await world.passes(2);
  world.now += 5;
  await world.passes(2);
  t.is(world.ended.length, 1);
});

test('without contact with the control server sessions last until the limit, counted from the last contact', async (t) => {
  const world = setup(t);
  world.controlAwayMs = 1000;
  world.now = 5000;
  await world.passes(3);
  t.deepEqual(world.ended, []);
  world.controlAwayMs = 1001;
  await world.passes(2);
  t.deepEqual(
    world.ended.map(([, reason]) => reason),
    ['no contact with the control server for too long: its grant cannot be confirmed'],
  );
  t.like(
    world.log.find((line) => line['event'] === 'revoked'),
    { audit: true, username: 'alice@example.com' },
  );
});

test('contact that returns before the limit ends nothing, and gives the whole limit again', async (t) => {
  const world = setup(t);
  for (const away of [900, 0, 1000, 0]) {
    world.controlAwayMs = away;
    world.now += 1000;
    await world.passes(3);
  }
  t.deepEqual(world.ended, []);
});

test('what the netmap in hand takes away ends without contact too', async (t) => {
  const world = setup(t);
  world.controlAwayMs = 500;
  world.periodMs = undefined;
  await world.passes(2);
  t.regex(world.ended[0]?.[1] ?? '', /no longer grants it/);
});

test('a replica that does not lead ends nothing for want of contact', async (t) => {
  const world = setup(t, { isLeading: () => false });
  world.controlAwayMs = 100_000;
  await world.passes(3);
  t.deepEqual(world.ended, []);
});

test('while the engine is away nothing ends, but not for longer than allowed; then all do', async (t) => {
  const world = setup(t);
  world.sessions = ['a', 'b', 'c'].map((name) => session({ metadata: { name } }));
  world.isEngineAway = true;
  world.now = 900;
  await world.passes(5);
  t.deepEqual(world.ended, []);
  world.now = 1001;
  await world.passes(2);
  t.deepEqual(
    world.ended.map(([name]) => name),
    ['a', 'b', 'c'],
  );
});

test('an engine that is back in time resets the time without confirmation', async (t) => {
  const world = setup(t);
  world.isEngineAway = true;
  world.now = 900;
  await world.passes(2);
  world.isEngineAway = false;
  await world.passes(2);
  world.isEngineAway = true;
  world.now = 1800;
  await world.passes(2);
  t.deepEqual(world.ended, []);
});

test('many nodes are asked for in several questions, and each is answered for', async (t) => {
  const world = setup(t);
  const names = Array.from({ length: 250 }, (_, i) => `n${i}`);
  world.sessions = names.map((node) =>
    session({ metadata: { name: node, annotations: { [annotations.node]: node } } }),
  );
  world.identities = new Map(names.map((node) => [node, identity({ nodeId: node })]));
  world.identities.set('n249', identity({ refusal: 'expired' }));
  await world.passes(2);
  t.deepEqual(
    world.asked.slice(0, 3).map((nodes) => nodes.length),
    [100, 100, 50],
  );
  t.deepEqual(
    world.ended.map(([name]) => name),
    ['n249'],
  );
});

test('a session that cannot be ended is tried again, and keeps no other from its end', async (t) => {
  let failures = 0;
  const ended: string[] = [];
  const world = setup(t, {
    end(name) {
      if (name === 'a' && (failures += 1) < 4) return Promise.reject(new Error('the API server is away'));
      ended.push(name);
      world.sessions = world.sessions.filter((signin) => signin.metadata.name !== name);
      return Promise.resolve();
    },
  });
  world.sessions = ['a', 'b'].map((name) => session({ metadata: { name } }));
  world.periodMs = undefined;
  while (ended.length < 2) await world.passes(1);
  t.deepEqual(ended, ['b', 'a']);
  t.is(world.log.filter((line) => 'err' in line).length, 3);
});

test('open streams are checked while a session is still being ended', async (t) => {
  const world = setup(t, {
    end: (_name, _reason, signal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(new Error('too late')));
      }),
  });
  world.periodMs = undefined;
  await world.passes(1);
  t.is(world.rechecks, 1);
});

test('a session that is being removed is left alone', async (t) => {
  const world = setup(t);
  world.sessions = [session({ metadata: { deletionTimestamp: '2026-01-01T00:00:00Z' } })];
  world.periodMs = undefined;
  await world.passes(3);
  world.isEngineAway = true;
  world.now = 5000;
  await world.passes(3);
  t.deepEqual(world.ended, []);
});

test('a period that is shorter now brings the end forward, once', async (t) => {
  const world = setup(t);
  world.sessions = [session({ spec: { expiresAt: '2026-01-01T08:00:30Z' } })];
  world.periodMs = 8 * hour;
  await world.passes(3);
  t.deepEqual(world.shortened, []);
  world.periodMs = hour;
  await world.passes(5);
  t.deepEqual(world.shortened, [['alice-0123456789', '2026-01-01T01:00:30.000Z']]);
  t.deepEqual(world.ended, []);
});

test('an end that cannot be brought forward is tried again', async (t) => {
  let tries = 0;
  const world = setup(t, {
    shorten() {
      tries += 1;
      return Promise.reject(new Error('the API server is away'));
    },
  });
  world.sessions = [session({ spec: { expiresAt: '2026-01-01T08:00:30Z' } })];
  await world.passes(4);
  t.true(tries > 1);
  t.deepEqual(world.ended, []);
});
