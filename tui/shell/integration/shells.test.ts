import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import anyTest, { type ExecutionContext } from 'ava';
import { buildCli } from '../../testing/cli.ts';
import type { Shell } from '../../flags.ts';
import { keepSessions, type SessionStub } from '../../testing/stub-sessions.ts';
import { sendJson, startStubServer, type StubServer } from '../../testing/stub-server.ts';
import { bash } from './bash.ts';
import { fish } from './fish.ts';
import { withShell, runShellCode, type ShellRun } from '../../testing/real-shell.ts';
import { zsh } from './zsh.ts';

const test = anyTest.serial;
const directory = mkdtempSync(join(tmpdir(), 'tka-shells-'));
const script = await buildCli(directory);
test.after.always(() => rmSync(directory, { recursive: true, force: true }));

interface Machine {
  readonly home: string;
  readonly server: string;
  readonly stub: SessionStub;
  readonly answer: StubServer['answer'];
  /** Runs code after the integration, with `tka` on PATH. */
  readonly run: (code: string, env?: Readonly<Record<string, string>>) => Promise<ShellRun>;
}

const loads: Readonly<Record<Shell, string>> = {
  bash: 'set -eu; eval "$(command tka integration bash)"; set +e;',
  zsh: 'set -u; eval "$(command tka integration zsh)";',
  fish: 'command tka integration fish | source;',
  powershell: 'tka integration powershell | Out-String | Invoke-Expression;',
};

const integrations = { bash, zsh, fish };

async function machine(t: ExecutionContext, shell: Shell): Promise<Machine> {
  const home = mkdtempSync(join(tmpdir(), 'tka-home-'));
  t.teardown(() => rmSync(home, { recursive: true, force: true }));
  for (const name of ['bin', 'tmp', '.kube']) mkdirSync(join(home, name));
  symlinkSync(script, join(home, 'bin', 'tka'));
  symlinkSync(process.execPath, join(home, 'bin', 'node'));
  const server = await startStubServer();
  t.teardown(() => server.close());
  return {
    home,
    server: server.url,
    stub: keepSessions(server),
    answer: (call, handler) => server.answer(call, handler),
    run: (code, env = {}) =>
      runShellCode(shell, `${loads[shell]} ${code}`, {
        HOME: home,
        PATH: `${join(home, 'bin')}:/usr/bin:/bin`,
        TMPDIR: join(home, 'tmp'),
        ...env,
      }),
  };
}

/** `show`: a line with the variables, `-` for those that are not set. */
const posix = {
  show: 'echo "${KUBECONFIG--} ${TKA_SESSION--} ${TKA_ROLE--} ${TKA_CLUSTER--} ${TKA_SERVER--}";',
  code: '$?',
};
const languages = {
  bash: posix,
  zsh: posix,
  fish: {
    show:
      'for name in KUBECONFIG TKA_SESSION TKA_ROLE TKA_CLUSTER TKA_SERVER; ' +
      'set -q $name; and echo -n $$name" "; or echo -n "- "; end; echo;',
    code: '$status',
  },
} as const;

