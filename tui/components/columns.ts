/**
 * What fits into a row, by the width of the terminal. A row never wraps. As it gets narrower, first the bar shrinks and names
 * are cut, then the context goes; below 60 columns there are no columns, only cut lines.
 */
import type { Glyphs } from '../terminal/theme.ts';

export interface Columns {
  readonly width: number;
  /** Of a cluster's row. */
  readonly name: number;
  readonly may: number;
  readonly state: number;
  /** Of a session's row. */
  readonly role: number;
  readonly bar: number;
  readonly time: number;
  readonly word: number;
  /** 0: not shown. */
  readonly context: number;
}

/** The narrowest that has columns. */
export const narrowest = 60;

/** Undefined: too narrow for columns. Bars stand below what one may have. */
export function columnsFor(width: number): Columns | undefined {
  if (width < narrowest) return undefined;
  const hasContext = width >= 76;
  const name = hasContext ? Math.min(30, 20 + Math.floor((width - 76) / 4)) : 20;
  const state = 12;
  const time = 9;
  const word = 11;
  const rest = width - pointer - (name + 1) - (1 + time + 1 + word);
  const bar = hasContext ? Math.min(24, 12 + Math.floor((width - 76) / 4)) : Math.min(24, rest);
  const context = hasContext ? Math.min(40, rest - bar - 1) : 0;
  const may = width - pointer - (name + 1) - (state + 1);
  return { width, name, may, state, role: name - inset, bar, time, word, context };
}

const pointer = 2;
/** Of a session below its cluster, with its glyph. */
const inset = 4;

/** Exactly `width` columns: cut with an ellipsis, or filled with blanks. */
export function fit(text: string, width: number, { ellipsis }: Pick<Glyphs, 'ellipsis'>): string {
  const cut = cutTo(text, width, ellipsis);
  return cut + ' '.repeat(Math.max(0, width - widthOf(cut)));
}

/** At most `width` columns. */
export function cutTo(text: string, width: number, ellipsis: string): string {
  if (widthOf(text) <= width) return text;
  const room = width - widthOf(ellipsis);
  if (room <= 0) return ellipsis.slice(0, Math.max(0, width));
  let cut = '';
  for (const { segment } of graphemes.segment(text)) {
    if (widthOf(cut + segment) > room) break;
    cut += segment;
  }
  return cut.trimEnd() + ellipsis;
}

/** Lines of at most `width` columns, broken between words where that is possible. */
export function wrapLines(text: string, width: number): readonly string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    const longer = line === '' ? word : `${line} ${word}`;
    if (widthOf(longer) <= width) {
      line = longer;
      continue;
    }
    if (line !== '') lines.push(line);
    line = word;
    while (widthOf(line) > width) {
      const head = cutTo(line, Math.max(1, width), '');
      if (head === '') break;
      lines.push(head);
      line = line.slice(head.length);
    }
  }
  return line === '' && lines.length > 0 ? lines : [...lines, line];
}

/** How many columns a terminal takes for it. Names are ASCII; only what a policy calls its roles may be anything. */
export function widthOf(text: string): number {
  let width = 0;
  for (const { segment } of graphemes.segment(text)) width += wide.test(segment) ? 2 : 1;
  return width;
}

const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' });
const wide =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}|[\u{20000}-\u{3fffd}]/u;
