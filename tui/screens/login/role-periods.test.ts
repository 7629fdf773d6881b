import test from 'ava';
import { periodsUpTo, problemOf } from './role-periods.ts';

test('the steps are below the longest period, which is the first', (t) => {
  t.deepEqual(periodsUpTo('10m'), ['10m']);
  t.deepEqual(periodsUpTo('1h'), ['1h', '30m', '10m']);
  t.deepEqual(periodsUpTo('90m'), ['90m', '1h', '30m', '10m']);
  t.is(periodsUpTo('8760h').length, 11);
  t.deepEqual(periodsUpTo('for ever'), ['for ever']);
});

test('a period is wrong by its form, or outside of what is allowed', (t) => {
  t.is(problemOf('8h', '8h'), undefined);
  t.is(problemOf('10m', '8h'), undefined);
  t.regex(problemOf('599s', '8h') ?? '', /minimum is 10m/);
  t.regex(problemOf('8h1s', '8h') ?? '', /maximum is 8h/);
  for (const text of ['', 'h', '8', '8 h', '1m1h', '0h'])
    t.regex(problemOf(text, '8h') ?? '', /Enter a duration/, text);
});
