/**
 * A question that is answered with yes or no, and where anything but `y` is no. The details are what the answer depends on:
 * they are never cut short.
 */
import { Box, Text } from 'ink';
import type { ReactNode } from 'react';
import { useKeys } from '../hooks/use-keys.ts';
import { useTheme } from '../hooks/use-theme.ts';
import type { Question } from '../terminal/interaction.ts';

export interface ConsentProps {
  readonly question: Question;
  readonly onAnswer: (isConfirmed: boolean) => void;
  /** Until it is, no key is an answer, and none is offered. Default: true. */
  readonly isActive?: boolean;
}

export function Consent({ question, onAnswer, isActive = true }: ConsentProps): ReactNode {
  const { styles, glyphs } = useTheme();
  useKeys(
    (key, isAlone) => {
      if (!isActive || !isAlone) return;
      if (key === 'y' || key === 'Y') onAnswer(true);
      else if (key === 'n' || key === 'N' || key === 'enter' || key === 'escape') onAnswer(false);
    },
    // Always listening, so that the frame that offers the keys already hears them.
    { isActive: true },
  );
  return (
    <Box flexDirection="column">
      <Text {...styles.warning}>
        {glyphs.warning} {question.title}
      </Text>
      {(question.details ?? []).map((detail, i) => (
        <Box key={i} marginLeft={2}>
          <Text>{detail}</Text>
        </Box>
      ))}
      <Box marginLeft={2} height={1}>
        {isActive && (
          <Text>
            <Text {...styles.accent}>y</Text> yes <Text {...styles.muted}>{glyphs.separator}</Text>{' '}
            <Text {...styles.accent}>n</Text> no <Text {...styles.muted}>(enter means no)</Text>
          </Text>
        )}
      </Box>
    </Box>
  );
}
