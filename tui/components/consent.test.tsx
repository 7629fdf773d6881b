import test from 'ava';
import { renderToString } from 'ink';
import { keys, show, themed } from '../testing/frames.ts';
import { Consent } from './consent.tsx';

const question = {
  title: 'tka has not been used before. Log in there?',
  details: ['server  http://tka', 'node    tka.tail1234.ts.net (nStable1)', 'tags    tag:tka'],
};

const answers: readonly (readonly [string, boolean])[] = [
  ['y', true],
  ['Y', true],
  ['n', false],
  [keys.enter, false],
  [keys.escape, false],
];
for (const [key, expected] of answers) {
  test(`${JSON.stringify(key)} means ${expected ? 'yes' : 'no'}`, async (t) => {
    const answer = await new Promise<boolean>((resolve) => {
      const frames = show(t, <Consent question={question} onAnswer={resolve} />);
      void frames.seen(/y yes/).then(() => frames.press(key));
    });
    t.is(answer, expected);
  });
}

test('nothing else is an answer: not another key, not something pasted that begins with y', async (t) => {
  const heard: boolean[] = [];
  const frames = show(t, <Consent question={question} onAnswer={(isConfirmed) => heard.push(isConfirmed)} />);
  await frames.press(
    'x',
    ' ',
    'yes',
    'y\r',
    '\u001B[200~y\u001B[201~',
    '\u001B[200~y\n\u001B[201~',
    '\u0019',
    '\u001By',
    keys.up,
  );
  t.deepEqual(heard, []);
});

test('the question shows everything that the answer depends on, in 60 columns as well', (t) => {
  const long = { ...question, details: [...question.details, `labels  ${'region=eu '.repeat(12)}the-end`] };
  const frame = renderToString(themed(<Consent question={long} onAnswer={() => undefined} />), { columns: 60 });
  for (const detail of question.details) t.true(frame.includes(detail), frame);
  t.true(frame.includes('the-end'), frame);
  t.true(frame.split('\n').every((line) => line.length <= 60));
});
