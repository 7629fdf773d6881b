import test from 'ava';
import { createLimiter, eachAtMost, inTurns } from './turns.ts';

test('items in turns come in order, and the event loop gets a turn after each group', async (t) => {
  const seen: string[] = [];
  const work = (async () => {
    for await (const item of inTurns([1, 2, 3, 4, 5], 2)) seen.push(String(item));
  })();
  for (let turn = 0; turn < 3; turn += 1) {
    await new Promise<void>((resolve) => {
      setImmediate(resolve);
    });
    seen.push('turn');
  }
  await work;
  t.is(seen.join(' '), '1 2 turn 3 4 turn 5 turn');
});

test('no more than the limit are worked on at once, and all are worked on', async (t) => {
  let running = 0;
  let most = 0;
  let done = 0;
  await eachAtMost(3, Array.from({ length: 20 }).keys(), async () => {
    running += 1;
    most = Math.max(most, running);
    await Promise.resolve();
    running -= 1;
    done += 1;
  });
  t.deepEqual([most, done], [3, 20]);
});

test('the first failure ends the work, after the items under way', async (t) => {
  const done: number[] = [];
  await t.throwsAsync(
    eachAtMost(2, [1, 2, 3, 4], async (item) => {
      await Promise.resolve();
      if (item === 1) throw new Error('one');
      done.push(item);
    }),
    { message: 'one' },
  );
  t.deepEqual(done, [2]);
});

test('a limiter runs what it is given in order, at most so many at once, failures included', async (t) => {
  const limited = createLimiter(2);
  const started: number[] = [];
  const ends: (() => void)[] = [];
  const all = [1, 2, 3, 4].map((item) =>
    limited(async () => {
      started.push(item);
      await new Promise<void>((resolve) => ends.push(resolve));
      if (item === 1) throw new Error('one');
    }).catch(() => undefined),
  );
  await Promise.resolve();
  t.deepEqual(started, [1, 2]);
  for (let i = 0; i < 4; i += 1) {
    ends.shift()?.();
    await new Promise<void>((resolve) => {
      setImmediate(resolve);
    });
    t.true(started.length - (i + 1) <= 2);
  }
  await Promise.all(all);
  t.deepEqual(started, [1, 2, 3, 4]);

  started.length = 0;
  const later = [5, 6, 7, 8].map((item) =>
    limited(() => {
      started.push(item);
      return new Promise<void>((resolve) => ends.push(resolve));
    }),
  );
  await new Promise<void>((resolve) => {
    setImmediate(resolve);
  });
  t.deepEqual(started, [5, 6], 'the limit holds after all work has ended');
  while (started.length < 4) {
    ends.shift()?.();
    await Promise.resolve();
  }
  for (const end of ends) end();
  await Promise.all(later);
});
