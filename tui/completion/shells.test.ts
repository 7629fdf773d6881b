/** Completion as people have it: the real command on PATH, its script sourced by a real shell, and Tab pressed. */
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import anyTest, { type ExecutionContext } from 'ava';
import { hasTerminals, Terminal } from '../../e2e/terminal.ts';
import { buildCli } from '../testing/cli.ts';
import { sendJson, startStubServer } from '../testing/stub-server.ts';

// Each is a shell, a terminal and a start of the command at each Tab.
const test = anyTest.serial;
const [inTerminal, why] = hasTerminals() ? [test, ''] : [test.skip, ': no tmux'];
const directory = mkdtempSync(join(tmpdir(), 'tka-completion-'));
const script = await buildCli(directory);
test.after.always(() => rmSync(directory, { recursive: true, force: true }));
mkdirSync(join(directory, 'bin'));
chmodSync(script, 0o755);
symlinkSync(script, join(directory, 'bin', 'tka'));

const shells = {
  bash: { args: ['--norc', '--noprofile', '-i'], setup: 'PS1="ready> "; source <(tka completion bash)' },
  zsh: {
    args: ['-f', '-i'],
    setup: 'PS1="ready> "; autoload -U compinit; compinit -u -D; source <(tka completion zsh)',
  },
  fish: {
    args: ['--no-config', '--private', '-i'],
    setup: 'function fish_prompt; echo -n "ready> "; end; tka completion fish | source',
  },
} as const;

/** What is typed before Tab, and what stands there then. */
const completed: readonly (readonly [string, RegExp])[] = [
  ['tka statu', /ready> tka status$/],
  ['tka login --rol', /ready> tka login --role$/],
  ['tka login --role vi', /ready> tka login --role view$/],
  ['tka logout -o js', /ready> tka logout -o json$/],
  ['tka login --output=js', /ready> tka login --output=json$/],
  ['tka login --kubeconfig some', /ready> tka login --kubeconfig some-file$/],
  ['tka exec -- cat some', /ready> tka exec -- cat some-file$/],
  ['tka config get cont', /ready> tka config get contextName$/],
  ['tka clusters forget pr', /ready> tka clusters forget prod$/],
];

for (const [shell, { args, setup }] of Object.entries(shells)) {
  const missing = hasTerminals() ? (isOnPath(shell) ? '' : `: no ${shell}`) : ': no tmux';
  const inShell = missing === '' ? test : test.skip;
  inShell(`${shell} completes commands, flags, their values, files and what the server grants${missing}`, async (t) => {
    const { home, env } = await createHome(t);
    await using terminal = await Terminal.open({ command: shell, args, env, cwd: home });
    await terminal.type(`${setup}; clear\n`);
    await terminal.waitFor(/^ready>$/);
    for (const [typed, expected] of completed) {
      await terminal.type(typed);
      await terminal.waitFor(new RegExp(`^ready> ${typed.replaceAll('-', '\\-')}`, 'm'));
      await terminal.press('Tab');
      await t.notThrowsAsync(terminal.waitFor(expected, 5000), typed);
      await terminal.press('C-u', 'C-l');
      await terminal.waitFor(/^ready>$/);
    }
  });
}

inTerminal(`what a server says of its roles never runs in a shell${why}`, async (t) => {
  const { home, env } = await createHome(t, ['$(touch${IFS}owned)', '`touch owned`', 'a;touch owned', 'edit']);
  await using terminal = await Terminal.open({ command: 'bash', args: shells.bash.args, env, cwd: home });
  await terminal.type(`${shells.bash.setup}; clear\n`);
  await terminal.waitFor(/^ready>$/);
  await terminal.type('tka login --role ');
  await terminal.press('Tab');
  await t.notThrowsAsync(terminal.waitFor(/--role edit$/, 5000));
  t.false(existsSync(join(home, 'owned')));
});

inTerminal(`what is being typed is not evaluated${why}`, async (t) => {
  const { home, env } = await createHome(t);
  await using terminal = await Terminal.open({ command: 'bash', args: shells.bash.args, env, cwd: home });
  await terminal.type(`${shells.bash.setup}; clear\n`);
  await terminal.waitFor(/^ready>$/);
  await terminal.type('tka login --role $(touch owned) --perio');
  await terminal.press('Tab');
  await t.notThrowsAsync(terminal.waitFor(/--period$/, 5000));
  t.false(existsSync(join(home, 'owned')));
});

async function createHome(
  t: ExecutionContext,
  roles: readonly string[] = ['view'],
): Promise<{ home: string; env: Record<string, string> }> {
  const stub = await startStubServer();
  t.teardown(() => stub.close());
  stub.answer('GET /api/v1alpha1/whoami', (_, response) =>
    sendJson(response, 200, {
      subject: 'controlplane.tailscale.com|user:1',
      username: 'alice@example.com',
      node: 'laptop',
      tags: [],
      rules: roles.map((role) => ({ role, period: '8h', priority: 1 })),
      dropped: [],
    }),
  );
  const home = mkdtempSync(join(tmpdir(), 'tka-home-'));
  // A shell that has been hung up may still write its history.
  t.teardown(() => rmSync(home, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 }));
  writeFileSync(join(home, 'some-file'), '');
  const known = { server: stub.url, nodeId: 'n1', tags: [], cluster: 'prod' };
  mkdirSync(join(home, '.config', 'tka'), { recursive: true });
  writeFileSync(join(home, '.config', 'tka', 'known-servers.json'), JSON.stringify({ servers: [known] }));
  const path = [join(directory, 'bin'), dirname(process.execPath), '/usr/bin', '/bin'].join(delimiter);
  return { home, env: { HOME: home, PATH: path, LANG: 'C.UTF-8', TKA_SERVER: stub.url, HISTFILE: '/dev/null' } };
}

function isOnPath(program: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((dir) => dir !== '' && existsSync(join(dir, program)));
}
