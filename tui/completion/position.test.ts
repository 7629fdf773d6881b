import test from 'ava';
import { Command } from 'commander';
import { declareProgram } from '../program/declare.ts';
import { locate, type Position } from './position.ts';

// Nothing is printed, and nothing runs.
const stream = { write: () => true };
const runtime = { script: '/bin/tka', stdout: stream, stderr: stream };
const root = declareProgram(runtime, { act: () => async () => {}, argv: [] });

function describe({ command, wanted, prefix }: Position): string {
  const at = command.name();
  switch (wanted.kind) {
    case 'flag':
      return `${at}: a flag ${prefix}`;
    case 'value':
      return `${at}: a value of ${wanted.option.long ?? ''} ${prefix}`;
    case 'foreign':
      return 'foreign';
    default:
      return `${at}: ${wanted.commands.length > 0 ? 'a command' : 'no command'}, ${wanted.argument?.name() ?? 'no argument'} ${prefix}`;
  }
}

const cases: readonly (readonly [readonly string[], string])[] = [
  [[], 'tka: a command, no argument '],
  [['lo'], 'tka: a command, no argument lo'],
  [['login', ''], 'login: no command, no argument '],
  [['signin', '--r'], 'login: a flag --r'],
  [['login', '--role', ''], 'login: a value of --role '],
  [['login', '-r', 'vi'], 'login: a value of --role vi'],
  [['login', '--role=vi'], 'login: a value of --role vi'],
  [['login', '--role=view', ''], 'login: no command, no argument '],
  [['-s', 'login', 'lo'], 'tka: a command, no argument lo'],
  [['-q', 'login', '-o', ''], 'login: a value of --output '],
  [['status', '-wo', 'j'], 'status: a value of --output j'],
  [['status', '-ojson', ''], 'status: no command, no argument '],
  [['--cluster', ''], 'tka: a value of --cluster '],
  [['login', '--watch=x'], 'foreign'],
  [['login', '--nope', 'x'], 'login: no command, no argument x'],
  [['config', ''], 'config: a command, key '],
  [['config', 'set', 'theme', ''], 'set: no command, value '],
  [['clusters', 'forget', 'p'], 'forget: no command, name p'],
  [['help', 'lo'], 'tka: a command, no argument lo'],
  [['exec', '--role', 'view', '--', 'kubectl', '-'], 'foreign'],
  [['exec', '-'], 'exec: a flag -'],
];
for (const [words, expected] of cases) {
  test(`tka ${words.join(' ')}| → ${expected}`, (t) => {
    t.is(describe(locate(root, words)), expected);
  });
}

test('flags that are given, and hidden ones, are not offered again', (t) => {
  const { wanted, given } = locate(root, ['login', '-r', 'view', '--use', '--']);
  const offered = new Set((wanted.kind === 'flag' ? wanted.options : []).map(({ long }) => long));
  t.deepEqual(given, { role: 'view', use: '' });
  for (const absent of ['--role', '--use', '--no-eval', '--shell']) t.false(offered.has(absent), absent);
  for (const present of ['--period', '--server']) t.true(offered.has(present), present);
});

test('a program without commands has no candidates', (t) => {
  t.deepEqual(describe(locate(new Command('x'), ['a', ''])), 'x: no command, no argument ');
});
