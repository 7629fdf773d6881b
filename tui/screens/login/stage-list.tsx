/**
 * The stages of a login, one a row: how it stands (a glyph, and a word for screen readers), its title, its time, what it
 * found. At the end what was found is there in full, in several rows where it is long. Until then it is cut to what fits into
 * 60 columns: a terminal that gets narrower breaks lines that are longer, and then the start of the list is unknown.
 */
import { Box, Text, useAnimation, useIsScreenReaderEnabled } from 'ink';
import type { ReactNode } from 'react';
import { useTheme } from '../../hooks/use-theme.ts';
import { printable } from '../../terminal/output.ts';
import { cutTo } from '../../components/columns.ts';
import type { StageProgress } from './run.ts';
import { formatTook, stageTitles, stateWords } from './words.ts';
import type { Styles } from '../../terminal/theme.ts';

export interface StageListProps {
  readonly stages: readonly StageProgress[];
  readonly now: () => Date;
  /** Stops all animation, for example while a question waits for its answer. */
  readonly isStill?: boolean;
  readonly isOver?: boolean;
}

const titleWidth = 17;
const timeWidth = 8;
const liveDetailWidth = 60 - (2 + titleWidth + timeWidth + 2);

const stateStyles: Readonly<Record<StageProgress['state'], keyof Styles>> = {
  waiting: 'muted',
  running: 'accent',
  done: 'ok',
  failed: 'danger',
  stopped: 'warning',
};

export function StageList({ stages, now, isStill = false, isOver = false }: StageListProps): ReactNode {
  return (
    <Box flexDirection="column">
      {stages.map((one) =>
        one.state === 'running' && !isStill ? (
          <RunningStage key={one.stage} stage={one} now={now} />
        ) : (
          <StageRow key={one.stage} stage={one} isOver={isOver} />
        ),
      )}
    </Box>
  );
}

/** Moves by itself; a screen reader hears only what changes. */
function RunningStage({ stage, now }: { readonly stage: StageProgress; readonly now: () => Date }): ReactNode {
  const { glyphs } = useTheme();
  const isScreenReader = useIsScreenReaderEnabled();
  const { frame } = useAnimation({ interval: 80, isActive: !isScreenReader });
  const spentMs = stage.startedAt === undefined ? 0 : now().getTime() - stage.startedAt;
  // What is done in no time need not show a time that runs.
  const spent = isScreenReader || spentMs < 1000 ? {} : { tookMs: spentMs };
  return <StageRow stage={{ ...stage, ...spent }} glyph={glyphs.spinner[frame % glyphs.spinner.length]} />;
}

interface StageRowProps {
  readonly stage: StageProgress;
  readonly glyph?: string | undefined;
  readonly isOver?: boolean;
}

function StageRow({ stage, glyph, isOver = false }: StageRowProps): ReactNode {
  const { styles, glyphs } = useTheme();
  const { state, detail = '', tookMs } = stage;
  const found = isOver ? printable(detail, 160) : cutTo(printable(detail), liveDetailWidth, glyphs.ellipsis);
  const byState = {
    waiting: glyphs.pending,
    running: glyphs.bullet,
    done: glyphs.tick,
    failed: glyphs.cross,
    stopped: glyphs.cross,
  };
  return (
    <Box>
      <Box width={2} flexShrink={0}>
        <Text {...styles[stateStyles[state]]} aria-label={`${stateWords[state]}:`}>
          {glyph ?? byState[state]}
        </Text>
      </Box>
      <Box width={titleWidth} flexShrink={0}>
        <Text {...(state === 'waiting' ? styles.muted : {})}>{stageTitles[stage.stage]}</Text>
      </Box>
      <Box width={timeWidth} flexShrink={0} justifyContent="flex-end" marginRight={2}>
        <Text {...styles.muted}>{tookMs === undefined ? '' : formatTook(tookMs)}</Text>
      </Box>
      <Box flexShrink={1}>
        <Text {...styles.muted}>{state === 'stopped' ? 'stopped' : found}</Text>
      </Box>
    </Box>
  );
}
