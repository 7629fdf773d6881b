import test from 'ava';
import { createLoginLimiter } from './limits.ts';

function limiterAt(clock: { now: number }, perSubjectPerMinute = 60, totalPerMinute = 6000) {
  return createLoginLimiter({ perSubjectPerMinute, totalPerMinute }, () => clock.now);
}

test("a minute's worth passes at once, then the caller is told when the next one will", (t) => {
  const clock = { now: 0 };
  const limiter = limiterAt(clock);
  for (let i = 0; i < 60; i += 1) t.is(limiter.take('alice'), undefined);
  t.is(limiter.take('alice'), 1);
  clock.now = 999;
  t.is(limiter.take('alice'), 1);
  clock.now = 1001;
  t.is(limiter.take('alice'), undefined);
  t.is(limiter.take('alice'), 1);
});

test('a caller that waits for Retry-After gets through', (t) => {
  const clock = { now: 0 };
  const limiter = limiterAt(clock, 1);
  t.is(limiter.take('alice'), undefined);
  const seconds = limiter.take('alice');
  t.is(seconds, 60);
  clock.now += (seconds ?? 0) * 1000;
  t.is(limiter.take('alice'), undefined);
});

test('one subject out of logins leaves the others theirs', (t) => {
  const clock = { now: 0 };
  const limiter = limiterAt(clock, 2, 10);
  for (let i = 0; i < 100; i += 1) limiter.take('mallory');
  t.is(limiter.take('alice'), undefined);
});

test('the total holds for all together', (t) => {
  const clock = { now: 0 };
  const limiter = limiterAt(clock, 60, 100);
  const passed = Array.from({ length: 200 }, (_, i) => limiter.take(`user ${i}`)).filter((wait) => wait === undefined);
  t.is(passed.length, 100);
});

test('an idle minute fills no more than a minute', (t) => {
  const clock = { now: 0 };
  const limiter = limiterAt(clock, 5);
  for (let i = 0; i < 5; i += 1) limiter.take('alice');
  clock.now = 3_600_000;
  for (let i = 0; i < 5; i += 1) t.is(limiter.take('alice'), undefined);
  t.not(limiter.take('alice'), undefined);
});
