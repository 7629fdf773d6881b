import test from 'ava';
import { renderToString } from 'ink';
import { keys, show, themed } from '../testing/frames.ts';
import { Choice } from './choice.tsx';

const choices = [
  { label: 'cluster-admin', hint: 'in the whole cluster, up to 8h' },
  { label: 'edit', hint: 'in dev, up to 1h' },
  { label: 'view' },
];
const noop = (): void => undefined;

const pickWith = async (t: Parameters<typeof show>[0], pressed: readonly string[]): Promise<number | 'none'> =>
  new Promise((resolve) => {
    const frames = show(
      t,
      <Choice
        question={{ title: 'Which role?' }}
        choices={choices}
        onChoose={resolve}
        onCancel={() => resolve('none')}
      />,
    );
    void frames.seen(/Which role/).then(() => frames.press(...pressed));
  });

const picks: readonly (readonly [string, readonly string[], number | 'none'])[] = [
  ['enter takes the first', [keys.enter], 0],
  ['down moves', [keys.down, keys.enter], 1],
  ['j and k move', ['j', 'j', 'k', keys.enter], 1],
  ['up from the first is the last', [keys.up, keys.enter], 2],
  ['down from the last is the first', ['j', 'j', 'j', keys.enter], 0],
  ['escape takes none', ['j', keys.escape], 'none'],
];
for (const [title, pressed, expected] of picks) {
  test(title, async (t) => t.is(await pickWith(t, pressed), expected));
}

test('keys that come at once each see what the one before them did', async (t) => {
  const chosen: number[] = [];
  const node = (
    <Choice question={{ title: 'Which role?' }} choices={choices} onChoose={(i) => chosen.push(i)} onCancel={noop} />
  );
  const frames = show(t, node);
  await frames.seen(/Which role/);
  frames.pressAtOnce(keys.down, keys.down, keys.enter);
  await frames.seen(/❯ view/);
  frames.pressAtOnce('k', keys.enter);
  await frames.seen(/❯ edit/);
  t.deepEqual(chosen, [2, 1]);
});

test('a pointer stands before the selected one, in ASCII as well', (t) => {
  const node = <Choice question={{ title: 'Which role?' }} choices={choices} onChoose={noop} onCancel={noop} />;
  t.regex(renderToString(themed(node)), /^❯ cluster-admin {2}in the whole cluster, up to 8h$/m);
  t.regex(renderToString(themed(node, 'ascii')), /^> cluster-admin/m);
});

test('a long list moves under its window and counts what is out of sight', async (t) => {
  const many = Array.from({ length: 20 }, (_, i) => ({ label: `role-${i}` }));
  const frames = show(
    t,
    <Choice question={{ title: 'Which?' }} choices={many} onChoose={noop} onCancel={noop} limit={5} />,
  );
  t.regex(await frames.seen(/role-0/), /role-4\n.*15 more/);
  await frames.press(...Array.from({ length: 10 }, () => 'j'));
  const frame = await frames.seen(/❯ role-10/);
  t.regex(frame, /8 more/);
  t.regex(frame, /7 more/);
  t.is(frame.split('\n').filter((line) => line.includes('role-')).length, 5);
});

test('no line is wider than the terminal', (t) => {
  const wide = [{ label: 'r'.repeat(80), hint: 'h'.repeat(80) }];
  const node = <Choice question={{ title: 'Which?' }} choices={wide} onChoose={noop} onCancel={noop} />;
  const frame = renderToString(themed(node), { columns: 60 });
  t.true(
    frame.split('\n').every((line) => line.length <= 60),
    frame,
  );
  t.is(frame.split('\n').length, 3);
});
