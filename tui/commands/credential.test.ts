import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import anyTest, { type ExecutionContext } from 'ava';
import { buildCli, createCli } from '../testing/cli.ts';
import { type Credential, readCredential, writeCredential } from '../credential/cache.ts';
import { sendJson, startStubServer, stubKubeconfig, type StubServer, stubToken } from '../testing/stub-server.ts';

// One child at a time: many at once are slow enough to run into the command's own time-outs.
const test = anyTest.serial;
const directory = mkdtempSync(join(tmpdir(), 'tka-cli-'));
const script = await buildCli(directory);
test.after.always(() => rmSync(directory, { recursive: true, force: true }));

const session = 'alice-0123456789';
const kubeconfigCall = 'GET /api/v1alpha1/kubeconfig';
const inMs = (ms: number): Date => new Date(Math.floor((Date.now() + ms) / 1000) * 1000);

async function setup(t: ExecutionContext) {
  const stub = await startStubServer();
  t.teardown(() => stub.close());
  const cli = createCli(t, script);
  const env = { HOME: cli.home };
  const key = { server: stub.url, session };
  const cache = (lifeMs: number, changes: Partial<Credential> = {}): Credential => {
    const end = inMs(lifeMs);
    const credential = {
      ...key,
      token: stubToken(end),
      expiresAt: end.toISOString(),
      until: end.toISOString(),
      ...changes,
    };
    writeCredential(env, credential);
    return credential;
  };
  const args = ['credential', '--server', stub.url, '--session', session];
  return { stub, cli, env, key, cache, args };
}

function status(stdout: string): unknown {
  const answer = JSON.parse(stdout) as { kind: string; apiVersion: string; status: unknown };
  return answer.kind === 'ExecCredential' && answer.apiVersion === 'client.authentication.k8s.io/v1'
    ? answer.status
    : answer;
}

function refuse(stub: StubServer, code: number, body: object): void {
  stub.answer(kubeconfigCall, (_, response) => sendJson(response, code, body));
}

test('a good credential comes from the cache, and the server hears nothing of it', async (t) => {
  const { stub, cli, cache, args } = await setup(t);
  const { token, expiresAt } = cache(3_600_000);
  const ran = await cli.run(args);
  t.like(ran, { code: 0, stderr: '' });
  t.deepEqual(status(ran.stdout), { token, expirationTimestamp: expiresAt });
  t.deepEqual(stub.calls, []);
});

test('without one in the cache the server is asked once, and the answer is kept for the user alone', async (t) => {
  const { stub, cli, env, key, args } = await setup(t);
  const end = inMs(3_600_000);
  stub.answer(kubeconfigCall, (_, response) => sendJson(response, 200, stubKubeconfig(stubToken(end))));
  const ran = await cli.run(args);
  t.deepEqual(stub.calls, [`GET /api/v1alpha1/kubeconfig?session=${session}&root=true`]);
  const kept = readCredential(env, key);
  t.is(kept?.token, stubToken(end));
  t.deepEqual(status(ran.stdout), { token: stubToken(end), expirationTimestamp: kept?.expiresAt });
  const path = join(cli.home, '.cache/tka/credentials', encodeURIComponent(stub.url), `${session}.json`);
  t.is(statSync(path).mode & 0o777, 0o600);
  t.is(statSync(dirname(path)).mode & 0o777, 0o700);
  t.is(statSync(join(cli.home, '.cache/tka')).mode & 0o777, 0o700);
});

test('a credential about to end is replaced, and the new one lasts as long as its token says', async (t) => {
  const { stub, cli, cache, args } = await setup(t);
  cache(30_000);
  const end = inMs(3_600_000);
  stub.answer(kubeconfigCall, (_, response) => sendJson(response, 200, stubKubeconfig(stubToken(end))));
  const ran = await cli.run(args);
  t.deepEqual(status(ran.stdout), { token: stubToken(end), expirationTimestamp: end.toISOString() });
});

for (const [what, code, body] of [
  ['the session is about to end', 409, { message: 'about to end', advice: [], code: 'session_ending' }],
  ['the server is out of order', 503, { message: 'away', advice: [], code: 'unavailable' }],
] as const) {
  test(`where ${what}, what is left of the credential is used`, async (t) => {
    const { stub, cli, cache, args } = await setup(t);
    const { token } = cache(30_000);
    refuse(stub, code, body);
    const ran = await cli.run(args);
    t.like(ran, { code: 0, stderr: '' });
    t.like(status(ran.stdout), { token });
  });
}

for (const code of [401, 403, 404]) {
  test(`a session that is gone (${code}) is one line that says how to log in, and leaves no credential`, async (t) => {
    const { stub, cli, cache, env, key, args } = await setup(t);
    cache(30_000);
    refuse(stub, code, { message: 'not logged in', advice: ['x'], code: 'not_logged_in' });
    const ran = await cli.run(args);
    t.like(ran, { code: 3, stdout: '' });
    t.is(ran.stderr, `error: the session ${session} has ended: run \`tka login --server ${stub.url}\`\n`);
    t.is(readCredential(env, key), undefined);
  });
}

