import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import process from 'node:process';
import test, { type ExecutionContext } from 'ava';
import { writeUntil } from '../../credential/cache.ts';
import type { LoggedIn } from '../../sessions/login.ts';
import { bash } from './bash.ts';
import { removeLeftKubeconfigs, shellKubeconfigs, shellPlacement, writeEnvironment } from './environment.ts';
import { fish } from './fish.ts';
import { withShell, runShellCode } from '../../testing/real-shell.ts';
import { zsh } from './zsh.ts';

const login: LoggedIn = {
  server: 'https://tka.example',
  cluster: 'demo',
  session: 'alice-view',
  username: 'alice@example.com',
  role: 'view',
  until: new Date('2030-01-02T03:04:05Z'),
  mode: 'direct',
  url: 'https://kube.example',
  context: 'tka-demo',
  current: true,
  kubeconfig: '/k',
};

function setup(t: ExecutionContext, shell = 'bash'): { env: Record<string, string>; file: string } {
  const home = mkdtempSync(join(tmpdir(), 'tka-environment-'));
  t.teardown(() => rmSync(home, { recursive: true, force: true }));
  const file = join(home, 'file');
  writeFileSync(file, '', { mode: 0o600 });
  return { file, env: { HOME: home, TKA_ENV_FILE: file, TKA_ENV_SHELL: shell, TKA_SHELL_PID: String(process.pid) } };
}

test('a login writes the variables, quoted, and where the end is kept if it is', (t) => {
  const { env, file } = setup(t);
  writeEnvironment({ env }, { login, kubeconfig: "/it's" });
  const lines = [
    '__tka_enter',
    String.raw`export KUBECONFIG='/it'\''s'`,
    "export TKA_SESSION='alice-view'",
    "export TKA_SERVER='https://tka.example'",
    "export TKA_CLUSTER='demo'",
    "export TKA_ROLE='view'",
    "export TKA_CONTEXT='tka-demo'",
    "export TKA_UNTIL='2030-01-02T03:04:05.000Z'",
  ];
  t.is(readFileSync(file, 'utf8'), `${lines.join('\n')}\n`);
  writeUntil(env, login, login);
  writeEnvironment({ env }, { login, kubeconfig: '/k' });
  t.regex(readFileSync(file, 'utf8'), /\nexport TKA_UNTIL_FILE='\/.*alice-view\.until'\n$/);
});

test('invalid names are left out, and a session without a name is refused', (t) => {
  const { env, file } = setup(t);
  const evil = { ...login, cluster: '$(x)', role: "';x;'", context: 'a\u001B[2J' };
  writeEnvironment({ env }, { login: evil, kubeconfig: '/k' });
  t.notRegex(readFileSync(file, 'utf8'), /CLUSTER|ROLE|CONTEXT|\$|;/);
  t.throws(() => writeEnvironment({ env }, { login: { ...login, session: '../x' }, kubeconfig: '/k' }));
});

const inside = { TKA_SERVER: login.server, TKA_SESSION: login.session };
const renew = { server: login.server, session: login.session, until: login.until };
const changes: readonly [string, Parameters<typeof writeEnvironment>[1], Record<string, string>, string][] = [
  ['a renewal moves the end', { renew }, inside, "export TKA_UNTIL='2030-01-02T03:04:05.000Z'\n"],
  ['a renewal of another session changes nothing', { renew: { ...renew, session: 'other' } }, inside, ''],
  ['a renewal changes nothing in a shell without a session', { renew }, {}, ''],
  ['a logout leaves', { logout: { server: login.server } }, inside, '__tka_leave\n'],
  [
    'a logout of this session leaves',
    { logout: { server: login.server, session: login.session } },
    inside,
    '__tka_leave\n',
  ],
  ['a logout of another session changes nothing', { logout: { server: login.server, session: 'other' } }, inside, ''],
  ['a logout elsewhere changes nothing', { logout: { server: 'https://other.example' } }, inside, ''],
];
for (const [title, change, variables, expected] of changes) {
  test(title, (t) => {
    const { env, file } = setup(t);
    writeEnvironment({ env: { ...env, ...variables } }, change);
    t.is(readFileSync(file, 'utf8'), expected);
  });
}

