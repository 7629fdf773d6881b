import test from 'ava';
import { createRefusals } from './refusals.ts';

test('a refusal counts once it was seen for 10 s without an answer between, nor a minute of silence', (t) => {
  const refusals = createRefusals();
  t.false(refusals.isLasting('view', 0));
  t.false(refusals.isLasting('view', 9_999));
  t.false(refusals.isLasting('edit', 9_999), 'each by itself');
  t.true(refusals.isLasting('view', 10_000));
  t.true(refusals.isLasting('view', 60_000));
  t.false(refusals.isLasting('view', 120_000), 'seen again after a minute');
  refusals.allowed('view');
  t.false(refusals.isLasting('view', 130_000));
  t.false(refusals.isLasting('view', 100_000), 'the clock was set back');
  t.true(refusals.isLasting('view', 110_000));
});
