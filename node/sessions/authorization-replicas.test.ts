/** Continuous authorization at one of several replicas, which may hear of a grant later than another. */
import test from 'ava';
import { hour, session, setup, type World } from '../testing/authorization.ts';

const uid = '11111111-1111-4111-8111-111111111111';
const newsMs = 60_000;

const unknown: readonly [title: string, make: (world: World) => void][] = [
  ['whose grant it does not know', (world) => (world.periodMs = undefined)],
  ['whose node it does not know', (world) => world.identities.clear()],
  ['that its own rules would make shorter', (world) => (world.periodMs = hour / 4)],
];

const changes = ({ ended, shortened }: World): number => ended.length + shortened.length;

for (const [title, make] of unknown) {
  test(`a session opened elsewhere ${title} is left alone until the news must have arrived`, async (t) => {
    const world = setup(t, { newsMs });
    make(world);
    await world.passes(2);
    world.now = 1000;
    await world.passes(3);
    world.now = newsMs - 1;
    await world.passes(3);
    t.is(changes(world), 0);
    world.now = newsMs + 1001;
    await world.passes(3);
    t.is(changes(world), 1);
  });

  test(`a session opened here ${title} any more is changed at once`, async (t) => {
    const world = setup(t, { newsMs });
    world.admitted(uid);
    make(world);
    // A node that is missing is looked for twice.
    await world.passes(2);
    world.now = 1000;
    await world.passes(3);
    t.is(changes(world), 1);
  });

  test(`a session ${title} any more, though it did, is changed at once wherever it was opened`, async (t) => {
    const world = setup(t, { newsMs });
    await world.passes(2);
    make(world);
    await world.passes(2);
    world.now = 1000;
    await world.passes(3);
    t.is(changes(world), 1);
  });
}

test('news that arrives in time clears the doubt, and a later loss ends the session at once', async (t) => {
  const world = setup(t, { newsMs });
  world.periodMs = undefined;
  await world.passes(2);
  world.now = newsMs - 1;
  world.periodMs = hour;
  await world.passes(2);
  world.now = newsMs * 2;
  await world.passes(2);
  t.is(changes(world), 0);
  world.periodMs = undefined;
  await world.passes(2);
  t.is(changes(world), 1);
});

test('a replaced session of the same name is checked from the start', async (t) => {
  const world = setup(t, { newsMs });
  await world.passes(2);
  world.sessions = [];
  await world.passes(2);
  world.periodMs = undefined;
  world.sessions = [session({ metadata: { uid: '22222222-2222-4222-8222-222222222222' } })];
  await world.passes(3);
  t.is(changes(world), 0);
});

test('sessions whose grants cannot be confirmed are ended by the leader', async (t) => {
  let isLeading = false;
  const world = setup(t, { newsMs, isLeading: () => isLeading });
  world.isEngineAway = true;
  await world.passes(2);
  world.now = 5000;
  await world.passes(3);
  t.is(changes(world), 0);
  isLeading = true;
  await world.passes(2);
  t.is(changes(world), 1);
});
