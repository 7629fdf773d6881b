/** `tka logout`. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import anyTest from 'ava';
import { answers, calls, filesUnder, prepare, readKubeconfigAt } from '../testing/command.ts';

// One child at a time: many at once are slow enough to run into the command's own time-outs.
const test = anyTest.serial;
const { setup, remove } = await prepare();
test.after.always(remove);

test('logout ends the session and removes what login wrote, and nothing else', async (t) => {
  const { stub, cli } = await setup(t);
  mkdirSync(dirname(cli.kubeconfig));
  const before = '# mine\nusers:\n- name: a\n  user:\n    token: b\ncurrent-context: ""\n';
  writeFileSync(cli.kubeconfig, before);
  await cli.run(['login', '--server', stub.url]);
  // Without --server: the login's server.
  const ran = await cli.run(['logout']);
  t.is(ran.code, 0, ran.stderr);
  t.is(stub.calls.at(-1), 'POST /api/v1alpha1/logout');
  t.is(readFileSync(cli.kubeconfig, 'utf8').replace(/clusters: \[\]\ncontexts: \[\]\n/, ''), before);
  t.deepEqual(filesUnder(join(cli.home, '.cache', 'tka', 'credentials')), []);
});

for (const [flags, isCurrent] of [
  [['--use'], true],
  [[], false],
] as const) {
  test(`logout ${isCurrent ? 'says' : 'does not say'} that kubectl has no current context${isCurrent ? '' : ' where it has another one'}`, async (t) => {
    const { stub, cli } = await setup(t);
    mkdirSync(dirname(cli.kubeconfig));
    writeFileSync(cli.kubeconfig, 'contexts: [{name: work, context: {cluster: a, user: a}}]\ncurrent-context: work\n');
    await cli.run(['login', '--server', stub.url, ...flags]);
    const { code, stderr } = await cli.run(['logout']);
    t.is(code, 0, stderr);
    t.is(/no current context now; .*kubectl config use-context/.test(stderr), isCurrent, stderr);
    t.is(readKubeconfigAt(cli.kubeconfig)['current-context'], isCurrent ? '' : 'work');
  });
}

test('logout --session names the session to the server, and leaves the others here', async (t) => {
  const { stub, cli } = await setup(t);
  await cli.run(['login', '--server', stub.url]);
  await cli.run(['logout', '--session', 'bob-1']);
  t.is(stub.requests.at(-1)?.body, '{"session":"bob-1"}');
  t.is(readKubeconfigAt(cli.kubeconfig).contexts.length, 1);
});

test('that there was nothing to end is said, and no failure', async (t) => {
  const { stub, cli } = await setup(t);
  stub.answer(calls.logout, answers(200, { username: 'alice', role: '', until: '' }));
  const mistyped = await cli.run(['logout', '--server', stub.url, '--session', 'alice-2']);
  t.deepEqual(mistyped, { code: 0, stdout: '', stderr: `There was no session alice-2 at ${stub.url}.\n` });
  const all = await cli.run(['logout', '--server', stub.url]);
  t.deepEqual(all, { code: 0, stdout: '', stderr: `You had no session at ${stub.url}.\n` });
});

test('where the server cannot be reached logout removes nothing, unless --local', async (t) => {
  const { stub, cli } = await setup(t);
  await cli.run(['login', '--server', stub.url]);
  stub.answer(calls.logout, (_, response) => void response.socket?.destroy());
  const failed = await cli.run(['logout']);
  t.is(failed.code, 4);
  t.regex(failed.stderr, /--local/);
  t.is(readKubeconfigAt(cli.kubeconfig).contexts.length, 1);
  t.is((await cli.run(['logout', '--local'])).code, 0);
  t.is(readKubeconfigAt(cli.kubeconfig).contexts.length, 0);
});

test('a server that does not answer is waited for aloud, and not for long', async (t) => {
  const { stub, cli } = await setup(t);
  await cli.run(['login', '--server', stub.url]);
  stub.answer(calls.logout, () => {});
  const { code, stderr } = await cli.run(['logout', '--timeout', '3s']);
  t.is(code, 4);
  t.regex(stderr, new RegExp(`^Waiting for ${stub.url} to answer .*\nerror: ${stub.url} did not answer within 3 s`));
});
