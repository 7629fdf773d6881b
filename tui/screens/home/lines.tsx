/** The single lines of the home screen: the title, the running action, the selection. */
import { Box, Text } from 'ink';
import type { ReactNode } from 'react';
import { cutTo, widthOf } from '../../components/columns.ts';
import { counted } from '../../components/countdown.ts';
import { Spinner } from '../../components/spinner.tsx';
import { useTheme } from '../../hooks/use-theme.ts';
import { type Action, type HomeState, isLive, type Row, sessionsOf } from './state.ts';
import { busyText, detailOf, whoIs } from './words.ts';

interface LineProps {
  readonly width: number;
}

/** Who is there, and how much; as long as it searches, that it does. */
export function Title({ state, width }: LineProps & { readonly state: HomeState }): ReactNode {
  const { styles, glyphs } = useTheme();
  const sessions = Object.values(state.access).flatMap(sessionsOf).filter(isLive);
  const counts = `${counted(state.clusters.length, 'cluster')}, ${counted(sessions.length, 'session')}`;
  const who = whoIs(state);
  const room = width - counts.length - 10;
  const left = who === undefined ? '' : ` ${glyphs.separator} ${cutTo(who, Math.max(0, room), glyphs.ellipsis)}`;
  return (
    <Box flexDirection="column" flexShrink={0} marginBottom={1}>
      <Box height={1} width={width} justifyContent="space-between" overflow="hidden">
        <Text>
          <Text bold {...styles.accent}>
            tka
          </Text>
          {width < 3 + widthOf(left) + counts.length ? '' : left}
        </Text>
        {state.searching ? (
          <Text>
            <Spinner /> {state.clusters.length === 0 ? '' : `${counts}, `}looking {glyphs.ellipsis}
          </Text>
        ) : (
          <Text {...styles.muted}>{counts}</Text>
        )}
      </Box>
    </Box>
  );
}

export function Busy({ action, width }: LineProps & { readonly action: Action }): ReactNode {
  const { styles, glyphs } = useTheme();
  const hint = action.stopping ? '' : '  esc cancel';
  return (
    <Text>
      <Spinner /> {cutTo(`${busyText(action)} ${glyphs.ellipsis}`, width - hint.length - 3, glyphs.ellipsis)}
      <Text {...styles.muted}>{hint}</Text>
    </Text>
  );
}

export function Detail({
  row,
  width,
  now,
}: LineProps & { readonly row: Row | undefined; readonly now: number }): ReactNode {
  const { styles, glyphs } = useTheme();
  if (row === undefined) return null;
  return (
    <Text {...styles.muted}>{cutTo(detailOf(row, now).join(` ${glyphs.separator} `), width, glyphs.ellipsis)}</Text>
  );
}
