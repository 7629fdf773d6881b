/**
 * How the screens look: styles by meaning, and glyphs. Loads nothing, so that a line of plain output can use it as well.
 *
 * Colour is never the only signal: a word or a glyph stands beside it. Styles are props of Ink's <Text>.
 * The theme: --theme, else TKA_THEME, else the configuration file's `theme`, else auto. NO_COLOR and TERM=dumb, or no TERM,
 * take the colours out of any of them; a locale without UTF-8, TERM=linux, TERM=dumb or no TERM take the glyphs beyond ASCII.
 */
import { isDumbTerminal } from './dumb-terminal.ts';
import { usageError } from '../errors.ts';
import type { Runtime } from '../runtime.ts';

export const themeNames = ['auto', 'dark', 'light', 'none', 'ascii', 'dracula', 'tokyo-night'] as const;
export type ThemeName = (typeof themeNames)[number];

/** Props of Ink's <Text>: `<Text {...theme.styles.ok}>`. */
export interface TextStyle {
  readonly color?: string;
  readonly bold?: boolean;
  readonly dimColor?: boolean;
}

export interface Styles {
  /** What is ours: the title, keys, the running stage. */
  readonly accent: TextStyle;
  readonly ok: TextStyle;
  readonly warning: TextStyle;
  readonly danger: TextStyle;
  /** What matters less. */
  readonly muted: TextStyle;
  /** The row that the keys act on; a pointer stands before it as well. */
  readonly selected: TextStyle;
}

export interface Glyphs {
  readonly tick: string;
  readonly cross: string;
  readonly warning: string;
  readonly pointer: string;
  /** One after the other, 80 ms each. */
  readonly spinner: readonly string[];
  /** Not begun yet, in a list of stages. */
  readonly pending: string;
  readonly bullet: string;
  readonly barFull: string;
  readonly barEmpty: string;
  readonly ellipsis: string;
  /** Between two pieces of a line. */
  readonly separator: string;
  readonly up: string;
  readonly down: string;
  /** A horizontal rule. */
  readonly line: string;
  /** Ink's name for a border. */
  readonly border: 'round' | 'classic';
}

export interface Theme {
  readonly name: ThemeName;
  readonly styles: Styles;
  readonly glyphs: Glyphs;
}

/** `flag` and TKA_THEME that name no theme are usage errors; `configured` that names none counts as absent. */
export function createTheme(
  { env, platform }: Pick<Runtime, 'env' | 'platform'>,
  flag?: string,
  configured?: string,
): Theme {
  const name = parse(flag, '--theme') ?? parse(env['TKA_THEME'], 'TKA_THEME') ?? known(configured) ?? 'auto';
  const isColourless = name === 'none' || isSet(env['NO_COLOR']) || isDumbTerminal({ env, platform });
  const isPlain = name === 'ascii' || !drawsUnicode(env, platform);
  return {
    name,
    styles: isColourless ? colourless : palettes[name === 'auto' || name === 'ascii' ? background(env) : name],
    glyphs: isPlain ? asciiGlyphs : unicodeGlyphs,
  };
}

// Colours by name are the terminal's own sixteen; the others are brought down to what it has.
const dark: Styles = {
  accent: { color: 'cyan' },
  ok: { color: 'green' },
  warning: { color: 'yellow' },
  danger: { color: 'red', bold: true },
  muted: { dimColor: true },
  selected: { color: 'cyan', bold: true },
};

const colourless: Styles = {
  accent: { bold: true },
  ok: {},
  warning: { bold: true },
  danger: { bold: true },
  muted: {},
  selected: { bold: true },
};

const palettes: Readonly<Record<Exclude<ThemeName, 'auto' | 'ascii'>, Styles>> = {
  none: colourless,
  dark,
  // Yellow and cyan cannot be read on white in most terminals.
  light: { ...dark, accent: { color: 'blue' }, warning: { color: 'magenta' }, selected: { color: 'blue', bold: true } },
  dracula: {
    accent: { color: '#bd93f9' },
    ok: { color: '#50fa7b' },
    warning: { color: '#f1fa8c' },
    danger: { color: '#ff5555', bold: true },
    muted: { color: '#6272a4' },
    selected: { color: '#ff79c6', bold: true },
  },
  'tokyo-night': {
    accent: { color: '#7aa2f7' },
    ok: { color: '#9ece6a' },
    warning: { color: '#e0af68' },
    danger: { color: '#f7768e', bold: true },
    muted: { color: '#787c99' },
    selected: { color: '#bb9af7', bold: true },
  },
};

const unicodeGlyphs: Glyphs = {
  tick: '✓',
  cross: '✗',
  warning: '!',
  pointer: '❯',
  spinner: ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'],
  pending: '○',
  bullet: '•',
  barFull: '█',
  barEmpty: '░',
  ellipsis: '…',
  separator: '·',
  up: '↑',
  down: '↓',
  line: '─',
  border: 'round',
};

const asciiGlyphs: Glyphs = {
  tick: '+',
  cross: 'x',
  warning: '!',
  pointer: '>',
  spinner: ['|', '/', '-', '\\'],
  pending: '.',
  bullet: '*',
  barFull: '#',
  barEmpty: '.',
  ellipsis: '...',
  separator: '-',
  up: '^',
  down: 'v',
  line: '-',
  border: 'classic',
};

/** COLORFGBG is `foreground;background`, or with a third number in between, as rxvt and Konsole set it. */
function background(env: Runtime['env']): 'dark' | 'light' {
  const colour = env['COLORFGBG']?.split(';').at(-1);
  return colour === '7' || colour === '15' ? 'light' : 'dark';
}

function drawsUnicode(env: Runtime['env'], platform: NodeJS.Platform): boolean {
  if (env['TERM'] === 'linux' || isDumbTerminal({ env, platform })) return false;
  const locale = [env['LC_ALL'], env['LC_CTYPE'], env['LANG']].find(isSet);
  if (locale !== undefined) return /utf-?8/i.test(locale);
  // Windows has no such variables, and its old console no such glyphs; macOS is UTF-8 throughout.
  return platform === 'darwin' || (platform === 'win32' && (isSet(env['WT_SESSION']) || isSet(env['TERM_PROGRAM'])));
}

function parse(text: string | undefined, source: string): ThemeName | undefined {
  if (!isSet(text)) return undefined;
  const name = known(text);
  if (name === undefined)
    throw usageError(`${source} is not a theme: ${JSON.stringify(text)}`, [`There are ${themeNames.join(', ')}.`]);
  return name;
}

function known(text: string | undefined): ThemeName | undefined {
  return themeNames.find((name) => name === text);
}

function isSet(text: string | undefined): text is string {
  return text !== undefined && text !== '';
}
