import test from 'ava';
import { hour, session, setup } from '../testing/authorization.ts';

test('of thousands of sessions whose grant is gone, 16 are ended at once, and passes continue meanwhile', async (t) => {
  let ending = 0;
  let most = 0;
  const ends: (() => void)[] = [];
  const world = setup(t, {
    async end(name) {
      ending += 1;
      most = Math.max(most, ending);
      await new Promise<void>((resolve) => ends.push(resolve));
      ending -= 1;
      world.ended.push([name, '']);
      world.sessions = world.sessions.filter((signin) => signin.metadata.name !== name);
    },
  });
  world.sessions = Array.from({ length: 2000 }, (_, i) => session({ metadata: { name: `s-${i}`, uid: `u-${i}` } }));
  world.periodMs = undefined;
  await world.passes(3);
  t.is(world.ended.length, 0);
  t.is(ending, 16);
  while (world.ended.length < 2000) {
    for (const end of ends.splice(0)) end();
    await world.passes(1);
  }
  t.is(most, 16);
  t.is(world.log.filter(({ event }) => event === 'revoked').length, 2000, 'each once');
});

test('a pass over thousands of sessions gives the event loop a turn after each hundred', async (t) => {
  const seen = { looks: 0, most: 0 };
  const world = setup(t, {
    everyMs: 3_600_000,
    hintDelayMs: 1,
    periodMs() {
      seen.looks += 1;
      return hour;
    },
  });
  world.sessions = Array.from({ length: 1000 }, (_, i) => session({ metadata: { name: `s-${i}` } }));
  world.hint();
  while (seen.looks < 1000) {
    const before = seen.looks;
    await new Promise<void>((resolve) => {
      setImmediate(resolve);
    });
    seen.most = Math.max(seen.most, seen.looks - before);
  }
  t.is(seen.most, 100);
});

test('a server that stops waits for the ends under way and begins no other', async (t) => {
  let begun = 0;
  let done = 0;
  const world = setup(t, {
    async end(_name, _reason, signal) {
      begun += 1;
      await new Promise<void>((resolve) => {
        signal.addEventListener('abort', () => setImmediate(resolve));
      });
      done += 1;
    },
  });
  world.sessions = Array.from({ length: 100 }, (_, i) => session({ metadata: { name: `s-${i}` } }));
  world.periodMs = undefined;
  await world.passes(2);
  await world.stop();
  t.deepEqual([begun, done], [16, 16]);
});

test('past the limit without contact an end that failed is tried again after the second look, not a whole period', async (t) => {
  let tries = 0;
  const world = setup(t, {
    everyMs: 3_600_000,
    hintDelayMs: 1,
    end() {
      tries += 1;
      return Promise.reject(new Error('the API server is away'));
    },
  });
  world.controlAwayMs = 1001;
  world.hint();
  await world.passes(4);
  t.true(tries > 1);
});
