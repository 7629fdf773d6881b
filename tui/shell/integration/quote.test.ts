import test from 'ava';
import * as fc from 'fast-check';
import { type Shell, shells } from '../../flags.ts';
import { quote } from './quote.ts';
import { withShell, runShellCode } from '../../testing/real-shell.ts';

const hostile = [
  '',
  '$(touch pwned)',
  '`touch pwned`',
  "'; touch pwned; '",
  '"; touch pwned; "',
  String.raw`\'; touch pwned; \'`,
  String.raw`'\''`,
  '\\',
  '\\\\',
  "'",
  "''''",
  '!!',
  '%s%n',
  '~',
  '*',
  '-n',
  '--',
  '#',
  '$HOME',
  '{a,b}',
  '(date)',
  '‘; touch pwned; ’‚‛“”',
  // What fish uses for itself, inside.
  '\u{F600}\u{F627}\u{F5A0}\u{E000}',
  '\u{10FFFF}',
  'é⎈日本',
];
const isFit = (text: string): boolean => text.isWellFormed() && !/\p{Cc}/u.test(text);
const texts = fc.oneof(
  fc.constantFrom(...hostile),
  fc.string({ unit: fc.constantFrom(...'\'"\\`$(){}[]<>|&;!#~*?%=-‘’‚‛ ab\u{F600}'.split('')), maxLength: 12 }),
  fc.string({ unit: 'binary', maxLength: 12 }).filter(isFit),
);

/** Writes its arguments, each with a zero behind it. */
const writes: Readonly<Record<Shell, (words: string) => string>> = {
  bash: (words) => `printf '%s\\0' ${words}`,
  zsh: (words) => `printf '%s\\0' ${words}`,
  fish: (words) => `printf '%s\\0' ${words}`,
  powershell: (words) => `foreach ($word in @(${words})) { [Console]::Write("$word\`0") }`,
};

for (const shell of shells) {
  for (const locale of ['C.UTF-8', 'C']) {
    withShell(test, shell)(`${shell} takes every text as it is, in the locale ${locale}`, async (t) => {
      await fc.assert(
        fc.asyncProperty(fc.array(texts, { minLength: 20, maxLength: 60 }), async (values) => {
          const separator = shell === 'powershell' ? ', ' : ' ';
          const code = writes[shell](values.map((value) => quote(shell, value)).join(separator));
          const { stdout, stderr } = await runShellCode(shell, code, { LANG: locale, LC_ALL: locale });
          t.is(stderr, '');
          t.deepEqual(stdout, values.map((value) => `${value}\0`).join(''));
        }),
        { numRuns: 12, examples: [[[...hostile]]] },
      );
    });
  }

  test(`${shell} gets no control character and no broken text`, (t) => {
    for (const value of ['a\nb', '\r', '\u001B[2J', '\0', '\u0085', '\u007F', '\uD800', '\uDC00x']) {
      t.throws(() => quote(shell, value), { message: /not fit/ });
    }
  });
}
