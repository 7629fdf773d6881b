import test from 'ava';
import { createInkInteraction, type Asked } from './ink-interaction.ts';

const agree = (asked: Asked | undefined, isConfirmed = true): void => {
  if (asked?.kind === 'confirm') asked.answer(isConfirmed);
};

test('questions wait for each other, and each gets its own answer', async (t) => {
  const { interaction, current } = createInkInteraction();
  const first = interaction.confirm({ title: 'one' });
  const second = interaction.choose({ title: 'two' }, [{ label: 'a' }, { label: 'b' }]);
  t.is(current()?.question.title, 'one');
  agree(current());
  t.true(await first);
  const asked = current();
  t.is(asked?.question.title, 'two');
  if (asked?.kind === 'choose') asked.answer(1);
  t.is(await second, 1);
  t.is(current(), undefined);
});

test('an answer that comes twice is not the answer to the next question', async (t) => {
  const { interaction, current } = createInkInteraction();
  const first = interaction.confirm({ title: 'one' });
  const second = interaction.confirm({ title: 'two' });
  const asked = current();
  agree(asked);
  agree(asked);
  t.true(await first);
  t.is(current()?.question.title, 'two');
  agree(current(), false);
  t.false(await second);
});

test('listeners hear of each change until they leave', async (t) => {
  const { interaction, current, subscribe } = createInkInteraction();
  const heard: (string | undefined)[] = [];
  const leave = subscribe(() => heard.push(current()?.question.title));
  const answer = interaction.confirm({ title: 'one' });
  agree(current());
  await answer;
  leave();
  interaction.confirm({ title: 'two' }).catch(() => undefined);
  t.deepEqual(heard, ['one', undefined]);
});

test('closing rejects what is asked, and what is asked later', async (t) => {
  const { interaction, current, close } = createInkInteraction();
  const reason = new Error('over');
  const asked = interaction.confirm({ title: 'one' });
  close(reason);
  t.is(await t.throwsAsync(asked), reason);
  t.is(current(), undefined);
  t.is(await t.throwsAsync(interaction.choose({ title: 'two' }, [])), reason);
});
