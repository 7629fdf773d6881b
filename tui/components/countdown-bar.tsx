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
  readonly columns: Pick<Columns, 'bar' | 'time' | 'word'>;
}

export function CountdownBar({ remainingMs, wholeMs, columns: { bar, time, word } }: CountdownBarProps): ReactNode {
  const { styles, glyphs } = useTheme();
  const level = levelOf(remainingMs);
  return (
    <Text {...styles[levelStyles[level]]}>
      {drawBar(remainingMs, wholeMs, bar, glyphs)} {formatClock(remainingMs).padStart(time)}{' '}
      {levelWords[level].padEnd(word)}
    </Text>
  );
}
