/** Where a login's entries go, and what they are called; several clusters at once. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import anyTest from 'ava';
import { parse } from 'yaml';
import {
  answers,
  calls,
  filesUnder,
  inHours,
  type Kubeconfig,
  prepare,
  readKubeconfigAt,
  session,
} from '../testing/command.ts';
import { startStubServer } from '../testing/stub-server.ts';

const test = anyTest.serial;
const { setup, remove } = await prepare();
test.after.always(remove);

for (const [template, name] of [
  ['{cluster}-{role}', 'prod-view'],
  ['{session}@{cluster}', `${session}@prod`],
  ['k8s_{namespace}', 'k8s_default'],
] as const) {
  test(`--context-name ${template}`, async (t) => {
    const { stub, cli } = await setup(t);
    t.is((await cli.run(['login', '--server', stub.url, '--context-name', template])).stdout, `${name}\n`);
    t.is(readKubeconfigAt(cli.kubeconfig).contexts[0]?.name, name);
  });
}

for (const template of ['{user}', 'a b', '$(x)', '', 'a/{cluster}', '{cluster']) {
  test(`--context-name ${JSON.stringify(template)} is a usage error, and no server is asked`, async (t) => {
    const { stub, cli } = await setup(t);
    t.like(await cli.run(['login', '--server', stub.url, '--context-name', template]), { code: 2, stdout: '' });
    t.deepEqual(stub.calls, []);
  });
}

test('what a server calls its role cannot break out of a name', async (t) => {
  const { stub, cli } = await setup(t, {
    [calls.login]: answers(200, { session, username: 'a', role: 'x/../$(y) z', until: inHours(1) }),
  });
  t.is((await cli.run(['login', '--server', stub.url, '--context-name', '{role}'])).stdout, 'x-..-y-z\n');
});

test('a context name by hand renames the context that the session has, and stays the current one', async (t) => {
  const { stub, cli } = await setup(t);
  await cli.run(['login', '--server', stub.url]);
  await cli.run(['login', '--server', stub.url, '--context-name', 'mine']);
  const { contexts, 'current-context': current } = readKubeconfigAt(cli.kubeconfig);
  t.deepEqual(
    contexts.map(({ name }) => name),
    ['mine'],
  );
  t.is(current, 'mine');
});

test('-n sets the namespace of the context, also of one that is there', async (t) => {
  const { stub, cli } = await setup(t);
  await cli.run(['login', '--server', stub.url]);
  t.is(readKubeconfigAt(cli.kubeconfig).contexts[0]?.context['namespace'], undefined);
  await cli.run(['login', '--server', stub.url, '-n', 'dev']);
  t.is(readKubeconfigAt(cli.kubeconfig).contexts[0]?.context['namespace'], 'dev');
  await cli.run(['login', '--server', stub.url]);
  t.is(readKubeconfigAt(cli.kubeconfig).contexts[0]?.context['namespace'], 'dev');
  t.is((await cli.run(['login', '--server', stub.url, '-n', 'Not_One'])).code, 2);
});

test('--print-kubeconfig prints one that is whole, and leaves nothing here', async (t) => {
  const { stub, cli } = await setup(t);
  const ran = await cli.run(['login', '--server', stub.url, '--print-kubeconfig', '-n', 'dev']);
  t.is(ran.code, 0, ran.stderr);
  const printed = parse(ran.stdout) as Kubeconfig;
  t.like(printed, { apiVersion: 'v1', kind: 'Config', 'current-context': 'tka-prod-view' });
  t.like(printed.contexts[0]?.context, { namespace: 'dev' });
  t.regex(String(printed.users[0]?.user['token']), /\.c2lnbmF0dXJl$/);
  t.deepEqual(
    filesUnder(cli.home).filter((path) => !path.includes('/compiled/')),
    [],
  );
  const json = await cli.run(['login', '--server', stub.url, '--print-kubeconfig', '-o', 'json', '-q']);
  t.deepEqual(JSON.parse(json.stdout), parse(json.stdout));
});

test('--all logs in at every configured cluster, continues after a failure, and ends with the worst', async (t) => {
  const { stub, cli } = await setup(t);
  const denying = await startStubServer({ session: 'alice-1111111111' });
  t.teardown(() => denying.close());
  denying.answer(calls.wellKnown, answers(200, { cluster: 'a-denying', labels: {}, version: '9', modes: ['direct'] }));
  denying.answer(calls.login, answers(403, { message: 'the policy grants you nothing', advice: [], code: 'no_grant' }));
  const path = join(cli.home, '.config', 'tka', 'config.yaml');
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `servers:\n- ${denying.url}\n- ${stub.url}\ndiscovery: false\n`);
  const ran = await cli.run(['login', '--all', '--context-name', '{cluster}']);
  t.is(ran.code, 3, ran.stderr);
  t.is(ran.stdout, 'prod\n');
  t.regex(ran.stderr, new RegExp(`error: ${denying.url}: the policy grants you nothing`));
  denying.answer(
    calls.login,
    answers(200, { session: 'alice-1111111111', username: 'a', role: 'view', until: inHours(1) }),
  );
  const again = await cli.run(['login', '--all', '-o', 'json']);
  const { sessions } = JSON.parse(again.stdout) as { sessions: { cluster: string }[] };
  t.deepEqual(
    sessions.map(({ cluster }) => cluster),
    ['a-denying', 'prod'],
  );
  // And out of all of them.
  t.is((await cli.run(['logout', '--all'])).code, 0);
  t.is(readKubeconfigAt(cli.kubeconfig).contexts.length, 0);
});

test('--all without a trusted cluster is exit code 4', async (t) => {
  const { cli } = await setup(t);
  const ran = await cli.run(['login', '--all']);
  t.is(ran.code, 4);
  t.regex(ran.stderr, /no trusted cluster/);
});

for (const flags of [
  ['--all', '--use'],
  ['--all', '--server', 'x'],
  ['--print-kubeconfig', '--use'],
  ['--all', '--print-kubeconfig'],
]) {
  test(`login ${flags.join(' ')} is a mistake of use`, async (t) => {
    const { cli } = await setup(t);
    t.is((await cli.run(['login', ...flags])).code, 2);
  });
}

test('in a shell with the integration a login goes to a kubeconfig of that shell, which is told', async (t) => {
  const { stub, cli } = await setup(t);
  const file = join(cli.home, 'env');
  writeFileSync(file, '', { mode: 0o600 });
  const shell = { TKA_ENV_FILE: file, TKA_ENV_SHELL: 'bash', TKA_SHELL_PID: String(process.pid) };
  const ran = await cli.run(['login', '--server', stub.url], shell);
  t.is(ran.code, 0, ran.stderr);
  t.deepEqual(filesUnder(join(cli.home, '.kube')), []);
  const lines = readFileSync(file, 'utf8');
  const kubeconfig = /KUBECONFIG='?([^'\n]+)/.exec(lines)?.[1] ?? '';
  t.is(readKubeconfigAt(kubeconfig)['current-context'], 'tka-prod-view');
  t.regex(lines, new RegExp(`TKA_SESSION='?${session}`));
  const out = await cli.run(['logout'], {
    ...shell,
    KUBECONFIG: kubeconfig,
    TKA_SERVER: stub.url,
    TKA_SESSION: session,
  });
  t.is(out.code, 0, out.stderr);
  t.regex(readFileSync(file, 'utf8'), /__tka_leave/);
});
