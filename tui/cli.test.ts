/** What holds for every command: arguments, signals, bugs. */
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import anyTest from 'ava';
import { createCli } from './testing/cli.ts';
import { calls, filesUnder, prepare } from './testing/command.ts';

// One child at a time: many at once are slow enough to run into the command's own time-outs.
const test = anyTest.serial;
const { script, setup, remove } = await prepare();
test.after.always(remove);

test('old names of commands work', async (t) => {
  const { stub, cli } = await setup(t);
  t.is((await cli.run(['signin', '-s', stub.url])).code, 0);
  t.is((await cli.run(['signout', '-s', stub.url])).code, 0);
});

test('without a command there is help, and no mistake', async (t) => {
  const { cli } = await setup(t);
  const ran = await cli.run([]);
  t.is(ran.code, 0);
  for (const command of ['login', 'logout', 'status', 'kubeconfig', 'credential', 'version'])
    t.true(ran.stdout.includes(`  ${command}`));
  t.regex((await cli.run(['credential', '--help'])).stdout, /--session/);
});

const mistakes = [
  ['nope'],
  ['help', 'nope'],
  ['help', 'logni'],
  ['login', '--nope'],
  ['login', 'x'],
  ['login', '-o', 'xml'],
  ['login', '--timeout', 'soon'],
  ['login', '--period', 'x'],
  ['login', '--server', 'ftp://x'],
  ['version', '-o', 'x'],
  ['login', '--mode', 'x'],
];

for (const args of mistakes) {
  test(`tka ${args.join(' ')}: exit code 2, and something to read`, async (t) => {
    const ran = await createCli(t, script).run(args);
    t.like(ran, { code: 2, stdout: '' });
    t.regex(ran.stderr, /^error: /);
  });
}

for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const) {
  test(`${signal} while the server works ends with ${code}, quietly, and leaves nothing behind`, async (t) => {
    const { promise: asked, resolve } = Promise.withResolvers<void>();
    const { stub, cli } = await setup(t, { [calls.login]: () => resolve() });
    const { child, ended } = cli.start(['login', '--server', stub.url]);
    await asked;
    child.kill(signal);
    t.deepEqual(await ended, { code, stdout: '', stderr: '' });
    t.deepEqual(filesUnder(join(cli.home, '.kube')), []);
  });
}

test('SIGINT while a lock is waited for ends with 130 and leaves the lock to its owner', async (t) => {
  const { stub, cli } = await setup(t);
  mkdirSync(dirname(cli.kubeconfig));
  writeFileSync(`${cli.kubeconfig}.lock`, '');
  const { child, ended } = cli.start(['login', '--server', stub.url]);
  // Its notice that it waits.
  await once(child.stderr ?? child, 'data');
  child.kill('SIGINT');
  t.is((await ended).code, 130);
  t.deepEqual(filesUnder(join(cli.home, '.kube')), [`${cli.kubeconfig}.lock`]);
});

test('a reader that has seen enough is no failure', async (t) => {
  const { cli } = await setup(t);
  const { child, ended } = cli.start([]);
  child.stdout?.destroy();
  t.like(await ended, { code: 0, stderr: '' });
});

for (const args of [
  [],
  ['--help'],
  ['--version'],
  ['help', 'login'],
  ['version', '--client'],
  ['version', '--client', '-o', 'json'],
  ['completion', 'bash'],
  ['complete', '--', 'lo'],
  ['integration', 'zsh'],
  ['config', 'path'],
  ['config', 'list', '--quiet'],
  ['status', '-o', 'yaml'],
  ['roles', '--quiet'],
  ['credential', '--session=alice-0123456789'],
  ['doctor', '-o', 'json'],
]) {
  test(`tka ${args.join(' ')}, stdout full: one line on stderr, and exit code 1`, async (t) => {
    const { stub, cli } = await setup(t);
    const known = args[0] === 'credential' ? [...args, `--server=${stub.url}`] : args;
    const ran = await cli.run(known, { TKA_SERVER: stub.url }, { stdout: '/dev/full' });
    t.deepEqual(ran, {
      code: 1,
      stdout: '',
      stderr: 'error: cannot write to standard output (ENOSPC)\n',
    });
  });
}

test('stderr full: the command does its work, and ends with its own exit code', async (t) => {
  const { stub, cli } = await setup(t);
  const ran = await cli.run(['login', '--server', stub.url], {}, { stderr: '/dev/full' });
  t.like(ran, { code: 0, stdout: 'tka-prod-view\n' });
  t.is((await cli.run(['nope'], {}, { stderr: '/dev/full' })).code, 2);
});

test('stdout closed by the caller counts as /dev/null', async (t) => {
  const { cli } = await setup(t);
  t.deepEqual(await cli.run(['version', '--client'], {}, { stdout: 'closed' }), { code: 0, stdout: '', stderr: '' });
});

test('a bug is one line, and its details come with TKA_DEBUG=1', async (t) => {
  const { cli } = await setup(t);
  const env = {
    NODE_OPTIONS: '--import=data:text/javascript,URL.parse=()=>null.kaboom',
  };
  const ran = await cli.run(['status', '--server', 'x'], env);
  t.is(ran.code, 1);
  t.is(ran.stderr, 'error: this is a bug in tka: please report it, with what TKA_DEBUG=1 shows\n');
  t.regex(
    (await cli.run(['status', '--server', 'x'], { ...env, TKA_DEBUG: '1' })).stderr,
    /TypeError: [^\n]*kaboom[^\n]*\n\s+at /,
  );
});
