/** The keys that do something here, as many as fit, those that matter most first; and all of them, on `?`. */
import { Box, Text } from 'ink';
import type { ReactNode } from 'react';
import { useTheme } from '../hooks/use-theme.ts';
import type { Glyphs } from '../terminal/theme.ts';

export interface HelpBarProps {
  readonly keys: readonly (readonly [key: string, does: string])[];
  readonly width: number;
}

export function HelpBar({ keys, width }: HelpBarProps): ReactNode {
  const { styles } = useTheme();
  return (
    <Text>
      {thatFit(keys, width).map(([key, does], i) => (
        <Text key={key}>
          {i === 0 ? '' : '  '}
          <Text {...styles.accent}>{key}</Text> <Text {...styles.muted}>{does}</Text>
        </Text>
      ))}
    </Text>
  );
}

/** In their own order. The last two, help and the way out, are the last to go. */
function thatFit(keys: HelpBarProps['keys'], width: number): HelpBarProps['keys'] {
  const room = (list: HelpBarProps['keys']): number =>
    list.reduce((sum, [key, does]) => sum + key.length + does.length + 3, -2);
  const shown = [...keys];
  while (shown.length > 1 && room(shown) > width) shown.splice(shown.length > 2 ? -3 : 0, 1);
  return shown;
}

export function Help({ width }: { readonly width: number }): ReactNode {
  const { styles, glyphs } = useTheme();
  return (
    <Box flexDirection="column" flexShrink={0}>
      <Text bold>Keys</Text>
      {helpOf(glyphs).map(([keys, does]) => (
        <Box key={keys} height={1} width={width} overflow="hidden">
          <Box width={16} flexShrink={0}>
            <Text {...styles.accent}>{`  ${keys}`}</Text>
          </Box>
          <Box flexShrink={0}>
            <Text>{does}</Text>
          </Box>
        </Box>
      ))}
      <Text {...styles.muted}>Any key goes back.</Text>
    </Box>
  );
}

function helpOf({ up, down }: Glyphs): readonly (readonly [string, string])[] {
  return [
    [`${up} ${down}  k j`, 'select; g first, G last'],
    ['enter', 'log in at the cluster, or renew the session'],
    ['r', 'log in with another role or duration'],
    ['n', 'renew the session'],
    ['o', 'log out of the session (a second o confirms)'],
    ['u', "switch kubectl to the session's context"],
    ['s', 'open a shell with access to this cluster'],
    ['y', 'copy the name of the context'],
    ['/', 'filter by name'],
    ['R', 'refresh'],
    ['esc', 'cancel the current action; clear the filter'],
    ['q  ctrl-c', 'quit; sessions stay active'],
  ];
}
