import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import anyTest, { type ExecutionContext } from 'ava';
import { parse } from 'yaml';
import { buildCli, type Cli, createCli } from './cli-fixture.ts';
import { type Handler, sendJson, startStubServer, type StubServer, stubKubeconfig, stubToken } from './stub-server.ts';

// One child at a time: many at once are slow enough to run into the command's own time-outs.
const test = anyTest.serial;
const directory = mkdtempSync(join(tmpdir(), 'tka-cli-'));
const script = await buildCli(directory);
test.after.always(() => rmSync(directory, { recursive: true, force: true }));

const session = 'alice-0123456789';

async function setup(
  t: ExecutionContext,
  answers: Readonly<Record<string, Handler>> = {},
): Promise<{ stub: StubServer; cli: Cli }> {
  const stub = await startStubServer();
  t.teardown(() => stub.close());
  for (const [call, handler] of Object.entries(answers)) stub.answer(call, handler);
  return { stub, cli: createCli(t, script) };
}

interface Kubeconfig {
  readonly clusters: readonly { name: string; cluster: Record<string, unknown> }[];
  readonly users: readonly {
    name: string;
    user: Record<string, unknown> & { exec?: { command: string; args: string[] } };
  }[];
  readonly contexts: readonly { name: string; context: Record<string, unknown> }[];
  readonly 'current-context': string;
}

function read(path: string): Kubeconfig {
  // Written by the command under test; a wrong shape fails the assertion that looks at it.
  return parse(readFileSync(path, 'utf8')) as Kubeconfig;
}

function filesUnder(directory: string): string[] {
  return existsSync(directory)
    ? readdirSync(directory, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name))
    : [];
}

const refusal =
  (status: number, code: string, message = 'no', advice: string[] = []): Handler =>
  (_, response) =>
    sendJson(response, status, { message, advice, code });

test('login takes two requests, writes the entries and the cache, and prints the name of the context', async (t) => {
  const { stub, cli } = await setup(t);
  const ran = await cli.run(['login', '--server', stub.url, '--non-interactive']);
  t.like(ran, { code: 0, stdout: 'tka-prod\n' });
  t.regex(ran.stderr, /Logged in as alice@example\.com, role view/);
  t.deepEqual(stub.calls, ['POST /api/v1alpha1/login', `GET /api/v1alpha1/kubeconfig?session=${session}`]);
  const written = read(cli.kubeconfig);
  t.is(written['current-context'], 'tka-prod');
  t.is(written.clusters[0]?.cluster['server'], 'https://127.0.0.1:6443');
  const exec = written.users[0]?.user.exec;
  t.deepEqual(exec, {
    apiVersion: 'client.authentication.k8s.io/v1',
    command: process.execPath,
    args: [script, 'credential', `--server=${stub.url}`, `--session=${session}`],
    interactiveMode: 'Never',
    provideClusterInfo: false,
    installHint:
      'This cluster is reached with the tka command, which kubectl did not find. Install it, then run: tka login',
  } as never);
  t.is(statSync(cli.kubeconfig).mode & 0o777, 0o600);
  t.false(readFileSync(cli.kubeconfig, 'utf8').includes('c2lnbmF0dXJl'), 'the token is in the cache alone');
});

test('kubectl can run the entry as it is written, and gets the token without the server', async (t) => {
  const { stub, cli } = await setup(t);
  await cli.run(['login', '--server', stub.url, '-q']);
  const exec = read(cli.kubeconfig).users[0]?.user.exec;
  const before = stub.calls.length;
  const ran = await cli.run(exec?.args.slice(1) ?? []);
  t.regex(ran.stdout, /"kind":"ExecCredential"/);
  t.is(stub.calls.length, before);
});

test('where PATH leads to this command, the entry has its name alone', async (t) => {
  const { stub, cli } = await setup(t);
  const bin = join(cli.home, 'bin');
  mkdirSync(bin);
  symlinkSync(script, join(bin, 'tka'));
  chmodSync(script, 0o755);
  await cli.run(['login', '--server', stub.url, '-q'], { PATH: `/nowhere:${bin}` });
  t.is(read(cli.kubeconfig).users[0]?.user.exec?.command, 'tka');
});

test('a server that does not wait is polled', async (t) => {
  let polls = 0;
  const { stub, cli } = await setup(t, {
    'POST /api/v1alpha1/login': (_, response) =>
      sendJson(response, 202, { username: 'a', role: 'view', until: 'x' }, { 'retry-after': '0' }),
  });
  stub.answer('GET /api/v1alpha1/login', (_, response) => {
    polls += 1;
    const until = new Date(Date.now() + 3_600_000).toISOString();
    if (polls < 3) sendJson(response, 202, {}, { 'retry-after': '0' });
    else sendJson(response, 200, { session, username: 'a', role: 'view', until });
  });
  t.is((await cli.run(['login', '--server', stub.url, '-q'])).code, 0);
  t.is(polls, 3);
});

