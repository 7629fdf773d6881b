/** What the list is filtered by, and where it is typed. */
import { Text } from 'ink';
import type { ReactNode } from 'react';
import { useTheme } from '../hooks/use-theme.ts';
import { cutTo } from './columns.ts';

export interface FilterInputProps {
  readonly filter: string;
  readonly isTyping: boolean;
  readonly width: number;
}

export function FilterInput({ filter, isTyping, width }: FilterInputProps): ReactNode {
  const { styles, glyphs } = useTheme();
  const hint = isTyping ? 'enter apply, esc clear' : 'esc clear';
  return (
    <Text>
      <Text {...styles.accent}>/</Text>
      {cutTo(filter, Math.max(1, width - hint.length - 4), glyphs.ellipsis)}
      {isTyping && <Text inverse> </Text>}
      <Text {...styles.muted}>{`  ${hint}`}</Text>
    </Text>
  );
}
