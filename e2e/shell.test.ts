/**
 * Sessions that end with a shell or a command, and logins that reach into a running shell: the real `tka`, kubectl, shells
 * and terminal, on a real tailnet and a real Kubernetes API. One stack for the whole file; each test leaves no session behind.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import process from 'node:process';
import test, { type ExecutionContext } from 'ava';
import { policyOf } from '../dev/stack/policy.ts';
import type { Result } from '../dev/stack/processes.ts';
import { startStack } from '../dev/stack/stack.ts';
import type { Stack } from '../dev/stack/stack.ts';
import { until } from '../dev/stack/until.ts';
import { Person } from './person.ts';
import { hasTerminals, Terminal } from './terminal.ts';

const rules = {
  'alice@example.com': [
    { role: 'view', period: '1h', priority: 10 },
    { role: 'edit', period: '1h', priority: 5 },
  ],
};
const alice = 'alice@example.com';

let stack: Stack;

test.before(async (t) => {
  t.timeout(180_000);
  stack = await startStack({ users: [alice], policy: policyOf(rules) });
});
test.after.always(() => stack?.close());
test.afterEach.always(async () => {
  await stack.kubectl(['delete', 'tkasignins', '--all', '-n', 'tka-sessions', '--wait']);
});

const tka = (...args: readonly string[]): Promise<Result> => new Person(stack, alice).tka(...args);
const home = (...parts: readonly string[]): string => join(stack.machine(alice).home, ...parts);

const sessions = async (): Promise<readonly string[]> => {
  const { stdout } = await stack.kubectl(['get', 'tkasignins', '-n', 'tka-sessions', '-o', 'name']);
  return stdout.split('\n').filter((line) => line !== '');
};

async function areGone(): Promise<void> {
  await until(async () => (await sessions()).length === 0, { what: 'no session at the server', timeoutMs: 20_000 });
}

/** Resolves with what the child of a shell that does not end by itself has written. */
async function written(path: string): Promise<string> {
  return until(() => existsSync(path) && readFileSync(path, 'utf8').trim(), { what: path, timeoutMs: 20_000 });
}

test.serial('exec gives one kubectl a session, and then there is none', async (t) => {
  const ran = await tka('exec', '--', 'kubectl', 'get', 'namespaces', '-o', 'name');
  t.is(ran.code, 0, ran.stderr);
  t.regex(ran.stdout, /^namespace\/default$/m);
  t.is(ran.stderr, '');
  t.deepEqual(await sessions(), []);
  t.false(existsSync(new Person(stack, alice).kubeconfig), "the user's own kubeconfig is left alone");
});

test.serial('exec has the rights of the role that was asked for and no others', async (t) => {
  const may = ['kubectl', 'auth', 'can-i', 'create', 'deployments', '-n', 'default'];
  t.is((await tka('exec', '--role', 'edit', '--', ...may)).stdout, 'yes\n');
  const denied = await tka('exec', '--role', 'view', '--', ...may);
  t.is(denied.stdout, 'no\n');
  t.is(denied.code, 1, 'the exit code is that of kubectl');
});

test.serial("a shell's command runs as the session's account, and its exit code passes through", async (t) => {
  const ran = await tka('shell', '--', 'sh', '-c', 'kubectl auth whoami; exit 7');
  t.is(ran.code, 7, ran.stderr);
  t.regex(ran.stdout, /system:serviceaccount:tka-sessions:tka-alice-example-com-/);
  t.regex(ran.stderr, /the session has ended/);
  t.deepEqual(await sessions(), []);
});

test.serial('renewing inside of a shell moves the end that its prompt reads', async (t) => {
  const steps =
    'cat "$TKA_UNTIL_FILE"; tka renew --period 30m -q && cat "$TKA_UNTIL_FILE"; kubectl get namespaces -o name';
  const ran = await tka('shell', '--period', '15m', '--', 'sh', '-c', steps);
  t.is(ran.code, 0, ran.stderr);
  const [before = '', after = '', ...namespaces] = ran.stdout.trim().split('\n');
  const [from, to] = [before, after].map((line) => Number(line.split(' ')[0]));
  const moved = (to ?? 0) - (from ?? 0);
  t.true(moved > 14 * 60 && moved < 17 * 60, ran.stdout);
  t.true(namespaces.includes('namespace/default'), ran.stdout);
  t.deepEqual(await sessions(), [], 'and the session ends with the shell all the same');
});