test('login -o json prints the whole session, and -q is quiet', async (t) => {
  const { stub, cli } = await setup(t);
  const ran = await cli.run(['login', '--server', stub.url, '-o', 'json', '-q', '--role', 'view', '--period', '90m']);
  t.is(ran.stderr, '');
  t.like(JSON.parse(ran.stdout), {
    session,
    username: 'alice@example.com',
    role: 'view',
    context: 'tka-prod',
    current: true,
    kubeconfig: cli.kubeconfig,
    server: stub.url,
  });
  t.deepEqual(JSON.parse(stub.requests[0]?.body ?? ''), { role: 'view', period: '90m' });
});

test('login --inline-token writes no plugin and keeps nothing in the cache', async (t) => {
  const { stub, cli } = await setup(t);
  await cli.run(['login', '--server', stub.url, '--inline-token']);
  const user = read(cli.kubeconfig).users[0]?.user;
  t.is(user?.exec, undefined);
  t.regex(String(user?.['token']), /\.c2lnbmF0dXJl$/);
  t.deepEqual(filesUnder(join(cli.home, '.cache', 'tka', 'credentials')), []);
});

test('another current-context stays without --use', async (t) => {
  const { stub, cli } = await setup(t);
  mkdirSync(dirname(cli.kubeconfig));
  writeFileSync(cli.kubeconfig, 'current-context: work\n');
  t.regex((await cli.run(['login', '--server', stub.url])).stderr, /kubectl --context tka-prod/);
  t.is(read(cli.kubeconfig)['current-context'], 'work');
  await cli.run(['login', '--server', stub.url, '--use']);
  t.is(read(cli.kubeconfig)['current-context'], 'tka-prod');
});

test('logout ends the session and removes what login wrote, and nothing else', async (t) => {
  const { stub, cli } = await setup(t);
  mkdirSync(dirname(cli.kubeconfig));
  const before = '# mine\nusers:\n- name: a\n  user:\n    token: b\ncurrent-context: ""\n';
  writeFileSync(cli.kubeconfig, before);
  await cli.run(['login', '--server', stub.url]);
  // Without --server: it goes on from the login.
  const ran = await cli.run(['logout']);
  t.is(ran.code, 0, ran.stderr);
  t.is(stub.calls.at(-1), 'POST /api/v1alpha1/logout');
  t.is(readFileSync(cli.kubeconfig, 'utf8').replace(/clusters: \[\]\ncontexts: \[\]\n/, ''), before);
  t.deepEqual(filesUnder(join(cli.home, '.cache', 'tka', 'credentials')), []);
});

test('logout --session names the session to the server, and leaves the others here', async (t) => {
  const { stub, cli } = await setup(t);
  await cli.run(['login', '--server', stub.url]);
  await cli.run(['logout', '--session', 'bob-1']);
  t.is(stub.requests.at(-1)?.body, '{"session":"bob-1"}');
  t.is(read(cli.kubeconfig).contexts.length, 1);
});

test('where the server cannot be reached logout removes nothing, unless --local', async (t) => {
  const { stub, cli } = await setup(t);
  await cli.run(['login', '--server', stub.url]);
  stub.answer('POST /api/v1alpha1/logout', (_, response) => void response.socket?.destroy());
  const failed = await cli.run(['logout']);
  t.is(failed.code, 4);
  t.regex(failed.stderr, /--local/);
  t.is(read(cli.kubeconfig).contexts.length, 1);
  t.is((await cli.run(['logout', '--local'])).code, 0);
  t.is(read(cli.kubeconfig).contexts.length, 0);
});

test('status lists sessions with their contexts and the time that is left', async (t) => {
  const { stub, cli } = await setup(t);
  await cli.run(['login', '--server', stub.url]);
  const table = await cli.run(['status']);
  t.regex(table.stdout, /^CURRENT\s+CONTEXT.*\n\*\s+tka-prod\s+alice-0123456789\s+view\s+ready\s+7h59m\n$/);
  const { sessions } = JSON.parse((await cli.run(['status', '-o', 'json'])).stdout) as {
    sessions: { remainingSeconds: number }[];
  };
  t.like(sessions, [{ session, state: 'ready', contexts: ['tka-prod'], current: true }]);
  t.true((sessions[0]?.remainingSeconds ?? 0) > 28_000);
});

