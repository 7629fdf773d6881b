/**
 * A session, in one row: role and scope, what is left, the context. Too narrow for columns it is a line that is cut; for a
 * screen reader, a sentence.
 */
import { Box, Text, useIsScreenReaderEnabled } from 'ink';
import type { ReactNode } from 'react';
import { endGraceMs } from '../../api/clock-skew.ts';
import { describeScope } from '../../sessions/grant.ts';
import { useTheme } from '../../hooks/use-theme.ts';
import type { HomeSession } from './state.ts';
import type { Glyphs, Styles } from '../../terminal/theme.ts';
import { type Columns, cutTo, fit } from '../../components/columns.ts';
import { formatClock, levelOf, levelStyles, levelWords, spokenRemaining } from '../../components/countdown.ts';
import { CountdownBar } from '../../components/countdown-bar.tsx';

export interface SessionRowProps {
  readonly session: HomeSession;
  /** The server does not answer: this is its last known state. */
  readonly isStale?: boolean;
  readonly now: number;
  readonly isSelected: boolean;
  readonly width: number;
  /** Undefined: too narrow for them. */
  readonly columns: Columns | undefined;
}

export function SessionRow({ session, isStale = false, now, isSelected, width, columns }: SessionRowProps): ReactNode {
  const { styles, glyphs } = useTheme();
  const isScreenReader = useIsScreenReaderEnabled();
  const { remainingMs } = standingOf(session, now);
  if (isScreenReader) {
    return (
      <Box aria-role="listitem" aria-state={{ selected: isSelected }}>
        <Text>{sentenceOf(session, now, isStale)}</Text>
      </Box>
    );
  }
  const { glyph, style } = isStale ? ({ glyph: '?', style: 'muted' } as const) : markOf(session, now, glyphs);
  const word = isStale ? staleWord : wordOf(session, now);
  const pointer = isSelected ? glyphs.pointer : ' ';
  const role = roleOf(session);
  if (columns === undefined) {
    const left = remainingMs === undefined ? word : `${formatClock(remainingMs)} ${word}`;
    return (
      <Text {...(isSelected ? styles.selected : styles[style])}>
        {cutTo(`${pointer}   ${role} ${glyphs.separator} ${left}`, width, glyphs.ellipsis)}
      </Text>
    );
  }
  const blank = columns.bar + 1 + columns.time;
  return (
    <Box height={1} width={columns.width} overflow="hidden">
      <Box flexShrink={0}>
        <Text {...styles.selected}>{pointer} </Text>
        <Text {...styles[style]}>{`  ${glyph} `}</Text>
        <Text {...(isSelected ? styles.selected : {})}>{fit(role, columns.role, glyphs)} </Text>
        {remainingMs === undefined ? (
          <Text {...styles[style]}>{`${' '.repeat(blank)} ${word.padEnd(columns.word)}`}</Text>
        ) : (
          <CountdownBar
            remainingMs={remainingMs}
            wholeMs={session.periodMs ?? remainingMs}
            columns={columns}
            {...(isStale ? { stale: staleWord } : {})}
          />
        )}
        {columns.context > 0 && (
          <Text {...styles.muted}> {fit(contextOf(session, glyphs), columns.context, glyphs)}</Text>
        )}
      </Box>
    </Box>
  );
}

/** It is as long as `last minute`, the longest word of its column. */
const staleWord = 'last known';

/**
 * What is left of its period. The server ends a session a little after that: until then it is not over. One that is not there any
 * more is, whatever its end said.
 */
function standingOf({ state, endsAt }: HomeSession, now: number): { readonly remainingMs: number | undefined } {
  if (state === 'ended' || (endsAt !== undefined && endsAt <= now)) return { remainingMs: 0 };
  if (endsAt === undefined) return { remainingMs: undefined };
  return { remainingMs: Math.max(1, endsAt - now - endGraceMs) };
}

function markOf(
  session: HomeSession,
  now: number,
  glyphs: Glyphs,
): { readonly glyph: string; readonly style: keyof Styles } {
  if (session.state === 'provisioning') return { glyph: glyphs.pending, style: 'accent' };
  const { remainingMs } = standingOf(session, now);
  if (remainingMs === undefined) return { glyph: '?', style: 'muted' };
  const level = levelOf(remainingMs);
  const glyph = { plenty: glyphs.tick, soon: glyphs.warning, last: glyphs.warning, ended: glyphs.cross }[level];
  return { glyph, style: levelStyles[level] };
}

function wordOf(session: HomeSession, now: number): string {
  if (session.state === 'provisioning') return 'starting';
  const { remainingMs } = standingOf(session, now);
  return remainingMs === undefined ? 'unknown' : levelWords[levelOf(remainingMs)];
}

function roleOf({ role, session, namespaces }: HomeSession): string {
  if (role === undefined) return session;
  return namespaces === undefined ? role : `${role} ${describeScope(namespaces)}`;
}

/** `*` before the current one, as `kubectl config get-contexts` has it. */
function contextOf({ contexts, current }: HomeSession, { ellipsis }: Glyphs): string {
  const [first] = contexts;
  if (first === undefined) return '';
  return `${current ? '*' : ''}${first}${contexts.length > 1 ? ` ${ellipsis}` : ''}`;
}

function sentenceOf(session: HomeSession, now: number, isStale: boolean): string {
  const { role, namespaces, contexts, current, state } = session;
  const { remainingMs } = standingOf(session, now);
  const what = role === undefined ? `Session ${session.session}` : `Session as ${role} ${describeScope(namespaces)}`;
  const starting = isStale ? ', last known state' : state === 'provisioning' ? ', starting' : '';
  const left = remainingMs === undefined ? 'state unknown' : spokenRemaining(remainingMs);
  const context = contexts.length === 0 ? 'no context here' : `context ${contexts.join(', ')}`;
  return `${what}${starting}, ${left}, ${context}${current ? ', current' : ''}.`;
}
