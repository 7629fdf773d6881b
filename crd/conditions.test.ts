import test from 'ava';
import { type Condition, findCondition, setCondition } from './conditions.ts';

const then = new Date('2026-01-01T00:00:00.123Z');
const later = new Date('2026-01-01T00:05:00Z');
const ready = { type: 'Ready', status: 'True', reason: 'Provisioned', message: 'x', observedGeneration: 1 } as const;

test('a new condition gets the time, in whole seconds', (t) => {
  t.deepEqual(setCondition([], ready, then), [{ ...ready, lastTransitionTime: '2026-01-01T00:00:00Z' }]);
});

test('the transition time stays while the status does, whatever else changes', (t) => {
  const before = setCondition([], ready, then);
  const after = setCondition(before, { ...ready, message: 'y', observedGeneration: 2 }, later);
  t.is(after[0]?.lastTransitionTime, '2026-01-01T00:00:00Z');
  t.is(after[0]?.message, 'y');
});

test('the transition time moves with the status', (t) => {
  const after = setCondition(setCondition([], ready, then), { ...ready, status: 'False', reason: 'Forbidden' }, later);
  t.is(after[0]?.lastTransitionTime, '2026-01-01T00:05:00Z');
  t.is(after.length, 1);
});

test('other conditions keep their place', (t) => {
  const stuck: Condition = { ...ready, type: 'CleanupStuck', lastTransitionTime: '2026-01-01T00:00:00Z' };
  const after = setCondition(setCondition([stuck], ready, then), ready, later);
  t.deepEqual(
    after.map(({ type }) => type),
    ['CleanupStuck', 'Ready'],
  );
  t.is(findCondition(after, 'CleanupStuck'), stuck);
  t.is(findCondition(undefined, 'Ready'), undefined);
});
