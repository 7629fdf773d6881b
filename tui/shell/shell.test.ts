import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import anyTest from 'ava';
import { left, runDirectory, setup } from '../testing/shells.ts';
import { sendJson } from '../testing/stub-server.ts';

// One after another: many processes at once are slow enough to run into the command's own time-outs.
const test = anyTest.serial;

test('exec runs the command in a session of its own, which ends with it; the streams are the command alone', async (t) => {
  const { cli, sessions, exec } = await setup(t);
  const ran = await exec('sh', '-c', 'cat "$KUBECONFIG"; echo said >&2; exit 7');
  t.is(ran.code, 7);
  t.is(ran.stderr, 'said\n');
  t.regex(ran.stdout, /^apiVersion: v1[^]*current-context: tka-prod-view\n$/);
  t.deepEqual(sessions.ended, ['alice-view']);
  t.deepEqual(left(cli), []);
  t.false(existsSync(cli.kubeconfig));
});

test("the child has what a prompt needs, and nothing of the outer shell's", async (t) => {
  const { cli, server } = await setup(t);
  const ran = await cli.run(['exec', '--role', 'edit', '--server', server.url, '--', 'env'], {
    KUBECONFIG: '/mine',
    TKA_ENV_FILE: '/x',
    TKA_OUTER: '1',
    TKA_SHELL_PID: '1',
    TKA_ROLE: 'view',
    TKA_THEME: 'dark',
  });
  const env = Object.fromEntries(ran.stdout.split('\n').map((line) => line.split(/=(.*)/s, 2)));
  t.like(env, {
    TKA_SESSION: 'alice-edit',
    TKA_SERVER: server.url,
    TKA_CLUSTER: 'prod',
    TKA_ROLE: 'edit',
    TKA_CONTEXT: 'tka-prod-edit',
    TKA_THEME: 'dark',
    TKA_ENV_FILE: undefined,
    TKA_OUTER: undefined,
    TKA_SHELL_PID: undefined,
  });
  t.true(env['KUBECONFIG']?.startsWith(runDirectory(cli)));
  t.true(env['TKA_UNTIL_FILE']?.endsWith('alice-edit.until'));
  t.regex(env['TKA_UNTIL'] ?? '', /^\d{4}-\d\d-\d\dT/);
});

test('private files are for the user alone', async (t) => {
  const { cli, startShell } = await setup(t);
  const shell = await startShell();
  t.is(statSync(shell.directory).mode & 0o777, 0o700);
  for (const name of readdirSync(shell.directory))
    t.is(statSync(join(shell.directory, name)).mode & 0o777, 0o600, name);
  t.is((await shell.end()).code, 0);
  t.deepEqual(left(cli), []);
});

test('where XDG_RUNTIME_DIR is ours alone the private files are there, and else not', async (t) => {
  const { cli, server } = await setup(t);
  const runtime = mkdtempSync(join(tmpdir(), 'tka-runtime-'));
  t.teardown(() => rmSync(runtime, { recursive: true, force: true }));
  const where = async (path: string): Promise<string> =>
    (await cli.run(['exec', '-s', server.url, '--', 'sh', '-c', 'echo $KUBECONFIG'], { XDG_RUNTIME_DIR: path })).stdout;
  t.true((await where(runtime)).startsWith(join(runtime, 'tka', 'sessions')));
  t.true((await where(tmpdir())).startsWith(runDirectory(cli)), 'others may write there');
});

test('where others can write to the cache no private files are made there, and no session is opened', async (t) => {
  const { cli, server, sessions } = await setup(t);
  const cache = join(cli.home, 'shared');
  mkdirSync(join(cache, 'tka'), { recursive: true });
  chmodSync(join(cache, 'tka'), 0o777);
  const ran = await cli.run(['exec', '-s', server.url, '--', 'true'], { XDG_CACHE_HOME: cache });
  t.is(ran.code, 1);
  t.regex(ran.stderr, /others on this machine can write to a parent directory\n.*XDG_CACHE_HOME/);
  t.is(sessions.sessions.size, 0);
});

