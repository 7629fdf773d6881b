/**
 * The command against a server that means harm, as the bundled program that people run. Whatever the server says: no control
 * character reaches the terminal, nothing that was not checked reaches a file, and the command ends in time with an error
 * that a person can read.
 */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import anyTest, { type ExecutionContext } from 'ava';
import { parse } from 'yaml';
import { buildCli, type Cli, createCli, type Ran } from '../testing/cli.ts';
import {
  evil,
  refusedKubeconfigs,
  sanitizedKubeconfigs,
  unprintable,
  wildAnswers,
} from '../testing/hostile-answers.ts';
import { logIn } from '../sessions/login.ts';
import { type Handler, sendJson, startStubServer, type StubServer } from '../testing/stub-server.ts';
import { createTestRuntime } from '../testing/tailscaled.ts';

// One child at a time: many at once are slow enough to run into the command's own time-outs.
const test = anyTest.serial;
const directory = mkdtempSync(join(tmpdir(), 'tka-cli-'));
const script = await buildCli(directory);
test.after.always(() => rmSync(directory, { recursive: true, force: true }));

interface Attack {
  readonly stub: StubServer;
  readonly cli: Cli;
  readonly tka: (...args: readonly string[]) => Promise<Ran>;
}

async function attack(t: ExecutionContext, answers: Readonly<Record<string, Handler>>): Promise<Attack> {
  const stub = await startStubServer();
  t.teardown(() => stub.close());
  for (const [call, handler] of Object.entries(answers)) stub.answer(call, handler);
  const cli = createCli(t, script);
  return { stub, cli, tka: (...args) => cli.run([...args, '--server', stub.url]) };
}

/** Nothing for a terminal to obey, no stack, and an error that begins as errors do. */
function assertReadable(t: ExecutionContext, { code, stdout, stderr }: Ran, codes: readonly number[]): void {
  t.true(codes.includes(code ?? -1), `exit code ${code}: ${stderr}`);
  t.notRegex(stdout + stderr, unprintable);
  t.notRegex(stderr, /\n\s+at |this is a bug/);
  if (code !== 0) t.regex(stderr, /^(warning: .*\n)*error: /);
  t.true(stderr.length < 20_000, `${stderr.length} characters of error`);
}

function assertNothingWritten(t: ExecutionContext, { home }: Cli): void {
  const files = readdirSync(home, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => !path.includes('/compiled/'));
  t.deepEqual(files, []);
}

const json =
  (value: unknown): Handler =>
  (_, response) =>
    sendJson(response, 200, value);

for (const [what, kubeconfig] of refusedKubeconfigs) {
  test(`a kubeconfig with ${what} is refused, and nothing is written`, async (t) => {
    const { cli, tka } = await attack(t, { 'GET /api/v1alpha1/kubeconfig': json(kubeconfig) });
    const both = [tka('login'), tka('kubeconfig', '--session', 'alice-0123456789')];
    for (const ran of await Promise.all(both)) {
      assertReadable(t, ran, [1]);
      t.is(ran.stdout, '');
    }
    assertNothingWritten(t, cli);
  });
}

for (const [what, kubeconfig] of sanitizedKubeconfigs) {
  test(`of a kubeconfig with ${what} only the way to the cluster is taken`, async (t) => {
    const { cli, tka } = await attack(t, { 'GET /api/v1alpha1/kubeconfig': json(kubeconfig) });
    assertReadable(t, await tka('login', '--inline-token'), [0]);
    const text = readFileSync(cli.kubeconfig, 'utf8');
    t.notRegex(text, /pwned|\/bin\/sh|touch/);
    t.notRegex(text, unprintable);
    // Written by the command under test; a wrong shape fails the assertions.
    const written = parse(text) as Record<'clusters' | 'users' | 'contexts', Record<string, Record<string, unknown>>[]>;
    t.deepEqual([written.clusters.length, written.users.length, written.contexts.length], [1, 1, 1]);
    t.deepEqual(Object.keys(written.users[0]?.['user'] ?? {}).sort(), ['extensions', 'token']);
    const fields = ['certificate-authority-data', 'extensions', 'server'];
    t.deepEqual(Object.keys(written.clusters[0]?.['cluster'] ?? {}).sort(), fields);
    t.is(written.clusters[0]?.['cluster']?.['server'], 'https://127.0.0.1:6443');
    const printed = await tka('kubeconfig', '--session', 'alice-0123456789');
    assertReadable(t, printed, [0]);
    t.notRegex(printed.stdout, /pwned|\/bin\/sh|touch/);
  });
}