test('status says what has ended, what is unknown, and that there is nothing', async (t) => {
  const { stub, cli } = await setup(t);
  stub.answer('GET /api/v1alpha1/sessions', (_, response) => sendJson(response, 200, { sessions: [] }));
  const none = await cli.run(['status', '--server', stub.url]);
  t.like(none, { code: 0, stdout: '' });
  t.regex(none.stderr, /tka login/);
  await cli.run(['login', '--server', stub.url]);
  t.regex((await cli.run(['status'])).stdout, /tka-prod .* ended /);
  stub.answer('GET /api/v1alpha1/sessions', (_, response) => void response.socket?.destroy());
  const away = await cli.run(['status']);
  t.is(away.code, 4);
  t.regex(away.stdout, /tka-prod .* unknown /);
});

test('kubeconfig prints one that is whole, and writes nothing', async (t) => {
  const { stub, cli } = await setup(t);
  const ran = await cli.run(['kubeconfig', '--server', stub.url, '--session', session]);
  t.is(ran.code, 0, ran.stderr);
  const printed = parse(ran.stdout) as Kubeconfig;
  t.like(printed, { apiVersion: 'v1', kind: 'Config', 'current-context': 'tka-prod' });
  t.regex(String(printed.users[0]?.user['token']), /\.c2lnbmF0dXJl$/);
  t.deepEqual(filesUnder(join(cli.home, '.kube')), []);
  t.deepEqual(stub.calls, [`GET /api/v1alpha1/kubeconfig?session=${session}`]);
});

test('version prints both versions, or this one without a word to the server', async (t) => {
  const { stub, cli } = await setup(t);
  t.is((await cli.run(['version', '--client'])).stdout, 'tka dev\n');
  t.is((await cli.run(['--version'])).stdout, 'tka dev\n');
  t.deepEqual(stub.calls, []);
  t.regex((await cli.run(['version', '-s', stub.url])).stdout, /^tka dev\nserver 9\.8\.7 /);
  t.deepEqual(JSON.parse((await cli.run(['version', '-o', 'json', '-s', stub.url])).stdout), {
    client: 'dev',
    server: { url: stub.url, version: '9.8.7' },
  });
});

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

test('a denied login is exit code 3, with the reason and the advice, and writes nothing', async (t) => {
  const { stub, cli } = await setup(t, {
    'POST /api/v1alpha1/login': refusal(403, 'no_grant', 'the policy grants you nothing', ['ask somebody']),
  });
  const ran = await cli.run(['login', '--server', stub.url]);
  t.deepEqual(ran, { code: 3, stdout: '', stderr: 'error: the policy grants you nothing\n  ask somebody\n' });
  t.deepEqual(filesUnder(join(cli.home, '.kube')), []);
});

test('a server that is not there is exit code 4', async (t) => {
  const ran = await createCli(t, script).run(['login', '--server', 'http://127.0.0.1:1']);
  t.is(ran.code, 4);
  t.regex(ran.stderr, /refuses the connection\n {2}Is this machine on the tailnet/);
});

for (const [server, env] of [
  ['http://tka', { ALL_PROXY: 'socks5h://127.0.0.1:1' }],
  ['https://tka', { HTTPS_PROXY: 'http://127.0.0.1:1' }],
  ['http://tka', { http_proxy: 'http://127.0.0.1:1' }],
] as const) {
  test(`a proxy that is not there (${JSON.stringify(env)}) is exit code 4, and is named`, async (t) => {
    const ran = await createCli(t, script).run(['login', '--server', server], env);
    t.is(ran.code, 4, ran.stderr);
    t.regex(
      ran.stderr,
      /^error: https?:\/\/tka, asked through the proxy \w+:\/\/127\.0\.0\.1:1, (refuses|cannot be reached)/,
    );
  });
}

test('a login that is not done in time is exit code 4', async (t) => {
  const { stub, cli } = await setup(t, { 'POST /api/v1alpha1/login': () => {} });
  const ran = await cli.run(['login', '--server', stub.url, '--timeout', '1s']);
  t.is(ran.code, 4);
  t.regex(ran.stderr, /not done within 1 s/);
});

test('the proxy variables are used, and what kubectl has to know of them is written', async (t) => {
  const { stub, cli } = await setup(t);
  stub.answer('GET /api/v1alpha1/kubeconfig', (_, response) => {
    const kubeconfig = stubKubeconfig(stubToken(new Date(Date.now() + 3_600_000)));
    sendJson(response, 200, JSON.parse(JSON.stringify(kubeconfig).replace('127.0.0.1:6443', 'prod.example')));
  });
  // The stub answers requests in absolute form, as a proxy would.
  const ran = await cli.run(['login', '--server', 'http://tka'], { ALL_PROXY: stub.url });
  t.is(ran.code, 0, ran.stderr);
  t.is(stub.requests[0]?.headers.host, 'tka');
  t.is(read(cli.kubeconfig).clusters[0]?.cluster['proxy-url'], stub.url);
  t.true(read(cli.kubeconfig).users[0]?.user.exec?.args.includes(`--proxy=${stub.url}`));
});

