/**
 * What happened, or what is asked: a glyph and a text, and lines of advice below it. Its height is known before it is drawn
 * (`linesOf`), so that the list beside it knows its own.
 */
import { Box, Text, useIsScreenReaderEnabled } from 'ink';
import type { ReactNode } from 'react';
import { useTheme } from '../../hooks/use-theme.ts';
import type { Notice } from './state.ts';
import type { Glyphs, Styles } from '../../terminal/theme.ts';
import { wrapLines } from '../../components/columns.ts';

export interface MessageProps {
  readonly notice: Notice;
  readonly width: number;
}

export function Message({ notice, width }: MessageProps): ReactNode {
  const { styles, glyphs } = useTheme();
  const isScreenReader = useIsScreenReaderEnabled();
  const { tone, text, advice } = notice;
  const [first = '', ...rest] = wrapLines(text, width - 2);
  return (
    <Box flexDirection="column" flexShrink={0}>
      <Text {...styles[tone]}>
        {isScreenReader ? words[tone] : glyphOf(tone, glyphs)} {first}
      </Text>
      {rest.map((line, i) => (
        <Text key={i} {...styles[tone]}>{`  ${line}`}</Text>
      ))}
      {advice.flatMap((line, i) =>
        wrapLines(line, width - 2).map((part, j) => <Text key={`${i} ${j}`}>{`  ${part}`}</Text>),
      )}
    </Box>
  );
}

/** How many lines a message takes. */
export function linesOf({ text, advice }: Notice, width: number): number {
  return [text, ...advice].reduce((sum, line) => sum + wrapLines(line, width - 2).length, 0);
}

const words: Readonly<Record<Notice['tone'], string>> = { ok: 'Done:', warning: 'Note:', danger: 'Error:' };

function glyphOf(tone: Notice['tone'] & keyof Styles, glyphs: Glyphs): string {
  return { ok: glyphs.tick, warning: glyphs.warning, danger: glyphs.cross }[tone];
}
