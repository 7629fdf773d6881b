/** `tka login`, as scripts run it: what it asks, what it writes, what it prints. */
import { chmodSync, mkdirSync, readFileSync, statSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import anyTest from 'ava';
import { parse } from 'yaml';
import { writeKubectl } from '../testing/machine.ts';
import { answers, calls, filesUnder, inHours, prepare, readKubeconfigAt, session } from '../testing/command.ts';
import { sendJson, stubKubeconfig, stubToken } from '../testing/stub-server.ts';

// One child at a time: many at once are slow enough to run into the command's own time-outs.
const test = anyTest.serial;
const { script, setup, remove } = await prepare();
test.after.always(remove);

test('login takes three requests, two of them at once, writes the entries and the cache, and prints the name of the context', async (t) => {
  const { stub, cli } = await setup(t);
  const ran = await cli.run(['login', '--server', stub.url, '--non-interactive']);
  t.like(ran, { code: 0, stdout: 'tka-prod-view\n' });
  t.regex(ran.stderr, /Logged in as alice@example\.com, role view/);
  t.deepEqual(
    [...stub.calls].sort(),
    [`GET /api/v1alpha1/kubeconfig?mode=direct&session=${session}`, calls.wellKnown, calls.login].sort(),
  );
  const written = readKubeconfigAt(cli.kubeconfig);
  t.is(written['current-context'], 'tka-prod-view');
  t.is(written.clusters[0]?.cluster['server'], 'https://127.0.0.1:6443');
  const exec = written.users[0]?.user.exec;
  t.deepEqual(exec, {
    apiVersion: 'client.authentication.k8s.io/v1',
    command: process.execPath,
    args: [script, 'credential', `--server=${stub.url}`, `--session=${session}`, '--mode=direct'],
    interactiveMode: 'Never',
    provideClusterInfo: false,
    installHint:
      'This cluster is reached with the tka command, which kubectl did not find. Install it, then run: tka login',
  } as never);
  t.is(statSync(cli.kubeconfig).mode & 0o777, 0o600);
  t.false(readFileSync(cli.kubeconfig, 'utf8').includes('c2lnbmF0dXJl'), 'the token is in the cache alone');
});

test('without a server the one of the kubeconfig is used, by all that act too', async (t) => {
  const { stub, cli } = await setup(t);
  const [other, unused] = [join(cli.home, 'other'), { TKA_TAILSCALE_SOCKET: '/nowhere' }];
  await cli.run(['login', '--server', stub.url, '-q']);
  await cli.run(['login', '--server', stub.url, '-q', '--kubeconfig', other]);
  for (const args of [['login'], ['kubeconfig'], ['exec', '--', 'true'], ['version'], ['roles']]) {
    const ran = await cli.run(args, unused);
    t.is(ran.code, 0, `${args.join(' ')}: ${ran.stderr}`);
  }
  unlinkSync(cli.kubeconfig);
  t.is((await cli.run(['login'], unused)).code, 4);
  t.is((await cli.run(['login', '--kubeconfig', other], unused)).code, 0);
});

test('kubectl can run the entry as it is written, and gets the token without the server', async (t) => {
  const { stub, cli } = await setup(t);
  await cli.run(['login', '--server', stub.url, '-q']);
  const exec = readKubeconfigAt(cli.kubeconfig).users[0]?.user.exec;
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
  t.is(readKubeconfigAt(cli.kubeconfig).users[0]?.user.exec?.command, 'tka');
});

test('a server that does not wait is polled', async (t) => {
  let polls = 0;
  const { stub, cli } = await setup(t, {
    [calls.login]: (_, response) =>
      sendJson(response, 202, { session, username: 'a', role: 'view', until: inHours(1) }, { 'retry-after': '0' }),
  });
  stub.answer(calls.loginStatus, (_, response) => {
    polls += 1;
    const until = new Date(Date.now() + 3_600_000).toISOString();
    if (polls < 3) sendJson(response, 202, {}, { 'retry-after': '0' });
    else sendJson(response, 200, { session, username: 'a', role: 'view', until });
  });
  t.is((await cli.run(['login', '--server', stub.url, '-q'])).code, 0);
  t.is(polls, 3);
});

test('login warns of rules that were dropped, on stderr, without what a terminal would act on', async (t) => {
  const dropped = Array.from({ length: 5 }, (_, i) => ({
    rule: `{"perod":${i}}\u001b[31m`,
    reason: 'unknown field "perod"',
  }));
  const { stub, cli } = await setup(t, {
    [calls.login]: answers(200, {
      username: 'alice@example.com',
      role: 'view',
      until: inHours(1),
      session,
      dropped,
    }),
  });
  const ran = await cli.run(['login', '--server', stub.url, '--non-interactive']);
  t.is(ran.code, 0);
  t.is(ran.stderr.match(/a rule of the tailnet policy was dropped: unknown field "perod": \{"perod":\d\}/g)?.length, 3);
  t.regex(ran.stderr, /2 more rules were dropped: tka roles/);
  t.false(ran.stderr.includes('\u001b[31m'));
});

test('login -o json prints the whole session, and -q is quiet', async (t) => {
  const { stub, cli } = await setup(t);
  const ran = await cli.run(['login', '--server', stub.url, '-o', 'json', '-q', '--role', 'view', '--period', '90m']);
  t.is(ran.stderr, '');
  t.like(JSON.parse(ran.stdout), {
    session,
    username: 'alice@example.com',
    role: 'view',
    context: 'tka-prod-view',
    current: true,
    kubeconfig: cli.kubeconfig,
    server: stub.url,
  });
  const asked = stub.requests.find(({ call }) => call === calls.login);
  t.deepEqual(JSON.parse(asked?.body ?? ''), { role: 'view', period: '90m' });
});

test('login --inline-token writes no plugin and keeps no token in the cache', async (t) => {
  const { stub, cli } = await setup(t);
  await cli.run(['login', '--server', stub.url, '--inline-token']);
  const user = readKubeconfigAt(cli.kubeconfig).users[0]?.user;
  t.is(user?.exec, undefined);
  t.regex(String(user?.['token']), /\.c2lnbmF0dXJl$/);
  t.deepEqual(
    filesUnder(join(cli.home, '.cache', 'tka', 'credentials')).filter((path) => !/\.(?:until|period)$/.test(path)),
    [],
  );
});

test('another current-context stays without --use', async (t) => {
  const { stub, cli } = await setup(t);
  mkdirSync(dirname(cli.kubeconfig));
  writeFileSync(cli.kubeconfig, 'current-context: work\n');
  t.regex((await cli.run(['login', '--server', stub.url])).stderr, /kubectl --context tka-prod-view/);
  t.is(readKubeconfigAt(cli.kubeconfig)['current-context'], 'work');
  await cli.run(['login', '--server', stub.url, '--use']);
  t.is(readKubeconfigAt(cli.kubeconfig)['current-context'], 'tka-prod-view');
});

test('the proxy variables are used, and what kubectl has to know of them is written', async (t) => {
  const { stub, cli } = await setup(t);
  stub.answer(calls.kubeconfig, (_, response) => {
    const kubeconfig = stubKubeconfig(stubToken(new Date(Date.now() + 3_600_000)));
    sendJson(response, 200, JSON.parse(JSON.stringify(kubeconfig).replace('127.0.0.1:6443', 'prod.example')));
  });
  // The stub answers requests in absolute form, as a proxy would.
  const login = async (env: Record<string, string>): Promise<unknown> => {
    const ran = await cli.run(['login', '--server', 'http://tka'], { HTTP_PROXY: stub.url, ...env });
    t.is(ran.code, 0, ran.stderr);
    const { clusters, users } = readKubeconfigAt(cli.kubeconfig);
    t.true(users[0]?.user.exec?.args.includes(`--proxy=${stub.url}`));
    return clusters[0]?.cluster['proxy-url'];
  };
  t.is(await login({ HTTP_PROXY: '', ALL_PROXY: stub.url }), stub.url);
  t.is(stub.requests[0]?.headers.host, 'tka');
  t.is(
    await login({ HTTPS_PROXY: stub.url, NO_PROXY: 'prod.example' }),
    undefined,
    'named by NO_PROXY at a later login',
  );
  t.is(await login({ HTTPS_PROXY: stub.url }), stub.url);
  t.is(await login({}), undefined, 'no proxy leads to the cluster at a later login');
  const text = readFileSync(cli.kubeconfig, 'utf8');
  writeFileSync(cli.kubeconfig, text.replace(/^( +)server: https:.*$/m, '$&\n$1proxy-url: http://by-hand:1'));
  t.is(await login({}), 'http://by-hand:1', 'set by hand');
});

for (const [form, args] of [
  ['the plugin', []],
  ['a token', ['--inline-token']],
] as const) {
  test(`a proxy-url of an earlier login is removed from an entry with ${form}, one that was set by hand stays`, async (t) => {
    const { stub, cli } = await setup(t);
    stub.answer(calls.kubeconfig, (_, response) => {
      const kubeconfig = stubKubeconfig(stubToken(new Date(Date.now() + 3_600_000)));
      sendJson(response, 200, JSON.parse(JSON.stringify(kubeconfig).replace('127.0.0.1:6443', 'prod.example')));
    });
    const login = async (env: Record<string, string>): Promise<unknown> => {
      const ran = await cli.run(['login', '--server', stub.url, ...args], env);
      t.is(ran.code, 0, ran.stderr);
      return readKubeconfigAt(cli.kubeconfig).clusters[0]?.cluster['proxy-url'];
    };
    // The way to tka is another than that to the cluster.
    t.is(await login({ HTTPS_PROXY: 'http://corp:3128' }), 'http://corp:3128');
    t.is(await login({ HTTPS_PROXY: 'http://corp:3129' }), 'http://corp:3129');
    const before = readFileSync(cli.kubeconfig, 'utf8');
    t.is(await login({ HTTPS_PROXY: 'http://corp:3129' }), 'http://corp:3129');
    t.deepEqual(readKubeconfigAt(cli.kubeconfig).clusters, parse(before).clusters);
    t.is(await login({}), undefined);
    const text = readFileSync(cli.kubeconfig, 'utf8');
    t.false(text.includes('corp'), text);
    writeFileSync(cli.kubeconfig, text.replace(/^( +)server: https:.*$/m, '$&\n$1proxy-url: http://by-hand:1'));
    t.is(await login({}), 'http://by-hand:1');
  });
}

for (const [version, args, warned] of [
  ['v1.23.17', ['--mode', 'direct'], true],
  ['v1.9.0', ['--mode', 'direct'], true],
  ['v1.24.0', ['--mode', 'direct'], false],
  ['v1.36.3', ['--mode', 'direct'], false],
  ['unknown', ['--mode', 'direct'], false],
  ['v1.23.17', ['--mode', 'proxy'], false],
  ['v1.23.17', ['--mode', 'direct', '--inline-token'], false],
] as const) {
  test(`login ${args.join(' ')} with kubectl ${version} ${warned ? 'warns of' : 'says nothing of'} its version`, async (t) => {
    const { stub, cli } = await setup(t);
    const bin = join(cli.home, 'bin');
    mkdirSync(bin);
    writeKubectl(bin, { version });
    const ran = await cli.run(['login', '--server', stub.url, ...args], { PATH: `${bin}:/usr/bin:/bin` });
    t.is(ran.code, 0, ran.stderr);
    t.is(ran.stderr.includes(`kubectl ${version}`) && ran.stderr.includes('1.24 or newer'), warned, ran.stderr);
  });
}

test('a login leaves a line for prompts: when it ends, in which role, where', async (t) => {
  const { stub, cli } = await setup(t, {
    [calls.login]: answers(200, { session, username: 'a', role: 'my$(role)', until: '2999-01-01T00:00:00Z' }),
  });
  await cli.run(['login', '--server', stub.url]);
  const path = filesUnder(join(cli.home, '.cache')).find((file) => file.endsWith(`${session}.until`)) ?? '';
  t.is(readFileSync(path, 'utf8'), `${Date.parse('2999-01-01T00:00:00Z') / 1000} my__role_ prod\n`);
  t.is(statSync(path).mode & 0o777, 0o600);
});

for (const [offered, mode, root] of [
  [['direct', 'proxy'], 'mode=proxy&', '&root=true'],
  [['direct'], 'mode=direct&', ''],
  [['direct', 'proxy', 'carrier-pigeon'], 'mode=proxy&', '&root=true'],
  [['carrier-pigeon'], '', '&root=true'],
] as const) {
  test(`of the modes ${offered.join(', ')} login asks for ${mode === '' ? 'none' : mode.slice(5, -1)}`, async (t) => {
    const { stub, cli } = await setup(t, {
      [calls.wellKnown]: answers(200, { cluster: 'prod', labels: {}, version: '9', modes: offered, more: { a: 1 } }),
    });
    t.is((await cli.run(['login', '--server', stub.url])).code, 0);
    t.true(stub.calls.includes(`${calls.kubeconfig}?${mode}session=${session}${root}`), stub.calls.join('\n'));
  });
}

test('--mode counts more than what the server offers', async (t) => {
  const { stub, cli } = await setup(t);
  t.is((await cli.run(['login', '--server', stub.url, '--mode', 'proxy'])).code, 0);
  t.true(stub.calls.includes(`${calls.kubeconfig}?mode=proxy&session=${session}&root=true`));
});

for (const form of ['yaml', 'name']) {
  test(`login -o ${form}`, async (t) => {
    const { stub, cli } = await setup(t);
    const ran = await cli.run(['login', '--server', stub.url, '-o', form, '-q']);
    t.is(ran.stderr, '');
    if (form === 'name') t.is(ran.stdout, `${session}\n`);
    else t.regex(ran.stdout, /^cluster: prod$/m);
  });
}
