/** Where a session's entries say that the Kubernetes API is: at the root of a server that serves it there, below `/k8s` of an older one. */
import { readFileSync } from 'node:fs';
import anyTest from 'ava';
import { parse } from 'yaml';
import { answers, calls, type Kubeconfig, prepare, readKubeconfigAt, session } from '../testing/command.ts';
import { type Handler, sendJson, stubCa } from '../testing/stub-server.ts';

const test = anyTest.serial;
const { setup, remove } = await prepare();
test.after.always(remove);

const atRoot = 'https://tka.tail.example';
const below = `${atRoot}/k8s`;

const giving =
  (server: (call: string) => string): Handler =>
  ({ call }, response) =>
    sendJson(response, 200, {
      clusters: [{ name: 'prod', cluster: { server: server(call), 'certificate-authority-data': stubCa } }],
      users: [{ name: 'u', user: { token: `tka_${session}_0123456789abcdef0123456789abcdef` } }],
      contexts: [{ name: 'c', context: { cluster: 'prod', user: 'u' } }],
    });
/** It knows no `root`. */
const older = giving(() => below);
const newer = giving((call) => (/[?&]root=true(?:&|$)/.test(call) ? atRoot : below));
const facts = answers(200, { cluster: 'prod', labels: {}, version: '9', modes: ['proxy'] });

const serverOf = ({ clusters }: Kubeconfig): unknown => clusters[0]?.cluster['server'];

for (const [title, handler, server] of [
  ['that serves the API at its root', newer, atRoot],
  ['of an older version', older, below],
] as const) {
  test(`login, kubeconfig and shell of a server ${title} name ${server}`, async (t) => {
    const { stub, cli } = await setup(t, { [calls.kubeconfig]: handler, [calls.wellKnown]: facts });
    const ran = await cli.run(['login', '--server', stub.url]);
    t.is(ran.code, 0, ran.stderr);
    t.is(serverOf(readKubeconfigAt(cli.kubeconfig)), server);
    const printed = await cli.run(['kubeconfig', '--server', stub.url, '--session', session, '--mode', 'proxy']);
    t.is(serverOf(parse(printed.stdout) as Kubeconfig), server, printed.stderr); // our own command's output
    const inside = await cli.run(['exec', '--server', stub.url, '--', 'sh', '-c', 'cat "$KUBECONFIG"']);
    t.is(serverOf(parse(inside.stdout) as Kubeconfig), server, inside.stderr);
  });
}

for (const again of [['login'], ['renew']] as const) {
  test(`entries with /k8s get the root by tka ${again[0]} once the server serves it there, and are not written again`, async (t) => {
    const { stub, cli } = await setup(t, { [calls.kubeconfig]: older, [calls.wellKnown]: facts });
    await cli.run(['login', '--server', stub.url, '--context-name', 'mine', '-n', 'dev']);
    const before = readFileSync(cli.kubeconfig, 'utf8');
    t.true(before.includes(below));
    stub.answer(calls.kubeconfig, newer);
    for (let round = 0; round < 2; round += 1) {
      const ran = await cli.run([...again, '--server', stub.url]);
      t.is(ran.code, 0, ran.stderr);
      t.is(readFileSync(cli.kubeconfig, 'utf8'), before.replace(below, atRoot));
    }
  });
}

for (const handler of [older, newer]) {
  test(`status, use and logout know the entries with ${handler === older ? '/k8s' : 'the root'}`, async (t) => {
    const { stub, cli } = await setup(t, { [calls.kubeconfig]: handler, [calls.wellKnown]: facts });
    await cli.run(['login', '--server', stub.url, '--context-name', 'mine']);
    const status = await cli.run(['status', '-o', 'json']);
    t.true(status.stdout.includes('"mine"'), status.stdout);
    t.is((await cli.run(['use', 'mine'])).code, 0);
    t.is((await cli.run(['logout'])).code, 0);
    t.deepEqual(readKubeconfigAt(cli.kubeconfig).contexts, []);
  });
}

test('of a mode that was not asked for the token tells: one of tka is for the API through tka', async (t) => {
  const { stub, cli } = await setup(t, { [calls.kubeconfig]: newer, [calls.wellKnown]: answers(404, {}) });
  const ran = await cli.run(['login', '--server', stub.url, '-o', 'json']);
  t.like(JSON.parse(ran.stdout), { mode: 'proxy', url: atRoot });
});
