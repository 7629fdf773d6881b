/** Shows that something is running. Hidden from screen readers: the words beside it say what runs. */
import { Text, useAnimation, useIsScreenReaderEnabled } from 'ink';
import type { ReactNode } from 'react';
import { useTheme } from '../hooks/use-theme.ts';

export function Spinner(): ReactNode {
  const { styles, glyphs } = useTheme();
  const isScreenReader = useIsScreenReaderEnabled();
  const { frame } = useAnimation({ interval: 80, isActive: !isScreenReader });
  return (
    <Text {...styles.accent} aria-hidden>
      {glyphs.spinner[frame % glyphs.spinner.length]}
    </Text>
  );
}
