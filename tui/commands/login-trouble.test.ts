/** What can be out of order with a login, one test each: what it says, the remedy, the exit code. */
import { chmodSync, chownSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import anyTest from 'ava';
import { answers, calls, filesUnder, inHours, prepare, refusal, session } from '../testing/command.ts';
import { readCredential } from '../credential/cache.ts';
import { sendJson, stubKubeconfig, stubToken, stubWhoami } from '../testing/stub-server.ts';

// One child at a time: many at once are slow enough to run into the command's own time-outs.
const test = anyTest.serial;

/** It mounts a file system, or becomes another user. */
const [asRoot, why] = process.getuid?.() === 0 ? [test, ''] : [test.skip, ': needs root'];
const { script, setup, remove } = await prepare();
test.after.always(remove);

test('no grant, a role that is not granted, an ambiguous grant and too long a period say what to do', async (t) => {
  const rules = [
    { role: 'view', period: '1h', priority: 10 },
    { role: 'edit', period: '30m', priority: 10, namespaces: ['dev'] },
  ];
  const { stub, cli } = await setup(t, {
    [calls.whoami]: answers(200, { ...stubWhoami({ username: 'alice', role: 'x' }), rules }),
  });
  const cases: readonly [string[], number, string, string, number, RegExp][] = [
    [['--role', 'admin'], 403, 'role_not_granted', 'not granted', 3, /granted roles: view, edit\n.*--role.*tka roles/],
    [[], 400, 'ambiguous_grant', 'several rules', 1, /view in the whole cluster.*\n.*edit in dev.*\n.*--role/],
    [
      ['--role', 'view', '--period', '9h'],
      422,
      'unprocessable',
      '1h at most',
      3,
      /grants view in the whole cluster for 1h/,
    ],
  ];
  for (const [flags, status, code, message, exitCode, advice] of cases) {
    stub.answer(calls.login, refusal(status, code, message));
    const ran = await cli.run(['login', '--server', stub.url, ...flags]);
    t.like(ran, { code: exitCode, stdout: '' });
    t.regex(ran.stderr, new RegExp(`^error: ${message}\n`));
    t.regex(ran.stderr, advice);
  }
});

test('where the server says itself what is granted, it is not asked again', async (t) => {
  const { stub, cli } = await setup(t, { [calls.login]: refusal(403, 'role_not_granted', 'no', ['granted roles: a']) });
  await cli.run(['login', '--server', stub.url, '--role', 'b']);
  t.false(stub.calls.includes(calls.whoami));
});

test('a request that cannot be honoured for another reason than its period has no advice about that', async (t) => {
  const { stub, cli } = await setup(t, {
    [calls.login]: refusal(422, 'unprocessable', 'the namespace dev does not exist', ['correct the rule']),
  });
  const ran = await cli.run(['login', '--server', stub.url, '--period', '20m']);
  t.deepEqual(ran, { code: 1, stdout: '', stderr: 'error: the namespace dev does not exist\n  correct the rule\n' });
});

test('a server from before sessions had names is refused as older', async (t) => {
  const { stub, cli } = await setup(t, {
    [calls.login]: answers(202, { username: 'alice', role: 'view', until: inHours(1) }, { 'retry-after': '1' }),
    [calls.wellKnown]: (_, response) => void response.writeHead(404, { 'content-type': 'text/plain' }).end('no page'),
  });
  const ran = await cli.run(['login', '--server', stub.url]);
  t.like(ran, { code: 1, stdout: '' });
  t.regex(ran.stderr, /is older than this command.*\n.*updated/);
  t.deepEqual(filesUnder(join(cli.home, '.kube')), []);
});

test('a server that no longer speaks v1alpha1 is refused as newer', async (t) => {
  const { stub, cli } = await setup(t, {
    [calls.login]: refusal(404, 'not_found'),
    [calls.wellKnown]: answers(200, { cluster: 'a', labels: {}, version: '9', modes: [], api: ['v2', 'v3'] }),
  });
  const ran = await cli.run(['login', '--server', stub.url]);
  t.like(ran, { code: 1, stdout: '' });
  t.regex(ran.stderr, /is newer than this command: it speaks v2, v3, not v1alpha1\n.*Update tka/);
});

for (const [minutes, direction] of [
  [-10, 'ahead of'],
  [10, 'behind'],
] as const) {
  test(`a clock ${direction} the server's is warned of, and what is left is right`, async (t) => {
    const serverNow = Date.now() + minutes * 60_000;
    const date = { date: new Date(serverNow).toUTCString() };
    const until = new Date(serverNow + 3_630_000).toISOString();
    const token = stubToken(new Date(until));
    const { stub, cli } = await setup(t, {
      [calls.login]: answers(200, { session, username: 'a', role: 'view', until }, date),
      [calls.kubeconfig]: answers(200, stubKubeconfig(token), date),
      [calls.wellKnown]: answers(200, { cluster: 'prod', labels: {}, version: '9', modes: ['direct'] }, date),
    });
    const ran = await cli.run(['login', '--server', stub.url]);
    t.is(ran.code, 0, ran.stderr);
    t.regex(ran.stderr, new RegExp(`the clock of this machine is (9|10)m ${direction}`));
    t.regex(ran.stderr, /for 1h00m/);
    const kept = readCredential({ HOME: cli.home }, { server: stub.url, session });
    // Never later than the token is good by this machine's clock.
    t.true(Date.parse(kept?.expiresAt ?? '') <= Date.now() + 3_640_000);
  });
}

test('a restarting server is waited for', async (t) => {
  let asked = 0;
  const { stub, cli } = await setup(t);
  stub.answer(calls.login, (_, response) => {
    asked += 1;
    if (asked === 1) response.socket?.destroy();
    else if (asked < 4) sendJson(response, 503, { message: 'the engine is away', advice: [], code: 'unavailable' });
    else sendJson(response, 200, { session, username: 'a', role: 'view', until: inHours(1) });
  });
  const ran = await cli.run(['login', '--server', stub.url]);
  t.is(ran.code, 0, ran.stderr);
  t.regex(ran.stderr, /warning: .*trying again/);
});

test('a server that stays out of order is exit code 4 when the time is up', async (t) => {
  const { stub, cli } = await setup(t, { [calls.login]: refusal(503, 'unavailable', 'the engine is away') });
  const ran = await cli.run(['login', '--server', stub.url, '--timeout', '2s']);
  t.is(ran.code, 4);
  t.regex(ran.stderr, /error: the engine is away/);
});

test('a session that ends under way says so', async (t) => {
  const { stub, cli } = await setup(t, { [calls.kubeconfig]: refusal(404, 'not_found') });
  const ran = await cli.run(['login', '--server', stub.url]);
  t.like(ran, { code: 3, stdout: '' });
  t.regex(ran.stderr, /the session alice-0123456789 at http\S+ has ended\n.*tka login/);
});

const damages: readonly [string, (path: string) => void, RegExp][] = [
  ['invalid YAML', (path) => writeFileSync(path, 'a: [\n'), /is not valid YAML: .*\n.*--kubeconfig/],
  ['read-only', (path) => writeFileSync(path, '', { mode: 0o400 }), /cannot be written: it is read-only\n.*writable/],
  ['a directory', (path) => mkdirSync(path), /is a directory\n.*--kubeconfig/],
];
for (const [what, damage, says] of damages) {
  test(`a kubeconfig that is ${what} fails before a session is opened`, async (t) => {
    const { stub, cli } = await setup(t);
    mkdirSync(dirname(cli.kubeconfig));
    damage(cli.kubeconfig);
    const ran = await cli.run(['login', '--server', stub.url]);
    t.like(ran, { code: 1, stdout: '' });
    t.regex(ran.stderr, says);
    t.deepEqual(stub.calls, []);
  });
}

asRoot(`a kubeconfig on a full disk fails before a session is opened${why}`, async (t) => {
  const { stub, cli } = await setup(t);
  mkdirSync(dirname(cli.kubeconfig));
  const script = 'mount -t tmpfs -o size=64k none "$1" && { head -c 1M /dev/zero >"$1/rest"; shift; exec "$@"; }';
  const wrapper = ['unshare', '--mount', 'sh', '-c', script, 'sh', dirname(cli.kubeconfig)];
  const ran = await cli.run(['login', '--server', stub.url], {}, { wrapper });
  t.like(ran, { code: 1, stdout: '' });
  t.regex(ran.stderr, /cannot be written: no space left on its file system\n.*Free some space/);
  t.deepEqual(stub.calls, []);
});

asRoot(
  "a kubeconfig of another user fails before a session is opened, though its directory is the user's own",
  async (t) => {
    const { stub, cli } = await setup(t);
    mkdirSync(dirname(cli.kubeconfig));
    writeFileSync(cli.kubeconfig, '', { mode: 0o644 });
    const nobody = 65_534;
    for (const path of [cli.home, dirname(cli.kubeconfig)]) chownSync(path, nobody, nobody);
    chmodSync(dirname(script), 0o755);
    const wrapper = ['setpriv', `--reuid=${nobody}`, `--regid=${nobody}`, '--clear-groups'];
    const ran = await cli.run(['login', '--server', stub.url], {}, { wrapper });
    t.like(ran, { code: 1, stdout: '' });
    t.regex(ran.stderr, /cannot be written: permission denied\n.*--kubeconfig/);
    t.deepEqual(stub.calls, []);
  },
);

test('a lock that is held is told after a second, and no session is opened before it is given back', async (t) => {
  const { stub, cli } = await setup(t);
  mkdirSync(dirname(cli.kubeconfig));
  writeFileSync(`${cli.kubeconfig}.lock`, '');
  const { child, ended } = cli.start(['login', '--server', stub.url]);
  child.stderr?.once('data', () => {
    t.deepEqual(stub.calls, []);
    rmSync(`${cli.kubeconfig}.lock`);
  });
  const ran = await ended;
  t.is(ran.code, 0, ran.stderr);
  t.regex(ran.stderr, /^warning: waiting for the lock \S+\.lock, held by kubectl or another program since/);
  t.true(stub.calls.includes(calls.login));
});

test('a kubeconfig that breaks while the session is opened fails, and says that the session is still active', async (t) => {
  const { stub, cli } = await setup(t);
  const usual = answers(200, stubKubeconfig(stubToken(new Date(inHours(1)))));
  stub.answer(calls.kubeconfig, (request, response) => {
    writeFileSync(cli.kubeconfig, 'a: [\n');
    return usual(request, response);
  });
  const ran = await cli.run(['login', '--server', stub.url]);
  t.like(ran, { code: 1, stdout: '' });
  t.regex(ran.stderr, /is not valid YAML/);
  t.regex(
    ran.stderr,
    /Session alice-0123456789 is still active on the server\. .*tka logout --session alice-0123456789/,
  );
});