for (const [what, answer] of wildAnswers) {
  const wild: Handler = (_, response) => answer(response);
  test(`${what} in place of a session or a kubeconfig is an error in time, and nothing is written`, async (t) => {
    const calls = ['POST /api/v1alpha1/login', 'GET /api/v1alpha1/kubeconfig'];
    await Promise.all(
      calls.map(async (call) => {
        const { cli, tka } = await attack(t, { [call]: wild });
        const ran = await tka('login', '--timeout', '5s');
        assertReadable(t, ran, [1, 3, 4]);
        t.is(ran.stdout, '');
        assertNothingWritten(t, cli);
      }),
    );
  });

  test(`${what} in place of everything else stops no command from ending in time`, async (t) => {
    const calls = ['whoami', 'sessions', 'cluster-info'].map((call) => `GET /api/v1alpha1/${call}`);
    const everywhere = [...calls, 'GET /.well-known/tka', 'POST /api/v1alpha1/logout'];
    const { tka } = await attack(t, Object.fromEntries(everywhere.map((call) => [call, wild])));
    const commands = [['whoami'], ['roles'], ['status'], ['cluster-info'], ['version'], ['logout']];
    for (const [command = '', ran] of await Promise.all(
      commands.map(async ([command = '']) => [command, await tka(command, '--timeout', '5s')] as const),
    )) {
      // Of the answer to a logout nothing is read.
      assertReadable(t, ran, command === 'logout' ? [0, 1, 3, 4] : [1, 3, 4]);
    }
  });
}

const until = new Date(Date.now() + 3_600_000).toISOString();
const session = { session: 'alice-0123456789', username: evil, role: evil, until, namespaces: [evil] };

