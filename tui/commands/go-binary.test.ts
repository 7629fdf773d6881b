/** The command under the name `ts-k8s-auth`, by which startup files of the Go tka's users call it. */
import { execFile } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import anyTest, { type ExecutionContext } from 'ava';
import { createCli } from '../testing/cli.ts';
import { prepare, readKubeconfigAt } from '../testing/command.ts';
import { isGoBinaryName, translateGoArguments } from './go-binary.ts';

const test = anyTest.serial;
const run = promisify(execFile);
const { script, setup, remove } = await prepare();
const goBinary = join(dirname(script), 'ts-k8s-auth');
symlinkSync(script, goBinary);
test.after.always(remove);

test('ts-k8s-auth shell SHELL prints the integration of that shell', async (t) => {
  const now = await createCli(t, script).run(['integration', 'zsh']);
  const before = await createCli(t, goBinary).run(['shell', 'zsh']);
  t.deepEqual(before, now);
  t.regex(now.stdout, /tka_prompt/);
});

test('ts-k8s-auth generate integration SHELL prints the integration of that shell', async (t) => {
  const now = await createCli(t, script).run(['integration', 'fish']);
  t.deepEqual(await createCli(t, goBinary).run(['generate', 'integration', 'fish']), now);
});

test('eval "$(ts-k8s-auth login --quiet)" sets KUBECONFIG to a file whose current context is the session', async (t) => {
  const { stub } = await setup(t);
  const cli = createCli(t, goBinary);
  mkdirSync(dirname(cli.kubeconfig));
  const mine = { name: 'mine', context: { cluster: 'mine', user: 'mine' } };
  writeFileSync(cli.kubeconfig, JSON.stringify({ contexts: [mine], 'current-context': 'mine' }));
  const ran = await cli.run(['login', '--quiet', '-s', stub.url]);
  t.like(ran, { code: 0, stderr: '' });
  t.is(await evaluated(t, ran.stdout), cli.kubeconfig);
  t.regex(readKubeconfigAt(cli.kubeconfig)['current-context'], /^tka-/);
});

test('tka login --quiet prints the name of the context, as scripts read it', async (t) => {
  const { stub, cli } = await setup(t);
  t.regex((await cli.run(['login', '--quiet', '-s', stub.url])).stdout, /^tka-[a-z0-9.-]+\n$/);
});

for (const [given, translated] of [
  [
    ['shell', 'bash'],
    ['integration', 'bash'],
  ],
  [['shell'], ['shell']],
  [
    ['shell', 'bash', '--help'],
    ['shell', 'bash', '--help'],
  ],
  [
    ['shell', 'view'],
    ['shell', 'view'],
  ],
  [
    ['login', 'bash'],
    ['login', 'bash'],
  ],
] as const) {
  test(`ts-k8s-auth ${given.join(' ')} is tka ${translated.join(' ')}`, (t) => {
    t.deepEqual(translateGoArguments(given), translated);
  });
}

test('the name of the Go command is that of the file alone', (t) => {
  t.true(isGoBinaryName({ script: '/usr/local/bin/ts-k8s-auth' }));
  for (const script of ['/opt/ts-k8s-auth/tka', 'ts-k8s-auth.bak']) t.false(isGoBinaryName({ script }));
});

async function evaluated(t: ExecutionContext, statements: string): Promise<string> {
  const { stdout, stderr } = await run('bash', ['--norc', '-c', `${statements}printf %s "$KUBECONFIG"`], { env: {} });
  t.is(stderr, '');
  return stdout;
}
