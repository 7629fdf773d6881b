import test, { type ExecutionContext } from 'ava';
import type { GrantedRule } from '../../../node/http/contract.ts';
import { type Frames, keys, show } from '../../testing/frames.ts';
import { type RolePick, RolePicker } from './role-picker.tsx';

const rules: readonly GrantedRule[] = [
  { role: 'cluster-admin', period: '8h', priority: 100 },
  { role: 'edit', period: '1h', priority: 50, namespaces: ['dev', 'test'] },
  { role: 'edit', period: '24h', priority: 10 },
];
// In the machine's own time zone, as people read it.
const now = (): Date => new Date(2026, 2, 1, 9, 42);

function pickFrom(t: ExecutionContext, given = rules): { frames: Frames; picked: Promise<RolePick | 'none'> } {
  const { promise, resolve } = Promise.withResolvers<RolePick | 'none'>();
  const frames = show(t, <RolePicker rules={given} now={now} onPick={resolve} onCancel={() => resolve('none')} />);
  return { frames, picked: promise };
}

test('each role is there once, with the scope and the period of the rule that holds for it', async (t) => {
  const { frames } = pickFrom(t);
  const frame = await frames.seen(/Which role/);
  t.regex(frame, /❯ cluster-admin +in the whole cluster, up to 8h/);
  t.regex(frame, /edit +in dev, test, up to 1h/);
  t.notRegex(frame, /24h/);
});

test('the longest period is the first, and is no request', async (t) => {
  const { frames, picked } = pickFrom(t);
  await frames.seen(/Which role/);
  await frames.press(keys.enter);
  await frames.seen(/For how long as cluster-admin\?\n❯ 8h +until 17:42/);
  await frames.press(keys.enter);
  t.deepEqual(await picked, { role: 'cluster-admin' });
});

test('a shorter period is one of the steps below the longest', async (t) => {
  const { frames, picked } = pickFrom(t);
  await frames.seen(/Which role/);
  await frames.press(keys.down, keys.enter);
  t.regex(await frames.seen(/as edit/), /❯ 1h .*\n {2}30m .*\n {2}10m .*\n {2}another/);
  await frames.press('j', keys.enter);
  t.deepEqual(await picked, { role: 'edit', period: '30m' });
});

test('a period can be typed, and is checked against what the rule allows', async (t) => {
  const { frames, picked } = pickFrom(t);
  await frames.seen(/Which role/);
  await frames.press(keys.enter);
  await frames.seen(/As long|For how long/);
  await frames.press(keys.up, keys.enter);
  await frames.seen(/at most 8h/);
  for (const [typed, problem] of [
    ['x', /Enter a duration such as 8h/],
    ['9h', /The maximum is 8h/],
    ['5m', /The minimum is 10m/],
  ] as const) {
    await frames.press(...typed.split(''), keys.enter);
    await frames.seen(problem);
    await frames.press(keys.backspace, keys.backspace);
  }
  frames.pressAtOnce(...'90m'.split(''), keys.enter);
  t.deepEqual(await picked, { role: 'cluster-admin', period: '90m' });
});

test('Escape goes one step back, and out from the first', async (t) => {
  const { frames, picked } = pickFrom(t);
  await frames.seen(/Which role/);
  await frames.press(keys.enter);
  await frames.seen(/For how long as/);
  await frames.press(keys.up, keys.enter);
  await frames.seen(/at most/);
  await frames.press(keys.escape);
  await frames.seen(/For how long as/);
  await frames.press(keys.escape);
  await frames.seen(/Which role/);
  await frames.press(keys.escape);
  t.is(await picked, 'none');
});

test('where rules of one role tie, the server is left to say so', async (t) => {
  const tied = [...rules, { role: 'cluster-admin', period: '1h', priority: 100, namespaces: ['dev'] }];
  const { frames, picked } = pickFrom(t, tied);
  await frames.seen(/cluster-admin +several rules tie/);
  await frames.press(keys.enter);
  t.deepEqual(await picked, { role: 'cluster-admin' });
});

test('where nothing is granted there is nothing to pick', async (t) => {
  const { frames, picked } = pickFrom(t, []);
  await frames.seen(/grants you no role/);
  await frames.press(keys.escape);
  t.is(await picked, 'none');
});