test('what a session says of itself is shown without its escapes, in every form', async (t) => {
  const { cli, tka } = await attack(t, {
    'POST /api/v1alpha1/login': json(session),
    'GET /.well-known/tka': json({ cluster: evil, labels: { [evil]: evil }, version: evil, modes: [evil, 'direct'] }),
  });
  for (const form of [[], ['-o', 'json'], ['-o', 'yaml'], ['-o', 'name']]) {
    assertReadable(t, await tka('login', ...form), [0]);
  }
  t.notRegex(readFileSync(cli.kubeconfig, 'utf8'), unprintable);
  t.notRegex(readFileSync(cli.kubeconfig, 'utf8'), /\$\(|`|\.\.\//);
});

test('what the stages of a login say is fit for a screen', async (t) => {
  const rule = { role: evil, period: evil, priority: 1, namespaces: [evil] };
  const { stub } = await attack(t, {
    'POST /api/v1alpha1/login': json(session),
    'GET /.well-known/tka': json({ cluster: evil, labels: {}, version: evil, modes: [evil] }),
    'GET /api/v1alpha1/whoami': json({
      subject: evil,
      username: evil,
      node: evil,
      tags: [evil],
      rules: [rule],
      dropped: [],
    }),
  });
  const runtime = createTestRuntime(t);
  const said: unknown[] = [];
  const done = await logIn(runtime, {
    flags: { server: stub.url },
    stepwise: true,
    onStage: (report) => void said.push(report),
    warn: (line) => void said.push(line),
  });
  t.true(said.length > 6);
  t.notRegex(JSON.stringify([said, done]), /\\u00|\\[nr]/);
  t.notRegex(JSON.stringify([said, done]), unprintable);
});

for (const [what, answer] of Object.entries({
  'a session with a path for a name': { ...session, session: '../../pwned' },
  'a session with an argument for a name': { ...session, session: '--server=http://pwned' },
  'a session with shell text for a name': { ...session, session: '$(touch pwned)' },
  'a session with a name of 10 kB': { ...session, session: 'a'.repeat(10_000) },
  'a session without a name': { ...session, session: undefined },
  'a session that ends never': { ...session, until: evil },
  'a session of other types': { ...session, username: { evil }, namespaces: evil },
})) {
  test(`${what} is refused, and nothing is written`, async (t) => {
    const { cli, tka } = await attack(t, { 'POST /api/v1alpha1/login': json(answer) });
    assertReadable(t, await tka('login'), [1]);
    assertNothingWritten(t, cli);
  });
}

test('an answer that comes drop by drop is given up at the end of the time', async (t) => {
  const { cli, tka } = await attack(t, {
    'POST /api/v1alpha1/login': (_, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      const timer = setInterval(() => response.write(' '), 50);
      response.on('close', () => clearInterval(timer));
    },
  });
  const ran = await tka('login', '--timeout', '1s');
  assertReadable(t, ran, [4]);
  assertNothingWritten(t, cli);
});

for (const retryAfter of ['0', '-1', '1e9', evil.replaceAll(/[^ -~]/g, '')]) {
  test(`a server that is never done, and says Retry-After: ${retryAfter.slice(0, 5)}, is given up`, async (t) => {
    const never: Handler = (_, response) => sendJson(response, 202, session, { 'retry-after': retryAfter });
    const { stub, cli, tka } = await attack(t, {
      'POST /api/v1alpha1/login': never,
      'GET /api/v1alpha1/login': never,
    });
    assertReadable(t, await tka('login', '--timeout', '1s'), [4]);
    t.true(stub.calls.length < 30, `${stub.calls.length} calls in a second`);
    assertNothingWritten(t, cli);
  });
}

test('lists are shown without escapes, in every form', async (t) => {
  const rule = { role: evil, period: evil, priority: 1, namespaces: [evil] };
  const { tka } = await attack(t, {
    'GET /api/v1alpha1/whoami': json({
      subject: evil,
      username: evil,
      node: evil,
      tags: [evil],
      rules: [rule],
      dropped: [{ rule: evil, reason: evil }],
    }),
    'GET /api/v1alpha1/sessions': json({ sessions: [{ ...session, session: evil, ready: true }] }),
    'GET /api/v1alpha1/cluster-info': json({
      server_url: evil,
      insecure_skip_tls_verify: true,
      ca_data: evil,
      labels: { [evil]: evil, ['__proto__']: evil },
    }),
    'GET /.well-known/tka': json({ cluster: evil, labels: { [evil]: evil }, version: evil, modes: [evil] }),
  });
  for (const command of ['whoami', 'roles', 'status', 'cluster-info', 'version']) {
    for (const form of command === 'version'
      ? [[], ['-o', 'json']]
      : [[], ['-o', 'json'], ['-o', 'yaml'], ['-o', 'name']]) {
      const ran = await tka(command, ...form);
      assertReadable(t, ran, [0, 1]);
      if (form[1] === 'json' && ran.code === 0) t.notRegex(JSON.stringify(JSON.parse(ran.stdout)), /\\u00|\\[nr]/);
    }
  }
});

test('the credential plugin gives kubectl nothing that is no token, and its error is one line', async (t) => {
  for (const [, kubeconfig] of refusedKubeconfigs.slice(0, 16)) {
    const { cli, tka } = await attack(t, { 'GET /api/v1alpha1/kubeconfig': json(kubeconfig) });
    const ran = await tka('credential', '--session', 'alice-0123456789');
    assertReadable(t, ran, [1]);
    t.is(ran.stdout, '');
    t.regex(ran.stderr, /^[^\n]*\n$/);
    t.false(existsSync(join(cli.home, '.cache', 'tka', 'credentials', encodeURIComponent('x'))));
    assertNothingWritten(t, cli);
  }
});
