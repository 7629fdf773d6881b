/**
 * Clusters and their sessions, one a row. A list that is longer than its room moves so that the selected row is seen, and
 * says what is above and below.
 */
import { Box, Text } from 'ink';
import type { ReactNode } from 'react';
import { useTheme } from '../../hooks/use-theme.ts';
import type { Row } from './state.ts';
import { ClusterRow } from './cluster-row.tsx';
import { type Columns, cutTo, fit } from '../../components/columns.ts';
import { SessionRow } from './session-row.tsx';

export interface ClusterListProps {
  readonly rows: readonly Row[];
  readonly selectedIndex: number;
  readonly now: number;
  readonly width: number;
  readonly columns: Columns | undefined;
  /** Lines there are; undefined: as many as it takes. */
  readonly height: number | undefined;
}

export function ClusterList({ rows, selectedIndex, now, width, columns, height }: ClusterListProps): ReactNode {
  const { styles, glyphs } = useTheme();
  const { first, count, above, below } = windowOf(rows.length, selectedIndex, height ?? rows.length);
  const more = (glyph: string, number: number): ReactNode => (
    <Text {...styles.muted}>{cutTo(`  ${glyph} ${number} more`, width, glyphs.ellipsis)}</Text>
  );
  return (
    <Box flexDirection="column" aria-role="list">
      {above > 0 && more(glyphs.up, above)}
      {rows.slice(first, first + count).map((row, i) => {
        const shown = { isSelected: first + i === selectedIndex, width, columns };
        return row.kind === 'cluster' ? (
          <ClusterRow key={row.key} row={row} {...shown} />
        ) : (
          <SessionRow key={row.key} session={row.session} isStale={row.isStale} now={now} {...shown} />
        );
      })}
      {below > 0 && more(glyphs.down, below)}
    </Box>
  );
}

/** The names of the columns. */
export function ListHead({ columns }: { readonly columns: Columns }): ReactNode {
  const { styles, glyphs } = useTheme();
  return (
    <Text {...styles.muted}>
      {`  ${fit('CLUSTER', columns.name, glyphs)} ${fit('ROLES (MAX)', columns.may, glyphs)} STATE`}
    </Text>
  );
}

/** Lines that say what is above and below take room too. */
export function windowOf(
  total: number,
  selected: number,
  height: number,
): { readonly first: number; readonly count: number; readonly above: number; readonly below: number } {
  if (total <= height) return { first: 0, count: total, above: 0, below: 0 };
  if (height < 3) {
    const first = Math.max(0, Math.min(selected, total - height));
    return { first, count: Math.max(0, height), above: 0, below: 0 };
  }
  const middle = Math.max(0, Math.min(selected - Math.floor(height / 2), total - height));
  const first = middle === 0 ? 0 : middle + 1;
  const isLast = middle + height >= total;
  const count = height - (first > 0 ? 1 : 0) - (isLast ? 0 : 1);
  return { first, count, above: first, below: total - first - count };
}
