import test from 'ava';
import * as fc from 'fast-check';
import { parseDurationMs } from './rules.ts';

test('a duration is the sum of its hours, minutes and seconds', (t) => {
  const amount = fc.option(fc.nat(999_999), { nil: undefined });
  fc.assert(
    fc.property(amount, amount, amount, (h, m, s) => {
      const text = `${h === undefined ? '' : `${h}h`}${m === undefined ? '' : `${m}m`}${s === undefined ? '' : `${s}s`}`;
      const ms = (((h ?? 0) * 60 + (m ?? 0)) * 60 + (s ?? 0)) * 1000;
      t.is(parseDurationMs(text), ms === 0 ? undefined : ms, text);
    }),
  );
});

for (const text of ['', 'h', '8', '8 h', '1m1h', '0h', '1.5h', '-1h', '1h ', '1234567s']) {
  test(`${JSON.stringify(text)} is no duration`, (t) => {
    t.is(parseDurationMs(text), undefined);
  });
}
