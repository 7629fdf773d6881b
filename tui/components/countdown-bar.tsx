/**
 * What is left of a session: a bar, h:mm:ss, and a word that says what the colour says. Always as wide as its columns.
 */
import { Text } from 'ink';
import type { ReactNode } from 'react';
import { useTheme } from '../hooks/use-theme.ts';
import type { Columns } from './columns.ts';
import { drawBar, formatClock, levelOf, levelStyles, levelWords } from './countdown.ts';

export interface CountdownBarProps {
  readonly remainingMs: number;
  /** What a full bar stands for. */
  readonly wholeMs: number;
  /** In place of how urgent it is, where that is not known to be so. */
  readonly stale?: string;
  readonly columns: Pick<Columns, 'bar' | 'time' | 'word'>;
}

export function CountdownBar(props: CountdownBarProps): ReactNode {
  const { remainingMs, wholeMs, stale, columns } = props;
  const { bar, time, word } = columns;
  const { styles, glyphs } = useTheme();
  const level = levelOf(remainingMs);
  return (
    <Text {...styles[stale === undefined ? levelStyles[level] : 'muted']}>
      {drawBar(remainingMs, wholeMs, bar, glyphs)} {formatClock(remainingMs).padStart(time)}{' '}
      {(stale ?? levelWords[level]).padEnd(word)}
    </Text>
  );
}