test('a command that a signal ends is 128 and its number; one that is not there is 127, one that cannot run 126', async (t) => {
  const { cli, sessions, exec } = await setup(t);
  t.is((await exec('sh', '-c', 'kill -USR1 $$')).code, 138);
  const missing = await exec('no-such-program');
  t.like(missing, { code: 127, stdout: '', stderr: 'error: no-such-program: command not found\n' });
  t.is((await exec(cli.home)).code, 126);
  t.is(sessions.ended.length, 3);
  t.deepEqual(left(cli), []);
});

for (const [before, expected] of [
  [undefined, '(tka) $ '],
  ['me> ', '(tka) me> '],
  ['(tka) me> ', '(tka) me> '],
] as const) {
  test(`shell marks the prompt ${JSON.stringify(before)} as ${JSON.stringify(expected)}`, async (t) => {
    const { cli, server } = await setup(t);
    const shell = join(cli.home, 'my-shell');
    writeFileSync(shell, '#!/bin/sh\nprintf %s "$PS1"\n', { mode: 0o755 });
    const env = { SHELL: shell, ...(before === undefined ? {} : { PS1: before }) };
    t.is((await cli.run(['shell', '--server', server.url], env)).stdout, expected);
  });
}

test("shell starts the user's shell, says who one is there, and that the session has ended", async (t) => {
  const { cli, server, sessions } = await setup(t);
  const shell = join(cli.home, 'my-shell');
  writeFileSync(shell, '#!/bin/sh\necho "args: $#"; exit 3\n', { mode: 0o755 });
  const ran = await cli.run(['shell', '--server', server.url], { SHELL: shell });
  t.like(ran, { code: 3, stdout: 'args: 0\n' });
  t.is(
    ran.stderr,
    'tka: a shell as alice@example.com, role view, at prod, for 7h59m. Leave it with exit: the session ends then.\n' +
      'tka: the session has ended.\n',
  );
  t.deepEqual(sessions.ended, ['alice-view']);
  const quiet = await cli.run(['shell', '--server', server.url, '-q'], { SHELL: shell });
  t.is(quiet.stderr, '');
});

test('a shell whose session is about to end says so', async (t) => {
  const { cli, server } = await setup(t, { lastsMs: 50_000 });
  const ran = await cli.run(['shell', '--server', server.url, '--', 'true']);
  t.regex(ran.stderr, /^tka: this session ends in [34]\ds\. Extend it: tka renew\n/);
});

test('a login that is refused leaves nothing', async (t) => {
  const { cli, server, sessions, exec } = await setup(t);
  server.answer('POST /api/v1alpha1/login', (_, response) =>
    sendJson(response, 403, { message: 'no', advice: ['ask'], code: 'no_grant' }),
  );
  const ran = await exec('echo', 'never');
  t.like(ran, { code: 3, stdout: '' });
  t.regex(ran.stderr, /^error: /);
  t.deepEqual(sessions.ended, []);
  t.deepEqual(left(cli), []);
});

test('a restarting server is waited for', async (t) => {
  const { server, sessions, exec } = await setup(t);
  let asked = 0;
  server.answer('GET /api/v1alpha1/sessions', (_, response) => {
    asked += 1;
    if (asked < 2) sendJson(response, 503, { message: 'not yet', advice: [], code: 'unavailable' });
    else sendJson(response, 200, { sessions: [] });
  });
  t.is((await exec('true')).code, 0);
  t.deepEqual(sessions.ended, ['alice-view']);
});

test('a server that is away is exit code 4', async (t) => {
  const { cli, server, exec } = await setup(t);
  server.answer('GET /api/v1alpha1/sessions', (_, response) => void response.writeHead(404).end('404 page not found'));
  const ran = await exec('true');
  t.is(ran.code, 4);
  t.regex(ran.stderr, /is not a tka server/);
  t.deepEqual(left(cli), []);
});

test('exec without a command is a mistake', async (t) => {
  const { cli } = await setup(t);
  t.is((await cli.run(['exec'])).code, 2);
});
