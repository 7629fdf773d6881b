/** What people type today, by the real command: it works, and what has become of it is said in one line. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import anyTest from 'ava';
import { calls, prepare } from '../testing/command.ts';
import { sendJson } from '../testing/stub-server.ts';

// One child at a time: many at once are slow enough to run into the command's own time-outs.
const test = anyTest.serial;
const { setup, remove } = await prepare();
test.after.always(remove);

test('get login and get signin list the sessions', async (t) => {
  const { stub, cli } = await setup(t);
  for (const name of ['login', 'signin']) {
    const ran = await cli.run(['get', name, '--long', '-s', stub.url]);
    t.is(ran.code, 0, ran.stderr);
    t.regex(ran.stdout, /alice-0123456789/);
    t.is(ran.stderr, '--long has no effect: use -o yaml to see everything.\n');
  }
});

test('get kubeconfig prints it, and says where kubectl gets one', async (t) => {
  const { stub, cli } = await setup(t);
  await cli.run(['login', '-s', stub.url]);
  const ran = await cli.run(['get', 'kubeconfig', '-s', stub.url]);
  t.is(ran.code, 0, ran.stderr);
  t.regex(ran.stdout, /^apiVersion: v1\n/);
  t.regex(ran.stderr, /^`tka kubeconfig` only prints it; use `tka login` to configure kubectl\.\n$/);
  t.is((await cli.run(['generate', 'kubeconfig', '-q', '-s', stub.url])).stderr, '');
});

test('keys of the configuration are set and read as before', async (t) => {
  const { cli } = await setup(t);
  const path = join(cli.home, '.config', 'tka', 'config.yaml');
  t.is((await cli.run(['config', 'output.theme', 'dark', '--force'])).code, 0);
  t.is((await cli.run(['set', 'config', 'tailscale.hostname', 'tka-prod'])).code, 0);
  t.regex(readFileSync(path, 'utf8'), /theme: dark\n/);
  t.is((await cli.run(['get', 'config', 'tailscale.hostname'])).stdout, 'tka-prod\n');
  t.is((await cli.run(['config', 'output.theme'])).stdout, 'dark\n');
  t.is((await cli.run(['get', 'config', '--filename', '--quiet'])).stdout, `${path}\n`);
  t.regex((await cli.run(['get', 'config', 'output.theme', '--filename'])).stdout, /config\.yaml\ndark\n$/);
  t.like(await cli.run(['get', 'config', 'output.theme', '--filename', '-q']), { code: 2, stdout: '' });
  t.regex((await cli.run(['get', 'config'])).stdout, /output\.theme +dark/);
});

test('output.quiet silences words, and a file that is broken is still complained of', async (t) => {
  const { stub, cli } = await setup(t);
  t.regex((await cli.run(['login', '-s', stub.url])).stderr, /^Logged in as /);
  await cli.run(['config', 'output.quiet', 'true', '--force']);
  t.like(await cli.run(['login', '-s', stub.url]), { code: 0, stderr: '' });
  writeFileSync(join(cli.home, '.config', 'tka', 'config.yaml'), 'output: {quiet: [');
  t.regex((await cli.run(['config', 'list'])).stderr, /^error: .*config\.yaml is not valid YAML/);
});

test('generate integration is the integration', async (t) => {
  const { cli } = await setup(t);
  const now = await cli.run(['integration', 'bash']);
  t.is((await cli.run(['generate', 'integration', 'bash'])).stdout, now.stdout);
  t.regex(now.stdout, /tka\(\)/);
});

for (const name of ['reauthenticate', 'reauth', 'refresh']) {
  test(`${name} renews, and logs in where there is nothing to renew`, async (t) => {
    const { stub, cli } = await setup(t);
    const whoami = { subject: 's|user:1', username: 'alice@example.com', node: 'laptop', tags: [], dropped: [] };
    stub.answer('GET /api/v1alpha1/whoami', (_, response) =>
      sendJson(response, 200, { ...whoami, rules: [{ role: 'view', period: '8h', priority: 1 }] }),
    );
    stub.answer('GET /api/v1alpha1/sessions', (_, response) => sendJson(response, 200, { sessions: [] }));
    const first = await cli.run([name, '-s', stub.url]);
    t.is(first.code, 0, first.stderr);
    t.regex(first.stderr, /^No session to renew: logging in\.\nLogged in /);
    stub.answer('GET /api/v1alpha1/sessions', (_, response) => {
      const until = new Date(Date.now() + 3_600_000).toISOString();
      const session = { session: 'alice-0123456789', username: 'alice@example.com', role: 'view', until, ready: true };
      sendJson(response, 200, { sessions: [session] });
    });
    const second = await cli.run([name]);
    t.is(second.code, 0, second.stderr);
    t.regex(second.stderr, /^Renewed alice-0123456789/);
  });
}

test('a failure that is no missing session does not become a login', async (t) => {
  const { stub, cli } = await setup(t);
  stub.answer('GET /api/v1alpha1/sessions', (_, response) => void response.socket?.destroy());
  t.is((await cli.run(['refresh', '-s', stub.url, '--timeout', '1s'])).code, 4);
  t.false(stub.calls.includes(calls.login));
});

test('--no-eval leaves the shell that it is typed in as it is', async (t) => {
  const { stub, cli } = await setup(t);
  const file = join(cli.home, 'changes');
  const env = { TKA_ENV_FILE: file, TKA_ENV_SHELL: 'bash', TKA_SHELL_PID: String(process.pid) };
  writeFileSync(file, '', { mode: 0o600 });
  t.is((await cli.run(['login', '-e', '-s', stub.url], env)).code, 0);
  t.is(readFileSync(file, 'utf8'), '');
  const touching = await cli.run(['login', '-s', stub.url], env);
  t.is(touching.code, 0, touching.stderr);
  t.regex(readFileSync(file, 'utf8'), /KUBECONFIG=/);
});

test('login --shell is the shell, and says so', async (t) => {
  const { stub, cli } = await setup(t);
  const ran = await cli.run(['login', '--shell', '-s', stub.url], { SHELL: '/bin/true' });
  t.is(ran.code, 0, ran.stderr);
  t.regex(ran.stderr, /^`tka login --shell` is `tka shell` now\.\n/);
});

test('none of them is in the help, nor an unknown command without a hint', async (t) => {
  const { cli } = await setup(t);
  const { stdout } = await cli.run(['help']);
  for (const name of ['signin', 'signout', 'auth', 'reauth', 'refresh', 'generate', 'no-eval', 'debug']) {
    t.notRegex(stdout, new RegExp(String.raw`(^|[\s|-])${name}\b`, 'm'), name);
  }
  t.like(await cli.run(['get']), { code: 2, stdout: '' });
});
