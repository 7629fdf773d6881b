import test from 'ava';
import { createInkInteraction } from '../hooks/ink-interaction.ts';
import { keys, show } from '../testing/frames.ts';
import { Question } from './question.tsx';

test('what was typed before the question could be read is no answer', async (t) => {
  const asked = createInkInteraction();
  // As long as this test takes, and longer.
  const frames = show(t, <Question interaction={asked} graceMs={60_000} />);
  let answered = false;
  asked.interaction
    .confirm({ title: 'Log in there?' })
    .finally(() => (answered = true))
    .catch(() => undefined);
  await frames.seen(/Log in there\?/);
  await frames.press('y', 'n', keys.enter, keys.escape);
  t.false(answered);
  t.notRegex(frames.last(), /y yes/);
});

test('after its moment a question offers its keys, and hears them', async (t) => {
  const asked = createInkInteraction();
  const frames = show(t, <Question interaction={asked} graceMs={50} />);
  const consent = asked.interaction.confirm({ title: 'Log in there?' });
  await frames.seen(/y yes/);
  await frames.press('y');
  t.true(await consent);
});

test('each question has its own moment and its own selection', async (t) => {
  const asked = createInkInteraction();
  const frames = show(t, <Question interaction={asked} graceMs={50} />);
  const first = asked.interaction.choose({ title: 'One?' }, [{ label: 'a' }, { label: 'b' }]);
  const second = asked.interaction.choose({ title: 'Two?' }, [{ label: 'c' }, { label: 'd' }]);
  await frames.seen(/One\?[^]*select/);
  await frames.press(keys.down, keys.enter);
  t.is(await first, 1);
  await frames.seen(/Two\?\n❯ c/);
  await frames.press(keys.enter);
  await frames.seen(/select/);
  await frames.press(keys.escape);
  t.is(await second, undefined);
  await frames.seen(/^\s*$/);
});