test('without the integration nothing is written and nothing is placed', (t) => {
  const { env, file } = setup(t);
  const { TKA_ENV_FILE: _, ...without } = env;
  writeEnvironment({ env: without }, { login, kubeconfig: '/k' });
  t.is(shellPlacement({ env: without }), undefined);
  t.is(readFileSync(file, 'utf8'), '');
});

const broken: readonly [string, (file: string) => Record<string, string>, RegExp][] = [
  ['another shell', () => ({ TKA_ENV_SHELL: 'tcsh' }), /an unsupported shell/],
  ['a relative file', () => ({ TKA_ENV_FILE: 'x' }), /not an absolute path/],
  ['a file that is not there', (file) => ({ TKA_ENV_FILE: `${file}.not` }), /ENOENT/],
  ['a file that others may write', (file) => (chmodSync(file, 0o622), {}), /not a private file/],
  ['a link', (file) => (symlinkSync(file, `${file}.link`), { TKA_ENV_FILE: `${file}.link` }), /ELOOP/],
];
for (const [title, change, message] of broken) {
  test(`${title} is refused, with the remedy`, (t) => {
    const { env, file } = setup(t);
    const broke = { ...env, ...change(file) };
    const error = t.throws(() => writeEnvironment({ env: broke }, { login, kubeconfig: '/k' }), { message });
    t.regex(String((error as unknown as { advice: string[] }).advice), /tka integration/);
  });
}

for (const pid of ['', '0', '1', '-1', 'x', '99999999999']) {
  test(`TKA_SHELL_PID=${pid} is refused`, (t) => {
    const { env } = setup(t);
    t.throws(() => shellPlacement({ env: { ...env, TKA_SHELL_PID: pid } }), { message: /names no running shell/ });
  });
}

test('a login in a shell has a kubeconfig of that shell, which goes when the shell is gone', async (t) => {
  const { env } = setup(t);
  const placed = shellPlacement({ env });
  const kubeconfig = placed?.kubeconfig ?? '';
  t.regex(kubeconfig, new RegExp(`/run/shells/${process.pid}/config$`));
  t.is(statSync(dirname(kubeconfig)).mode & 0o777, 0o700);
  writeFileSync(kubeconfig, 'mine');
  t.deepEqual(shellPlacement({ env }), placed);
  t.true(existsSync(kubeconfig), 'a second login keeps what is there');
  removeLeftKubeconfigs(env);
  t.deepEqual(shellKubeconfigs(env), [kubeconfig]);

  const owner = join(dirname(kubeconfig), 'owner.json');
  const later = readFileSync(owner, 'utf8').replace(/"started":"\d+"/, '"started":"1"');
  writeFileSync(owner, later);
  shellPlacement({ env });
  t.false(existsSync(kubeconfig), 'it was of a shell that had the same number');

  writeFileSync(owner, later);
  t.deepEqual(shellKubeconfigs(env), []);
  removeLeftKubeconfigs(env);
  t.false(existsSync(dirname(kubeconfig)));
});

test('a directory that is just being made is not taken for left', (t) => {
  const { env } = setup(t);
  const kubeconfig = shellPlacement({ env })?.kubeconfig ?? '';
  rmSync(join(dirname(kubeconfig), 'owner.json'));
  mkdirSync(join(dirname(kubeconfig), '..', '2147483646'));
  removeLeftKubeconfigs(env);
  t.true(existsSync(dirname(kubeconfig)));
  t.false(existsSync(join(dirname(kubeconfig), '..', '2147483646')));
});

const integrations = { bash, zsh, fish };
for (const shell of ['bash', 'zsh', 'fish'] as const) {
  withShell(test, shell)(`${shell} runs what is written, and has the path as it is`, async (t) => {
    const { env, file } = setup(t, shell);
    const path = `/tmp/it's $(touch pwned) \`x\` \\ "q" !! ‘’ é%`;
    writeEnvironment({ env }, { login, kubeconfig: path });
    writeFileSync(`${file}.integration`, integrations[shell]);
    const show = `source ${file}.integration; source ${file}; printf '%s|%s' "$KUBECONFIG" "$TKA_SESSION"`;
    t.deepEqual(await runShellCode(shell, show), { code: 0, stdout: `${path}|alice-view`, stderr: '' });
  });
}
