import { existsSync } from 'node:fs';
import test from 'ava';
import { type Command, CommanderError } from 'commander';
import type { GlobalFlags } from '../flags.ts';
import { readFlags } from './action.ts';
import { declareProgram } from './declare.ts';
import { declareForHelp, exampleIn, pathOf, visibleCommands } from '../testing/help-text.ts';

const { root, helpOf } = declareForHelp();
const visible = [root, ...all(root, visibleCommands)];
const leaves = all(root, visibleCommands).filter((command) => visibleCommands(command).length === 0);

function all(command: Command, below: (command: Command) => readonly Command[]): readonly Command[] {
  return below(command).flatMap((one) => [one, ...all(one, below)]);
}

for (const command of visible) {
  test(`${pathOf(command)} --help is short: a description, an example, 80 columns`, (t) => {
    const help = helpOf(command);
    t.not(command.description(), '');
    const [example = '', ...more] = exampleIn(help);
    t.regex(example, /^(\S+ ")?(.*\()?tka /);
    t.true(more.length <= 1);
    for (const line of help.split('\n')) t.true(line.length <= 80, line);
  });
}

for (const leaf of leaves) {
  const [, ...words] = pathOf(leaf).split(' ');
  const [first = ''] = words;
  // The actions of `config` are one command to the rest of the program.
  const name = first === 'config' ? 'config' : words.join('-');
  test(`${pathOf(leaf)} has a module, which exports its function`, async (t) => {
    const file = new URL(`../commands/${name}.ts`, import.meta.url);
    t.true(existsSync(file), name);
    const module = (await import(file.href)) as Record<string, unknown>;
    t.is(typeof module[name.replaceAll(/-(\w)/g, (_, letter: string) => letter.toUpperCase())], 'function');
  });
}

test('no flag means two things, to a command and to the root', (t) => {
  for (const command of all(root, (one) => one.commands)) {
    const chain = (one: Command): readonly Command[] => (one.parent === null ? [one] : [one, ...chain(one.parent)]);
    const flags = chain(command).flatMap(({ options }) => options.flatMap(({ short, long }) => [short, long]));
    const given = flags.filter((flag) => flag !== undefined);
    t.deepEqual(
      given.filter((flag, index) => given.indexOf(flag) !== index),
      [],
      pathOf(command),
    );
  }
});

test('no two commands share a name, former ones included', (t) => {
  for (const command of [root, ...all(root, (one) => one.commands)]) {
    const names = command.commands.flatMap((one) => [one.name(), ...one.aliases()]);
    t.deepEqual([...new Set(names)], names, pathOf(command));
  }
});

test('called as a kubectl plugin, help names it so', (t) => {
  const plugin = declareForHelp('/usr/local/bin/kubectl-tka');
  t.regex(plugin.helpOf(plugin.root), /^Usage: kubectl tka \[command\]/);
  const login = plugin.root.commands.find((command) => command.name() === 'login');
  t.regex(login === undefined ? '' : plugin.helpOf(login), /\n {2}kubectl tka login --role/);
});

/** What a command's function would be given. */
async function parse(argv: readonly string[]): Promise<{ flags: GlobalFlags; args: readonly string[] } | string> {
  let said = '';
  let parsed: { flags: GlobalFlags; args: readonly string[] } | undefined;
  const stream = {
    write(text: string) {
      said += text;
      return true;
    },
  };
  const runtime = { script: '/usr/bin/tka', stdout: stream, stderr: stream };
  const act =
    () =>
    async (...received: unknown[]) => {
      // As commander calls it.
      const command = received.at(-1) as Command;
      parsed = { flags: readFlags(command).flags, args: command.args };
    };
  try {
    await declareProgram(runtime, { act, argv }).parseAsync(argv, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
  }
  return parsed ?? said;
}

const parsed: readonly (readonly [line: string, flags: object, args?: readonly string[]])[] = [
  ['login', {}],
  ['-s tka login -r view', { server: 'tka', role: 'view' }],
  ['login -r view -s tka', { server: 'tka', role: 'view' }],
  ['login --timeout 2m30s -q', { timeoutMs: 150_000, quiet: true }],
  ['login -p 8080 --cluster prod -c /c', { port: 8080, cluster: 'prod', config: '/c' }],
  ['login --non-interactive --theme none', { nonInteractive: true, theme: 'none' }],
  [
    'login --period 1h -n dev --mode proxy --context-name {cluster} --use --inline-token --all --print-kubeconfig',
    {
      period: '1h',
      namespace: 'dev',
      mode: 'proxy',
      contextName: '{cluster}',
      use: true,
      inlineToken: true,
      all: true,
      printKubeconfig: true,
    },
  ],
  ['login --insecure-skip-tls-verify --kubeconfig k', { insecureSkipTlsVerify: true, kubeconfig: 'k' }],
  ['status -wo json', { watch: true, output: 'json' }],
  ['renew --session a --period 2h', { session: 'a', period: '2h' }],
  ['logout --all --local', { all: true, local: true }],
  ['clusters forget prod', {}, ['prod']],
  ['config set theme dark', {}, ['theme', 'dark']],
  ['shell -r view -- kubectl -s x get', { role: 'view' }, ['kubectl', '-s', 'x', 'get']],
  ['exec -- kubectl --server x', {}, ['kubectl', '--server', 'x']],
  [
    'exec --join --auth-key-file k --tags tag:ci,tag:b --hostname h --control-url https://c -- true',
    { join: true, authKeyFile: 'k', tags: ['tag:ci', 'tag:b'], hostname: 'h', controlUrl: 'https://c' },
    ['true'],
  ],
  ['integration zsh', {}, ['zsh']],
  // As it was typed before.
  ['auth -e -l --debug', {}],
  ['refresh --quiet', { quiet: true }],
  ['get config output.theme --filename', { filename: true }, ['output.theme']],
  ['set config output.theme dark -f', { force: true }, ['output.theme', 'dark']],
  ['generate integration fish', {}, ['fish']],
];
for (const [line, flags, args = []] of parsed) {
  test(`tka ${line} → ${JSON.stringify(flags)}`, async (t) => {
    t.deepEqual(await parse(line.split(' ')), { flags, args } as never);
  });
}

const mistakes: readonly (readonly [string, RegExp])[] = [
  ['lgin', /unknown command 'lgin'\n\(Did you mean login\?\)/],
  ['login --rol x', /unknown option '--rol'\n\(Did you mean --role\?\)/],
  ['login x', /too many arguments/],
  ['login -o xml', /Allowed choices are json, yaml, name/],
  ['login --mode x', /Allowed choices are proxy, direct/],
  ['login --timeout soon', /looks like 30s or 2m/],
  ['login --timeout 0s', /looks like 30s or 2m/],
  ['login -p 70000', /from 1 to 65535/],
  ['exec --tags a,,b -- x', /A list looks like/],
  ['clusters forget', /missing required argument 'name'/],
];
for (const command of ['completion', 'integration']) {
  test(`tka ${command} tcsh: the shell is unsupported, and the supported ones are named`, async (t) => {
    await t.throwsAsync(parse([command, 'tcsh']), {
      message: 'unsupported shell "tcsh" (bash, zsh, fish, powershell)',
    });
  });
}
for (const [line, expected] of mistakes) {
  test(`tka ${line}: a mistake, and what is meant`, async (t) => {
    const said = await parse(line.split(' '));
    if (typeof said !== 'string') t.fail('it was understood');
    else {
      t.regex(said, expected);
      t.regex(said, /^error: /);
    }
  });
}