test('nothing of a hostile server reaches the kubeconfig or the terminal but what was checked', async (t) => {
  const evil = '\u001B]0;evil\u0007$(touch /tmp/pwned)';
  const { stub, cli } = await setup(t, {
    'POST /api/v1alpha1/login': (_, response) =>
      sendJson(response, 200, {
        session,
        username: `alice${evil}`,
        role: `view${evil}`,
        until: new Date(Date.now() + 3_600_000).toISOString(),
        namespaces: [`a${evil}`],
      }),
    'GET /api/v1alpha1/kubeconfig': (_, response) => {
      const plain = stubKubeconfig('a.b.c') as { clusters: { cluster: object }[] };
      sendJson(response, 200, {
        ...plain,
        clusters: [
          {
            name: `prod${evil}`,
            cluster: { ...plain.clusters[0]?.cluster, 'proxy-url': 'http://evil', 'certificate-authority': '/evil' },
          },
        ],
        users: [
          {
            name: evil,
            user: { token: 'a.b.c', tokenFile: '/evil', exec: { command: 'evil', args: [], apiVersion: 'v1' } },
          },
        ],
        contexts: [{ name: evil, context: { cluster: `prod${evil}`, user: evil, namespace: evil } }],
        'current-context': evil,
      });
    },
  });
  const ran = await cli.run(['login', '--server', stub.url]);
  t.is(ran.code, 0, ran.stderr);
  t.notRegex((ran.stdout + ran.stderr).replaceAll('\n', ''), /\p{Cc}/u);
  const written = readFileSync(cli.kubeconfig, 'utf8');
  t.is(ran.stdout, 'tka-prod-0-evil-touch-tmp-pwned\n');
  t.notRegex(written.replaceAll(ran.stdout.trim(), ''), /evil|pwned|\$|[^\P{Cc}\n]/u);
});

test('a session with a name that would leave its directory is refused before anything is written', async (t) => {
  const { stub, cli } = await setup(t, {
    'POST /api/v1alpha1/login': (_, response) =>
      sendJson(response, 200, { session: '../../evil', username: 'a', role: 'b', until: new Date().toISOString() }),
  });
  t.is((await cli.run(['login', '--server', stub.url])).code, 1);
  t.deepEqual(
    filesUnder(cli.home).filter((path) => !path.includes('/compiled/')),
    [],
  );
});

test('a server that wants certificates unchecked gets its way only with the flag', async (t) => {
  const { stub, cli } = await setup(t, {
    'GET /api/v1alpha1/kubeconfig': (_, response) => {
      const plain = stubKubeconfig('a.b.c');
      sendJson(response, 200, {
        ...plain,
        clusters: [{ name: 'prod', cluster: { server: 'https://prod', 'insecure-skip-tls-verify': true } }],
      });
    },
  });
  t.is((await cli.run(['login', '--server', stub.url])).code, 1);
  t.false(existsSync(cli.kubeconfig));
  t.is((await cli.run(['login', '--server', stub.url, '--insecure-skip-tls-verify'])).code, 0);
  t.true(read(cli.kubeconfig).clusters[0]?.cluster['insecure-skip-tls-verify']);
});

for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const) {
  test(`${signal} while the server works ends with ${code}, quietly, and leaves nothing behind`, async (t) => {
    const { promise: asked, resolve } = Promise.withResolvers<void>();
    const { stub, cli } = await setup(t, { 'POST /api/v1alpha1/login': () => resolve() });
    const { child, ended } = cli.start(['login', '--server', stub.url]);
    await asked;
    child.kill(signal);
    t.deepEqual(await ended, { code, stdout: '', stderr: '' });
    t.deepEqual(filesUnder(join(cli.home, '.kube')), []);
  });
}

test('SIGINT while a lock is waited for ends with 130 and leaves the lock to its owner', async (t) => {
  const { promise: fetched, resolve } = Promise.withResolvers<void>();
  const { stub, cli } = await setup(t);
  mkdirSync(dirname(cli.kubeconfig));
  writeFileSync(`${cli.kubeconfig}.lock`, '');
  stub.answer('GET /api/v1alpha1/kubeconfig', (_, response) => {
    response.on('finish', resolve);
    sendJson(response, 200, stubKubeconfig('a.b.c'));
  });
  const { child, ended } = cli.start(['login', '--server', stub.url]);
  await fetched;
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
