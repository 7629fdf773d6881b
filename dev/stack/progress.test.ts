import test from 'ava';
import { createProgress, elapsed } from './progress.ts';

function capture(isTTY: boolean): {
  readonly stream: Parameters<typeof createProgress>[0];
  readonly written: () => string;
} {
  let text = '';
  const write = (chunk: string | Uint8Array): boolean => {
    text += String(chunk);
    return true;
  };
  return { stream: { isTTY, columns: 40, write }, written: () => text };
}

test('without a terminal each step is plain lines with its time', (t) => {
  const { stream, written } = capture(false);
  let now = 0;
  const done = createProgress(stream, () => now).start('compiling kube');
  now = 125_000;
  done(true);
  t.is(written(), 'compiling kube ...\ncompiling kube: done in 2 min 05 s\n');
});

test('on a terminal a step leaves one line, and failure shows', (t) => {
  const { stream, written } = capture(true);
  let now = 0;
  const progress = createProgress(stream, () => now);
  const first = progress.start('one');
  const second = progress.start('two');
  now = 1500;
  first(true);
  second(false);
  // eslint-disable-next-line no-control-regex -- what is being tested is what remains after the control sequences
  t.is(written().replace(/\r\x1b\[K/g, ''), '✔ one (1.5 s)\n✘ two (1.5 s)\n');
});

test('times are readable at any length', (t) => {
  t.deepEqual([0, 9_940, 10_400, 59_400, 60_000, 605_000].map(elapsed), [
    '0.0 s',
    '9.9 s',
    '10 s',
    '59 s',
    '1 min 00 s',
    '10 min 05 s',
  ]);
});
