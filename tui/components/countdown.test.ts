import test from 'ava';
import { createTheme } from '../terminal/theme.ts';
import { drawBar, formatClock, levelOf, levelWords, spokenRemaining } from './countdown.ts';

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;

const levels: readonly (readonly [number, string, string, string])[] = [
  [8 * hour, 'left', '8:00:00', '8 hours left'],
  [8 * hour - 1, 'left', '8:00:00', '8 hours left'],
  [hour + minute, 'left', '1:01:00', '1 hour 1 minute left'],
  [10 * minute, 'left', '0:10:00', '10 minutes left'],
  [10 * minute - 1, 'ends soon', '0:10:00', '10 minutes left'],
  [minute, 'ends soon', '0:01:00', '1 minute left'],
  [minute - second, 'last minute', '0:00:59', 'ends in less than a minute'],
  [1, 'last minute', '0:00:01', 'ends in less than a minute'],
  [0, 'ended', '0:00:00', 'ended'],
  [-hour, 'ended', '0:00:00', 'ended'],
  [1000 * hour, 'left', '1000:00:00', '1000 hours left'],
];
for (const [ms, word, clock, spoken] of levels) {
  test(`${ms} ms: ${clock} ${word}`, (t) => {
    t.is(levelWords[levelOf(ms)], word);
    t.is(formatClock(ms), clock);
    t.is(spokenRemaining(ms), spoken);
  });
}

test('a bar is as wide as it was told, full at the whole and empty only at the end', (t) => {
  const { glyphs } = createTheme({ env: {}, platform: 'linux' }, 'ascii');
  const bar = (ms: number): string => drawBar(ms, 8 * hour, 8, glyphs);
  t.is(bar(8 * hour), '########');
  t.is(bar(9 * hour), '########');
  t.is(bar(4 * hour), '####....');
  t.is(bar(1), '#.......');
  t.is(bar(0), '........');
  t.is(drawBar(5, 0, 4, glyphs), '....');
});
