/**
 * What a terminal shows, as an SVG: text with ANSI styles in, a picture out that needs no font but a monospaced one. Its own dark window
 * is readable on light and dark pages. Knows the styles that the screens use: bold, dim and the sixteen colours by name.
 */
const cell = { width: 8.4, height: 18 };
const margin = { side: 16, top: 44, bottom: 16 };
const colours: Readonly<Record<number, string>> = {
  31: '#ff7b72',
  32: '#56d364',
  33: '#e3b341',
  34: '#79c0ff',
  35: '#d2a8ff',
  36: '#56d4dd',
  90: '#8b949e',
};

interface Style {
  readonly bold: boolean;
  readonly dim: boolean;
  readonly colour: string | undefined;
}

const plain: Style = { bold: false, dim: false, colour: undefined };

export interface Shown {
  readonly title: string;
  /** Lines with ANSI styles. */
  readonly text: string;
  readonly columns: number;
}

export function terminalSvg({ title, text, columns }: Shown): string {
  const lines = text.replaceAll(/\s+$/g, '').split('\n');
  const width = Math.ceil(columns * cell.width + 2 * margin.side);
  const height = margin.top + lines.length * cell.height + margin.bottom;
  const body = lines.flatMap((line, row) => runsOf(line).flatMap((run) => textElement(run, row)));
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escape(title)}">`,
    `<title>${escape(title)}</title>`,
    `<rect width="${width}" height="${height}" rx="8" fill="#0d1117" stroke="#484f58"/>`,
    ...['#ff5f57', '#febc2e', '#28c840'].map((fill, i) => `<circle cx="${20 + i * 18}" cy="20" r="5.5" fill="${fill}"/>`),
    `<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="14" fill="#e6edf3" xml:space="preserve">`,
    ...body,
    '</g>',
    '</svg>',
    '',
  ].join('\n');
}

interface Run {
  readonly column: number;
  readonly text: string;
  readonly style: Style;
}

/** Pieces of a line of one style, without the blanks around them. */
function runsOf(line: string): readonly Run[] {
  const runs: Run[] = [];
  let style = plain;
  let column = 0;
  for (const piece of `\u001B[0m${line}`.split('\u001B[').slice(1)) {
    const [, codes = '', text = ''] = /^([\d;]*)m(.*)$/.exec(piece) ?? [];
    for (const code of codes.split(';')) style = restyled(style, Number(code));
    // A gap of two is a gap between columns; each keeps its place whatever font there is.
    for (const { 0: word, index } of text.matchAll(/\S+(?: \S+)*/g)) runs.push({ column: column + index, text: word, style });
    column += text.length;
  }
  return runs;
}

function restyled(style: Style, code: number): Style {
  if (code === 0) return plain;
  if (code === 1) return { ...style, bold: true };
  if (code === 2) return { ...style, dim: true };
  if (code === 22) return { ...style, bold: false, dim: false };
  if (code === 39) return { ...style, colour: undefined };
  const colour = colours[code];
  if (colour === undefined) throw new Error(`the picture of a terminal knows no style ${code}`);
  return { ...style, colour };
}

function textElement({ column, text, style }: Run, row: number): readonly string[] {
  const x = round(margin.side + column * cell.width);
  const y = margin.top + row * cell.height;
  const attributes = [
    ...(style.bold ? [' font-weight="bold"'] : []),
    ...(style.dim ? [' fill-opacity="0.65"'] : []),
    ...(style.colour === undefined ? [] : [` fill="${style.colour}"`]),
  ].join('');
  const length = round(text.length * cell.width);
  return [`<text x="${x}" y="${y}" textLength="${length}" lengthAdjust="spacingAndGlyphs"${attributes}>${escape(text)}</text>`];
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