test('an unreachable server is one line and exit code 4', async (t) => {
  const { cli } = await setup(t);
  const ran = await cli.run(['credential', '--server', 'http://127.0.0.1:1', '--session', session]);
  t.like(ran, { code: 4, stdout: '' });
  t.regex(ran.stderr, /^error: [^\n]*127\.0\.0\.1:1[^\n]*\n$/);
});

test('the proxy of the login is used where the environment names none', async (t) => {
  const { stub, cli } = await setup(t);
  const asked: string[] = [];
  const proxy = createServer((request, response) => {
    asked.push(request.url ?? '');
    sendJson(response, 200, stubKubeconfig(stubToken(inMs(3_600_000))));
  });
  await new Promise<void>((resolve) => {
    proxy.listen(0, '127.0.0.1', resolve);
  });
  t.teardown(() => void proxy.close());
  // Listening on a port, so the address is not a pipe.
  const { port } = proxy.address() as AddressInfo;
  const proxied = ['credential', `--server=${stub.url}`, `--session=${session}`, `--proxy=http://127.0.0.1:${port}`];
  t.is((await cli.run(proxied)).code, 0);
  t.deepEqual(asked, [`${stub.url}/api/v1alpha1/kubeconfig?session=${session}&root=true`]);
});

test('a cache that others can write to is neither read nor written, nor is code kept in it', async (t) => {
  const { stub, cli, cache, args } = await setup(t);
  cache(3_600_000);
  const shared = join(cli.home, '.cache/tka');
  chmodSync(shared, 0o777);
  const credential = join(shared, 'credentials', encodeURIComponent(stub.url), `${session}.json`);
  const before = readFileSync(credential, 'utf8');
  t.is((await cli.run(args)).code, 0);
  t.is(stub.calls.length, 1);
  t.is(readFileSync(credential, 'utf8'), before);
  await cli.run(['--help']);
  t.deepEqual(readdirSync(join(shared, 'compiled')), []);
  chmodSync(shared, 0o700);
  await cli.run(['--help']);
  t.not(readdirSync(join(shared, 'compiled')).length, 0);
});

test('a cache that cannot be written does not keep kubectl from working', async (t) => {
  const { cli, args } = await setup(t);
  writeFileSync(join(cli.home, 'file'), '');
  const ran = await cli.run(args, { XDG_CACHE_HOME: join(cli.home, 'file') });
  t.like(ran, { code: 0, stderr: '' });
});

for (const [what, content] of [
  ['no JSON', '{'],
  ['another shape', '{"token":1}'],
  [
    'a token with a line break',
    JSON.stringify({
      server: 'S',
      session,
      token: 'a\nb',
      expiresAt: '2999-01-01T00:00:00Z',
      until: '2999-01-01T00:00:00Z',
    }),
  ],
] as const) {
  test(`a cache with ${what} is as good as none`, async (t) => {
    const { stub, cli, args } = await setup(t);
    const path = join(cli.home, '.cache/tka/credentials', encodeURIComponent(stub.url), `${session}.json`);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content.replace('"S"', JSON.stringify(stub.url)));
    t.is((await cli.run(args)).code, 0);
    t.is(stub.calls.length, 1);
    t.notThrows(() => {
      JSON.parse(readFileSync(path, 'utf8'));
    });
  });
}

const execInfo = (apiVersion: string) =>
  JSON.stringify({ apiVersion, kind: 'ExecCredential', spec: { interactive: false } });
const infos: readonly [string, string, number, RegExp][] = [
  ['v1', execInfo('client.authentication.k8s.io/v1'), 0, /^$/],
  ['v1beta1', execInfo('client.authentication.k8s.io/v1beta1'), 1, /v1beta1.*tka login/],
  ['no JSON', 'x', 1, /KUBERNETES_EXEC_INFO/],
];
for (const [what, info, code, stderr] of infos) {
  test(`kubectl's KUBERNETES_EXEC_INFO with ${what} ends with ${code}`, async (t) => {
    const { cli, cache, args } = await setup(t);
    cache(3_600_000);
    const ran = await cli.run(args, { KUBERNETES_EXEC_INFO: info });
    t.is(ran.code, code);
    t.regex(ran.stderr, stderr);
  });
}

for (const args of [
  [],
  ['--server', 'http://tka'],
  ['--session', 'x'],
  ['--server', 'http://tka', '--session', '../x'],
  ['--nope'],
]) {
  test(`credential ${args.join(' ')}: a mistake of use`, async (t) => {
    const { cli } = await setup(t);
    t.like(await cli.run(['credential', ...args]), { code: 2, stdout: '' });
  });
}
