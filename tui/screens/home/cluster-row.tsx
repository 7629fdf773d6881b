/**
 * A cluster, in one row: its name, what the caller may have there and for how long, and how this machine knows it. Too narrow
 * for columns it is a line that is cut; for a screen reader, a sentence.
 */
import { Box, Text, useIsScreenReaderEnabled } from 'ink';
import type { ReactNode } from 'react';
import type { GrantedRule } from '../../../node/http/contract.ts';
import type { Cluster } from '../../discovery/index.ts';
import { nameScope } from '../../sessions/grant.ts';
import { useTheme } from '../../hooks/use-theme.ts';
import type { ClusterRow as Row } from './state.ts';
import type { Glyphs, Styles } from '../../terminal/theme.ts';
import { type Columns, cutTo, fit } from '../../components/columns.ts';

export interface ClusterRowProps {
  readonly row: Row;
  readonly isSelected: boolean;
  readonly width: number;
  /** Undefined: too narrow for them. */
  readonly columns: Columns | undefined;
}

export function ClusterRow({ row, isSelected, width, columns }: ClusterRowProps): ReactNode {
  const { styles, glyphs } = useTheme();
  const isScreenReader = useIsScreenReaderEnabled();
  const { name } = row.cluster;
  const { glyph, word, style } = standingOf(row.cluster, glyphs);
  const may = mayOf(row, glyphs);
  if (isScreenReader) {
    return (
      <Box aria-role="listitem" aria-state={{ selected: isSelected }}>
        <Text>{`Cluster ${name}, ${word}${may.text === '' ? '' : `. ${may.spoken ?? may.text}`}.`}</Text>
      </Box>
    );
  }
  const pointer = isSelected ? glyphs.pointer : ' ';
  if (columns === undefined) {
    return (
      <Text {...(isSelected ? styles.selected : {})}>
        {cutTo(`${pointer} ${name} ${glyph} ${word}${may.text === '' ? '' : ': '}${may.text}`, width, glyphs.ellipsis)}
      </Text>
    );
  }
  return (
    <Box height={1} width={columns.width} overflow="hidden">
      <Box flexShrink={0}>
        <Text {...styles.selected}>{pointer} </Text>
        <Text bold {...(isSelected ? styles.selected : {})}>
          {fit(name, columns.name, glyphs)}
        </Text>
        <Text {...styles[may.style]}> {fit(may.text, columns.may, glyphs)}</Text>
        <Text {...styles[style]}> {fit(`${glyph} ${word}`, columns.state, glyphs)}</Text>
      </Box>
    </Box>
  );
}

interface Standing {
  readonly glyph: string;
  readonly word: string;
  readonly style: keyof Styles;
}

function standingOf({ answer, trust }: Cluster, glyphs: Glyphs): Standing {
  if (answer.state === 'asking') return { glyph: glyphs.pending, word: 'asking', style: 'muted' };
  if (answer.state === 'away') return { glyph: glyphs.cross, word: 'away', style: 'danger' };
  return {
    pinned: { glyph: glyphs.tick, word: 'known', style: 'ok' as const },
    new: { glyph: glyphs.pending, word: 'new', style: 'accent' as const },
    changed: { glyph: glyphs.warning, word: 'changed', style: 'danger' as const },
    unverifiable: { glyph: '?', word: 'unverified', style: 'warning' as const },
  }[trust];
}

/** What the caller may have, or why that is not known. */
function mayOf(
  { cluster: { answer }, access }: Row,
  glyphs: Glyphs,
): { readonly text: string; readonly spoken?: string; readonly style: keyof Styles } {
  if (answer.state === 'asking') return { text: '', style: 'muted' };
  if (answer.state === 'away') return { text: answer.reason, style: 'muted' };
  if (access === undefined || access.state === 'asking')
    return { text: `asking ${glyphs.ellipsis}`, spoken: 'Loading your grants', style: 'muted' };
  if (access.state !== 'known') return { text: access.message, style: 'warning' };
  if (access.rules.length === 0)
    return { text: 'no grant', spoken: 'The policy grants you nothing there', style: 'warning' };
  const rules = access.rules.map(describeRule);
  return { text: rules.join(', '), spoken: `You may use ${rules.join('; ')}`, style: 'muted' };
}

/** `edit in dev up to 8h`. */
function describeRule({ role, namespaces, period }: GrantedRule): string {
  return `${role}${namespaces === undefined ? '' : ` in ${nameScope(namespaces, '+')}`} ${period}`;
}
