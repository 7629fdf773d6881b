/**
 * One of several: up and down (or k and j) move, enter takes, escape takes none. A list that is longer than `limit` moves
 * under its window, and says how much is above and below it.
 */
import { Box, Text } from 'ink';
import { type ReactNode, useRef, useState } from 'react';
import { useKeys } from '../hooks/use-keys.ts';
import { useTheme } from '../hooks/use-theme.ts';
import type { Choice as Option, Question } from '../terminal/interaction.ts';

export interface ChoiceProps {
  readonly question: Question;
  readonly choices: readonly Option[];
  readonly onChoose: (index: number) => void;
  readonly onCancel: () => void;
  /** Rows of choices on the screen at once. Default: 8. */
  readonly limit?: number;
  /** Until it is, no key moves or takes, and none is offered. Default: true. */
  readonly isActive?: boolean;
}

export function Choice({ question, choices, onChoose, onCancel, limit = 8, isActive = true }: ChoiceProps): ReactNode {
  const { styles, glyphs } = useTheme();
  const [selected, setSelected] = useState(0);
  // Keys that arrive together are all handled before the next frame: each has to see the effect of the one before it.
  const at = useRef(0);
  const select = (index: number): void => {
    at.current = index;
    setSelected(index);
  };
  const move = (by: number): void => select((at.current + by + choices.length) % Math.max(1, choices.length));
  useKeys(
    (key, isAlone) => {
      if (!isActive) return;
      if (key === 'escape' && isAlone) onCancel();
      else if (key === 'enter' && isAlone && at.current < choices.length) onChoose(at.current);
      else if (key === 'up' || key === 'k') move(-1);
      else if (key === 'down' || key === 'j') move(1);
      else if (key === 'home') select(0);
      else if (key === 'end') select(Math.max(0, choices.length - 1));
    },
    // Always listening, so that the frame that offers the keys already hears them.
    { isActive: true },
  );

  const first = firstVisible(selected, choices.length, limit);
  const shown = choices.slice(first, first + limit);
  const below = choices.length - first - shown.length;
  const labelWidth = Math.min(32, Math.max(0, ...choices.map(({ label }) => label.length)));
  return (
    <Box flexDirection="column">
      <Text bold>{question.title}</Text>
      {(question.details ?? []).map((detail, i) => (
        <Text key={i}>{detail}</Text>
      ))}
      {first > 0 && (
        <Text {...styles.muted}>
          {glyphs.up} {first} more
        </Text>
      )}
      <Box flexDirection="column" aria-role="listbox">
        {shown.map(({ label, hint }, i) => {
          const isSelected = first + i === selected;
          return (
            <Box key={first + i} aria-role="option" aria-state={{ selected: isSelected }}>
              <Box width={2} flexShrink={0} aria-hidden>
                <Text {...styles.selected}>{isSelected ? glyphs.pointer : ' '}</Text>
              </Box>
              <Box width={labelWidth + 2} flexShrink={0}>
                <Text {...(isSelected ? styles.selected : {})} wrap="truncate-end">
                  {label}
                </Text>
              </Box>
              {hint !== undefined && (
                <Text {...styles.muted} wrap="truncate-end">
                  {hint}
                </Text>
              )}
            </Box>
          );
        })}
      </Box>
      {below > 0 && (
        <Text {...styles.muted}>
          {glyphs.down} {below} more
        </Text>
      )}
      <Box height={1}>
        {isActive && (
          <Text {...styles.muted}>
            <Text {...styles.accent}>enter</Text> select {glyphs.separator} <Text {...styles.accent}>esc</Text> cancel
          </Text>
        )}
      </Box>
    </Box>
  );
}

/** Keeps the selected one in the middle of the window, as far as the ends allow. */
function firstVisible(selected: number, total: number, limit: number): number {
  return Math.max(0, Math.min(selected - Math.floor(limit / 2), total - limit));
}
