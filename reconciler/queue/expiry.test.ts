import test from 'ava';
import * as fc from 'fast-check';
import { maxTimerMs } from '../clock.ts';
import { Expiry } from './expiry.ts';
import { manualClock } from '../testing/manual-clock.ts';

function start() {
  const clock = manualClock(0);
  const due: [string, number][] = [];
  const expiry = new Expiry({ clock, onDue: (name) => due.push([name, clock.now()]) });
  return { clock, due, expiry };
}

test('each end is due at its time, in whatever order they were added', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 0, max: 1000 }), { maxLength: 40 }), async (ends) => {
      const { clock, due, expiry } = start();
      ends.forEach((at, index) => expiry.add(String(index), at));
      await clock.advance(1000);
      const told = due.map(([, at]) => at);
      t.deepEqual(
        told,
        [...ends].sort((a, b) => a - b),
      );
      t.deepEqual(due.map(([name]) => name).sort(), ends.map((_, index) => String(index)).sort());
    }),
    { numRuns: 50 },
  );
});

test('no end is due early, and an end in the past is due at once', async (t) => {
  const { clock, due, expiry } = start();
  expiry.add('later', 500);
  expiry.add('past', -1000);
  await clock.advance(499);
  t.deepEqual(due, [['past', 0]]);
  await clock.advance(1);
  t.is(due.length, 2);
});

test('an end beyond the longest timer does not fire at once, and does fire', async (t) => {
  const { clock, due, expiry } = start();
  const at = maxTimerMs + 5000;
  expiry.add('far', at);
  await clock.advance(maxTimerMs + 4999);
  t.deepEqual(due, []);
  await clock.advance(1);
  t.deepEqual(due, [['far', at]]);
});

test('a rebuild drops old entries, and one timer is armed for any number of ends', async (t) => {
  const { clock, due, expiry } = start();
  for (let i = 0; i < 100; i += 1) expiry.add('old', 100 + i);
  expiry.rebuild([
    { name: 'b', at: 300 },
    { name: 'a', at: 200 },
  ]);
  t.is(clock.timers, 1);
  t.is(expiry.next, 200);
  await clock.advance(1000);
  t.deepEqual(due, [
    ['a', 200],
    ['b', 300],
  ]);
  t.is(clock.timers, 0);
});

test('an end that comes before the first is armed for', async (t) => {
  const { clock, due, expiry } = start();
  expiry.add('b', 500);
  expiry.add('a', 100);
  await clock.advance(100);
  t.deepEqual(due, [['a', 100]]);
});

test('nothing fires after stop', async (t) => {
  const { clock, due, expiry } = start();
  expiry.add('a', 100);
  expiry.stop();
  await clock.advance(1000);
  t.deepEqual(due, []);
});

test('a session ends within 5 s after the clock was set past its end', async (t) => {
  const { clock, due, expiry } = start();
  expiry.add('a', 3_600_000);
  await clock.advance(60_000);
  clock.jump(3_600_000);
  await clock.advance(5000);
  t.deepEqual(
    due.map(([name]) => name),
    ['a'],
  );
});

test('a session does not end early where the clock was set back', async (t) => {
  const { clock, due, expiry } = start();
  expiry.add('a', 60_000);
  await clock.advance(30_000);
  clock.jump(-300_000);
  await clock.advance(320_000);
  t.deepEqual(due, []);
  await clock.advance(12_000);
  t.is(due.length, 1);
});