test.serial('of two shells with one session the second to leave ends it', async (t) => {
  const leaves = home('leaves');
  execFileSync('sh', ['-c', 'mkfifo "$0"', leaves]);
  const first = tka('shell', '--', 'sh', '-c', `echo here > ${home('first')}; read line < ${leaves}`);
  await written(home('first'));
  const second = await tka('shell', '--', 'kubectl', 'get', 'namespaces', '-o', 'name');
  t.is(second.code, 0, second.stderr);
  t.regex(second.stderr, /stays active \(another shell uses it\)/);
  t.is((await sessions()).length, 1);
  writeFileSync(leaves, 'now\n');
  t.regex((await first).stderr, /the session has ended/);
  t.deepEqual(await sessions(), []);
});

test.serial('what kill -9 leaves is ended by the next start', async (t) => {
  const stays = home('stays');
  execFileSync('sh', ['-c', 'mkfifo "$0"', stays]);
  const killed = tka(
    'shell',
    '--role',
    'edit',
    '--',
    'sh',
    '-c',
    `echo $PPID > ${home('parent')}; read line < ${stays}`,
  );
  process.kill(Number(await written(home('parent'))), 'SIGKILL');
  t.is((await killed).code, 137);
  t.is((await sessions()).length, 1);
  const next = await tka('exec', '--role', 'view', '--', 'kubectl', 'auth', 'whoami');
  t.is(next.code, 0, next.stderr);
  t.deepEqual(await sessions(), []);
});

for (const shell of ['bash', 'zsh', 'fish'] as const) {
  const [inShell, why] = isHere(shell) ? [test.serial, ''] : [test.serial.skip, `: no ${shell}`];
  inShell(`in ${shell} a login reaches into the shell: kubectl, the prompt, and the way back${why}`, async (t) => {
    const load = shell === 'fish' ? 'tka integration fish | source' : `eval "$(tka integration ${shell})"`;
    const steps = [
      load,
      'tka login -q >/dev/null',
      "kubectl auth whoami -o jsonpath='{.status.userInfo.username}'",
      'echo; tka_prompt; echo',
      'tka logout -q',
      'echo "[$KUBECONFIG] [$TKA_SESSION]"',
    ];
    const env = { TKA_SERVER: stack.tka.url, LANG: 'C.UTF-8' };
    const ran = await stack.runAs(alice, shell, ['-c', steps.join('\n')], { env });
    t.is(ran.stderr, '');
    const [username, prompt, after] = ran.stdout.split('\n');
    t.regex(username ?? '', /^system:serviceaccount:tka-sessions:/);
    t.regex(prompt ?? '', /^⎈ stack\/view (59m|1h00m)$/);
    t.is(after, `[${new Person(stack, alice).kubeconfig}] []`);
    t.deepEqual(await sessions(), []);
  });
}

if (hasTerminals()) {
  const open = async (t: ExecutionContext, ...args: readonly string[]): Promise<Terminal> => {
    const env = {
      ...stack.userEnv(alice),
      TKA_SERVER: stack.tka.url,
      SHELL: '/bin/bash',
      PS1: 'prompt> ',
      LANG: 'C.UTF-8',
    };
    const terminal = await Terminal.open({ command: 'tka', args: ['shell', ...args], env });
    t.teardown(() => terminal.close());
    return terminal;
  };

  test.serial(
    'a shell in a terminal: Ctrl-C is its own, exit ends the session, the terminal is as it was',
    async (t) => {
      const terminal = await open(t);
      await terminal.waitFor(/a shell as alice@example\.com, role view/);
      await terminal.type('kubectl get namespaces -o name\n');
      await terminal.waitFor(/^namespace\/default$/m);
      await terminal.type('echo half a li');
      await terminal.press('C-c');
      await terminal.type('cat\n');
      await terminal.press('C-c');
      await terminal.type('echo still-"here" $?\n');
      await terminal.waitFor(/^still-here 130$/m);
      t.is((await sessions()).length, 1);
      await terminal.type('exit 3\n');
      t.is(await terminal.exitCode(), 3);
      await terminal.waitFor(/the session has ended/);
      t.regex(await terminal.settings(), /(?<!-)icanon.*(?<!-)echo /s);
      t.deepEqual(await sessions(), []);
    },
  );

  test.serial('a terminal that is closed ends the session', async (t) => {
    const terminal = await open(t);
    await terminal.waitFor(/a shell as/);
    t.is((await sessions()).length, 1);
    await terminal.close();
    await t.notThrowsAsync(areGone());
  });

  test.serial('a shell at its prompt leaves when tka is told to stop', async (t) => {
    const terminal = await open(t);
    await terminal.waitFor(/a shell as/);
    await terminal.type(`echo $PPID > ${home('tka-pid')}\n`);
    process.kill(Number(await written(home('tka-pid'))), 'SIGTERM');
    t.is(await terminal.exitCode(), 143);
    t.deepEqual(await sessions(), []);
  });
}

function isHere(program: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((directory) => existsSync(join(directory, program)));
}
