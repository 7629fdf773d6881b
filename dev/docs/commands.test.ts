/** Whatever the documentation has people type at tka is declared: no command and no flag that is not there. */
import test from 'ava';
import type { Command } from 'commander';
import { flagSettings } from '../../node/config/index.ts';
import { declareForHelp } from '../../tui/testing/help-text.ts';
import type { Page } from './markdown.ts';
import { readPages } from './markdown.ts';

const { root: tka } = declareForHelp();
/** Subcommands of tka-server with the flags that are theirs alone; all but `version` take the settings too. */
const server: Readonly<Record<string, readonly string[]>> = {
  serve: [],
  config: ['-o', '--output'],
  legacy: ['--remove'],
  'rotate-key': [],
  version: [],
};
const serverFlags = new Set(['-c', '--config', '--debug', '--help', ...flagSettings().flatMap(({ names }) => names)]);

/** Lines that are typed: of shell blocks, without comments, and code that begins like a command. */
function typed({ blocks, code }: Page): readonly string[] {
  const lines = blocks
    .filter(({ language }) => ['sh', 'console', 'bash', 'yaml'].includes(language))
    .flatMap(({ language, text }) => {
      const joined = text
        .replaceAll(/\\\n\s*/g, ' ')
        .replaceAll(/(^|\s)#.*$/gm, '$1')
        .split('\n');
      return language === 'console' ? joined.filter((line) => line.startsWith('$ ')) : joined;
    });
  // What is quoted with a gap in it, or has the name in its middle, is a message.
  const inline = code.filter((text) => /^(?:[A-Z_]+=\S+ )?(?:kubectl )?tka(?:-server)? /.test(text) && !text.includes('…'));
  return [...lines, ...inline];
}

/** Every `tka …` and `tka-server …` in a line, up to what ends a command there. */
function* invocations(line: string): Generator<{ readonly program: string; readonly words: readonly string[] }> {
  const start = /(?:^|[\s("'(])(?:kubectl )?(tka|tka-server)((?: +[^\s|;&)"'#<>]+)+)/g;
  for (const [, program = '', rest = ''] of line.replaceAll(/'[^']*'/g, 'TEXT').matchAll(start)) {
    const words = rest.trim().split(/ +/);
    const end = words.indexOf('--');
    yield { program, words: end === -1 ? words : words.slice(0, end) };
  }
}

const flagsOf = ({ options }: Command): readonly string[] =>
  options.flatMap(({ short, long }) => [short, long].filter((name) => typeof name === 'string'));

function problemOf(program: string, words: readonly string[]): string | undefined {
  const flags = words.filter((word) => /^--?[a-zA-Z]/.test(word)).map((word) => word.replace(/[=,.:…].*$/, ''));
  const [first = '', second = ''] = words.filter((word) => !word.startsWith('-'));
  if (program === 'tka-server') {
    const own = server[first];
    if (own === undefined) return /^[a-z]/.test(first) ? `no command ${first}` : undefined;
    return flags.find((flag) => !own.includes(flag) && !serverFlags.has(flag));
  }
  const command = find(tka, first);
  // A placeholder, a word of a sentence that begins with the name, or a flag of all commands before it.
  if (command === undefined) return /^[a-z]+$/.test(first) ? `no command ${first}` : undefined;
  const below = find(command, second);
  const known = new Set(['-h', '--help', ...flagsOf(tka), ...flagsOf(command), ...(below ? flagsOf(below) : [])]);
  return flags.find((flag) => !known.has(flag));
}

const find = ({ commands }: Command, name: string): Command | undefined =>
  commands.find((command) => command.name() === name || command.aliases().includes(name));

test('every command and flag of tka and tka-server in the documentation exists', async (t) => {
  const wrong: string[] = [];
  let count = 0;
  for (const page of await readPages()) {
    for (const line of typed(page)) {
      for (const { program, words } of invocations(line)) {
        count += 1;
        const problem = problemOf(program, words);
        if (problem !== undefined) wrong.push(`${page.path}: ${program} ${words.join(' ')}: ${problem}`);
      }
    }
  }
  t.true(count > 100);
  t.deepEqual(wrong, []);
});

test('one that does not exist is found', (t) => {
  const problems = (line: string) =>
    [...invocations(line)].map(({ program, words }) => problemOf(program, words) ?? 'fine');
  t.deepEqual(problems('context=$(tka login --non-interactive --role view)'), ['fine']);
  t.deepEqual(problems('tka logn'), ['no command logn']);
  t.deepEqual(problems('kubectl tka login --rol edit'), ['--rol']);
  t.deepEqual(problems('tka exec --join -- kubectl apply --prune'), ['fine']);
  t.deepEqual(problems('tka-server legacy --remove --kubernetes-context admin'), ['fine']);
  t.deepEqual(problems('tka-server serve --remove'), ['--remove']);
});
