import { stripVTControlCharacters } from 'node:util';
import test from 'ava';
import * as fc from 'fast-check';
import {
  formatRemaining,
  isInteractive,
  printable,
  renderTable,
  renderError,
  renderTableWithin,
  widthOf,
} from './output.ts';

const texts: readonly [string, string][] = [
  ['plain', 'plain'],
  ['two\r\nlines', 'two lines'],
  ['\u001B[31mred\u001B[0m', 'red'],
  ['\u001B]8;;http://evil\u0007click\u001B]8;;\u0007', 'click'],
  ['\u009B31mred', 'red'],
  ['a\u0000b\u007Fc', 'a b c'],
  ['user\u202Egnp.exe', 'usergnp.exe'],
  ['zero\u200Bwidth', 'zerowidth'],
  ['line\u2028separator', 'line separator'],
  ['Ünïcødé 日本', 'Ünïcødé 日本'],
  ['::stop-commands::x', ': :stop-commands::x'],
  ['a ##vso[task.prependpath]/tmp', 'a # #vso[task.prependpath]/tmp'],
  ['a ##teamcity[x] ##[group]', 'a # #teamcity[x] # #[group]'],
  ['::1 and a::b and ##', '::1 and a::b and ##'],
  ['x'.repeat(600), `${'x'.repeat(500)}...`],
];
for (const [text, expected] of texts) {
  test(`${JSON.stringify(text.slice(0, 30))} is shown as ${JSON.stringify(expected.slice(0, 30))}`, (t) => {
    t.is(printable(text), expected);
  });
}

test('nothing that drives a terminal is ever left', (t) => {
  const unit = fc.oneof(
    fc.constantFrom('\u001B', '[', ']', '\u009B', '\u0007', '\r', ';', 'm', '\u202E'),
    fc.string({ unit: 'binary' }),
  );
  fc.assert(
    fc.property(fc.array(unit), (parts) => {
      t.notRegex(printable(parts.join('')), /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
    }),
  );
});

const remaining: readonly [number, string][] = [
  [8 * 3_600_000, '8h00m'],
  [3_599_999, '59m'],
  [59_000, '59s'],
  [0, '0s'],
  [-5, '0s'],
];
for (const [ms, expected] of remaining) {
  test(`${ms} ms are ${expected}`, (t) => {
    t.is(formatRemaining(ms), expected);
  });
}

test('columns are as wide as their widest cell', (t) => {
  t.is(
    renderTable([
      ['A', 'B'],
      ['long', ''],
      ['', 'x'],
    ]),
    'A     B\nlong\n      x\n',
  );
});

for (const [width, expected] of [
  [Number.POSITIVE_INFINITY, 'A    B    C\none  two  three\n'],
  [15, 'A    B    C\none  two  three\n'],
  [14, 'A    C\none  three\n'],
  [4, 'C\nthree\n'],
] as const) {
  test(`of a table, what may go and does not fit into ${width} columns goes, in its order`, (t) => {
    const rows = [
      ['A', 'B', 'C'],
      ['one', 'two', 'three'],
    ];
    t.is(renderTableWithin(rows, { width, expendable: ['B', 'A'] }), expected);
  });
}

test('data is as wide as its terminal, and as wide as it likes elsewhere', (t) => {
  const write = (): boolean => true;
  t.is(widthOf({ write, isTTY: true, columns: 60 }), 60);
  t.is(widthOf({ write, isTTY: true }), Number.POSITIVE_INFINITY);
  t.is(widthOf({ write, columns: 60 }), Number.POSITIVE_INFINITY);
});

test('an error is broken between words on its terminal, and a line each elsewhere', (t) => {
  const write = (): boolean => true;
  const advice = ['Start it again.', 'See https://example.com/a/long/address'];
  t.is(
    renderError('the server is away', advice, { write }),
    'error: the server is away\n  Start it again.\n  See https://example.com/a/long/address\n',
  );
  const narrow = stripVTControlCharacters(
    renderError('the server is away', advice, { write, isTTY: true, columns: 20 }),
  );
  t.is(narrow, 'error: the server is\n  away\n  Start it again.\n  See\n  https://example.com/a/long/address\n');
});

test('a prompt is welcome only on a terminal, without the flag, and not in CI', (t) => {
  const stream = (isTTY: boolean) => ({ isTTY, write: () => true });
  const terminal = { env: {}, stdout: stream(true), stderr: stream(true) };
  t.true(isInteractive(terminal, undefined));
  t.false(isInteractive(terminal, true));
  t.false(isInteractive({ ...terminal, stdout: stream(false) }, undefined));
  t.false(isInteractive({ ...terminal, env: { CI: 'true' } }, undefined));
  t.true(isInteractive({ ...terminal, env: { CI: 'false' } }, undefined));
});
