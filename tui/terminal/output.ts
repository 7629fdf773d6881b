/**
 * What people and scripts read: data on stdout, words on stderr.
 *
 * Nothing that came from a server is written without `printable`: control and format characters could otherwise drive
 * the terminal or hide text, and what looks like a command to a CI system's log could drive that. Colour is a little, and only on a terminal without NO_COLOR.
 */
import { stripVTControlCharacters, styleText } from 'node:util';
import type { Runtime } from '../runtime.ts';

/** One line, without control, format (bidirectional, zero-width) or escape characters, at most `limit` characters. */
export function printable(text: string, limit = 500): string {
  const line = stripVTControlCharacters(text)
    .replaceAll(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ')
    .replaceAll(/[\p{Cf}\p{Co}\p{Cs}]/gu, '')
    .trim()
    // GitHub obeys `::command::` where a line begins, Azure `##vso[…]` and TeamCity `##teamcity[…]` anywhere in it.
    .replace(/^::(?=[a-z-]+(?: .*)?::)/i, ': :')
    .replaceAll(/##(?=\w*\[)/g, '# #');
  return line.length > limit ? `${line.slice(0, limit)}...` : line;
}

export interface Words {
  /** A line on stderr; nothing with --quiet. */
  readonly say: (line: string) => void;
  /** A line on stderr that --quiet does not silence. */
  readonly warn: (line: string) => void;
}

export function createWords({ stderr }: Pick<Runtime, 'stderr'>, quiet: boolean): Words {
  return {
    say(line) {
      if (!quiet) stderr.write(`${line}\n`);
    },
    warn(line) {
      stderr.write(`${paint('yellow', 'warning:', stderr)} ${line}\n`);
    },
  };
}

/** `error: …`, then a line for each piece of advice. */
export function renderError(message: string, advice: readonly string[], stderr: Runtime['stderr']): string {
  const width = widthOf(stderr);
  const mark = 'error:';
  const [first = '', ...rest] = wrapWords(`${mark} ${message}`, width);
  const lines = [...rest, ...advice].flatMap((line) => wrapWords(line, width - 2));
  return [first.replace(mark, paint('red', mark, stderr)), ...lines.map((line) => `  ${line}`), ''].join('\n');
}

/** A prompt or a moving display is welcome only on a terminal, and never in CI. */
export function isInteractive(runtime: Pick<Runtime, 'env' | 'stdout' | 'stderr'>, flag: boolean | undefined): boolean {
  if (flag === true) return false;
  const ci = runtime.env['CI'];
  return (
    (ci === undefined || ci === '' || ci === 'false') && runtime.stdout.isTTY === true && runtime.stderr.isTTY === true
  );
}

/** `7h59m`, `12m`, `42s`; `0s` once it is past. */
export function formatRemaining(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor((seconds % 3600) / 60);
  if (hours > 0) return `${hours}h${String(minutes).padStart(2, '0')}m`;
  return minutes > 0 ? `${minutes}m` : `${seconds}s`;
}

/** Columns as wide as their widest cell, two spaces apart. */
export function renderTable(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) row.forEach((cell, i) => (widths[i] = Math.max(widths[i] ?? 0, cell.length)));
  return rows
    .map(
      (row) =>
        `${row
          .map((cell, i) => cell.padEnd(widths[i] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}

/** The same, without as many of the `expendable` columns, named by the first row, as do not fit into the width. */
export function renderTableWithin(
  [head = [], ...rows]: readonly (readonly string[])[],
  { width, expendable }: { readonly width: number; readonly expendable: readonly string[] },
): string {
  for (let count = 0; ; count += 1) {
    const left = new Set(expendable.slice(0, count));
    const text = renderTable([head, ...rows].map((row) => row.filter((_, i) => !left.has(head[i] ?? ''))));
    if (count === expendable.length || text.split('\n').every((line) => line.length <= width)) return text;
  }
}

/** Columns of the terminal that the stream goes to; Infinity where it goes elsewhere. */
export function widthOf({ isTTY, columns }: Runtime['stdout']): number {
  return isTTY === true && columns !== undefined && columns > 0 ? columns : Number.POSITIVE_INFINITY;
}

/** Lines that a terminal need not break inside words; a word that is too long stays whole, for copying. */
export function wrapWords(text: string, width: number): readonly string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last === undefined || last.length + 1 + word.length > width) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines;
}

function paint(color: 'red' | 'yellow', text: string, stream: Runtime['stderr']): string {
  // styleText itself honours NO_COLOR and FORCE_COLOR, but only for a stream that it can ask.
  return stream.isTTY === true ? styleText(color, text) : text;
}