for (const shell of ['bash', 'zsh', 'fish'] as const) {
  const { show, code } = languages[shell];
  const lines = ({ stdout }: ShellRun): string[] => stdout.split('\n').map((line) => line.trimEnd());

  withShell(test, shell)(
    `${shell}: login sets the variables of the running shell, and logout brings back what they were`,
    async (t) => {
      const { home, server, stub, run } = await machine(t, shell);
      const mine = join(home, "it's mine $(x)");
      writeFileSync(mine, 'current-context: work\n');
      const ran = await run(
        `${show} tka login --server ${server} -q >/dev/null; ${show} kubectl=$KUBECONFIG; tka logout -q; ${show}`.replace(
          'kubectl=$KUBECONFIG;',
          shell === 'fish' ? 'cat $KUBECONFIG;' : 'cat "$KUBECONFIG";',
        ),
        { KUBECONFIG: mine },
      );
      t.is(ran.stderr, '');
      const [before, inside, ...rest] = lines(ran);
      t.is(before, `${mine} - - - -`);
      t.regex(inside ?? '', new RegExp(`^/\\S+/run/shells/\\d+/config alice-view view prod ${server}$`));
      t.true(rest.includes('current-context: tka-prod-view'), 'KUBECONFIG has the context');
      t.is(rest.at(-2), `${mine} - - - -`);
      t.is(readFileSync(mine, 'utf8'), 'current-context: work\n');
      t.deepEqual([...stub.sessions.keys()], []);
      t.deepEqual(readdirSync(join(home, 'tmp')), []);
    },
  );

  withShell(test, shell)(
    `${shell}: a second login replaces the variables, and logout still knows what was there at first`,
    async (t) => {
      const { server, run } = await machine(t, shell);
      const login = `tka login --server ${server} -q >/dev/null;`;
      const ran = await run(
        `${login} tka login --role edit --server ${server} -q >/dev/null; ${show} tka logout -q; ${show}`,
        {
          TKA_ROLE: 'mine',
        },
      );
      t.is(ran.stderr, '');
      t.regex(lines(ran)[0] ?? '', / alice-edit edit prod /);
      t.is(lines(ran)[1], '- - mine - -');
    },
  );

  withShell(test, shell)(`${shell}: logging out of another session leaves the shell in its own`, async (t) => {
    const { server, run } = await machine(t, shell);
    const login = (role: string): string => `tka login --role ${role} --server ${server} -q >/dev/null;`;
    const ran = await run(`${login('view')} ${login('edit')} tka logout --session alice-view -q; ${show}`);
    t.is(ran.stderr, '');
    t.regex(lines(ran)[0] ?? '', / alice-edit edit prod /);
  });

  withShell(test, shell)(`${shell}: a shell started in the shell can log out too`, async (t) => {
    const { home, server, run } = await machine(t, shell);
    const inner = `${loads[shell]} tka logout -q; ${show}`
      .replaceAll('set -eu; ', '')
      .replaceAll("'", String.raw`'\''`);
    const start = { bash: 'bash --norc', zsh: 'zsh -f', fish: 'fish --no-config' }[shell];
    const ran = await run(`tka login --server ${server} -q >/dev/null; ${start} -c '${inner}'`, {
      KUBECONFIG: join(home, 'mine'),
    });
    t.is(ran.stderr, '');
    t.is(lines(ran)[0], `${join(home, 'mine')} - - - -`);
  });

  withShell(test, shell)(`${shell}: a login that fails keeps its exit code and changes nothing`, async (t) => {
    const { home, server, run, answer } = await machine(t, shell);
    answer('POST /api/v1alpha1/login', (_, response) => sendJson(response, 403, { message: 'no', code: 'no_grant' }));
    const ran = await run(`tka login --server ${server} -q; echo ${code}; ${show}`, { KUBECONFIG: '/mine' });
    t.deepEqual(lines(ran), ['3', '/mine - - - -', '']);
    t.deepEqual(readdirSync(join(home, 'tmp')), []);
  });

  withShell(test, shell)(
    `${shell}: only what may change the shell is wrapped, and arguments arrive as they are`,
    async (t) => {
      const bin = mkdtempSync(join(tmpdir(), 'tka-bin-'));
      t.teardown(() => rmSync(bin, { recursive: true, force: true }));
      // Its function is loaded from a file here, because this `tka` only says how it was called.
      writeFileSync(join(bin, 'integration'), integrations[shell]);
      const tka = '#!/bin/sh\nprintf "%s " "${TKA_ENV_FILE+wrapped}" "$@"; echo; exit 9\n';
      writeFileSync(join(bin, 'tka'), tka, { mode: 0o755 });
      const calls = [
        'tka login',
        "tka --server 'a b' renew '$x'",
        'tka signout',
        'tka login --no-eval',
        'tka exec -- kubectl logout',
        'tka status',
        'tka',
      ];
      const ran = await runShellCode(
        shell,
        `source ${join(bin, 'integration')}; ${calls.map((call) => `${call}; echo ${code};`).join(' ')}`,
        { PATH: `${bin}:/usr/bin:/bin` },
      );
      t.deepEqual(lines(ran), [
        'wrapped login',
        '9',
        'wrapped --server a b renew $x',
        '9',
        'wrapped signout',
        '9',
        ' login --no-eval',
        '9',
        ' exec -- kubectl logout',
        '9',
        ' status',
        '9',
        '',
        '9',
        '',
      ]);
    },
  );
}
