import test from 'ava';
import { createTheme, type Theme } from './theme.ts';

const utf8 = { LANG: 'en_GB.UTF-8', TERM: 'xterm-256color' };
const make = (env: Record<string, string>, flag?: string, configured?: string): Theme =>
  createTheme({ env: { ...utf8, ...env }, platform: 'linux' }, flag, configured);

test('the flag comes before TKA_THEME, that before the configuration, that before auto', (t) => {
  t.is(make({ TKA_THEME: 'light' }, 'dracula', 'tokyo-night').name, 'dracula');
  t.is(make({ TKA_THEME: 'light' }, undefined, 'tokyo-night').name, 'light');
  t.is(make({}, undefined, 'tokyo-night').name, 'tokyo-night');
  t.is(make({ TKA_THEME: '' }).name, 'auto');
});

test('a theme that does not exist is a usage error from the flag and TKA_THEME, and ignored in the configuration', (t) => {
  const error = t.throws(() => make({}, 'solarised'));
  t.like(error, { message: '--theme is not a theme: "solarised"', exitCode: 2 });
  t.throws(() => make({ TKA_THEME: 'solarised' }), { message: /^TKA_THEME is not a theme/ });
  t.is(make({}, undefined, 'solarised').name, 'auto');
});

test('auto follows COLORFGBG, else the background is dark', (t) => {
  t.deepEqual(make({ COLORFGBG: '0;15' }).styles, make({}, 'light').styles);
  t.deepEqual(make({ COLORFGBG: '0;default;7' }).styles, make({}, 'light').styles);
  t.deepEqual(make({ COLORFGBG: '15;0' }).styles, make({}, 'dark').styles);
  t.deepEqual(make({}).styles, make({}, 'dark').styles);
});

const hasColour = (theme: Theme): boolean => Object.values(theme.styles).some((style) => style.color !== undefined);

test('no colour with NO_COLOR, TERM=dumb and the theme none, whatever else is asked for', (t) => {
  t.true(hasColour(make({})));
  t.true(hasColour(make({ NO_COLOR: '' })));
  t.false(hasColour(make({}, 'none')));
  t.false(hasColour(make({ NO_COLOR: '1' }, 'dracula')));
  t.false(hasColour(make({ TERM: 'dumb' })));
});

const isAscii = (theme: Theme): boolean =>
  // eslint-disable-next-line no-control-regex
  /^[\x20-\x7e]*$/.test(Object.values(theme.glyphs).flat().join(''));

test('ASCII glyphs where the locale is not UTF-8, on the Linux console, on a dumb terminal and by name', (t) => {
  t.false(isAscii(make({})));
  t.true(isAscii(make({}, 'ascii')));
  t.true(isAscii(make({ TERM: 'linux' })));
  t.true(isAscii(make({ TERM: 'dumb' })));
  for (const env of [{ LANG: 'C.UTF-8' }, { LANG: 'C.UTF-8', TERM: '' }]) {
    t.true(isAscii(createTheme({ env, platform: 'darwin' })), 'no TERM');
    t.false(hasColour(createTheme({ env, platform: 'darwin' })), 'no TERM');
  }
  t.true(isAscii(make({ LC_ALL: 'C' })));
  t.true(isAscii(createTheme({ env: {}, platform: 'linux' })));
  t.false(isAscii(make({ LANG: 'C.utf8' })));
  t.false(isAscii(createTheme({ env: { TERM: 'xterm' }, platform: 'darwin' })));
  t.true(isAscii(createTheme({ env: {}, platform: 'win32' })));
  t.false(isAscii(createTheme({ env: { WT_SESSION: 'x' }, platform: 'win32' })));
});

test('every glyph but the ellipsis is one column wide, in both sets', (t) => {
  for (const { glyphs } of [make({}), make({}, 'ascii')]) {
    const { ellipsis: _, border: __, ...columns } = glyphs;
    for (const glyph of Object.values(columns).flat()) t.is(glyph.length, 1, glyph);
  }
});
