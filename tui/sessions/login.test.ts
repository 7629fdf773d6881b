import test, { type ExecutionContext } from 'ava';
import type { Runtime } from '../runtime.ts';
import { answers, calls, inHours, readKubeconfigAt, session } from '../testing/command.ts';
import type { Interaction } from '../terminal/interaction.ts';
import { logIn, type LogInOptions, type StageReport } from './login.ts';
import { createRuntime } from '../testing/runtime.ts';
import { sendJson, startStubServer, stubKubeconfig, stubToken, stubWhoami } from '../testing/stub-server.ts';
import { createTestRuntime, startTailscaled, statusOf } from '../testing/tailscaled.ts';

async function setup(t: ExecutionContext) {
  const stub = await startStubServer();
  t.teardown(() => stub.close());
  const runtime = createRuntime(t);
  const reports: StageReport[] = [];
  const warnings: string[] = [];
  const run = (changes: Partial<LogInOptions> = {}, on: Runtime = runtime) =>
    logIn(on, {
      flags: { server: stub.url },
      onStage: (report) => reports.push(report),
      stepwise: true,
      warn: (line) => warnings.push(line),
      ...changes,
    });
  const running = () => reports.filter(({ state }) => state === 'running').map(({ stage }) => stage);
  const detail = (stage: string) => reports.find((report) => report.stage === stage && report.state === 'done')?.detail;
  return { stub, runtime, run, running, detail, warnings, reports };
}

const pending = { session, username: 'alice@example.com', role: 'view', until: inHours(8) };
const tied = [
  { role: 'view', period: '8h', priority: 10 },
  { role: 'edit', period: '1h', priority: 10, namespaces: ['dev'] },
];

test('stage by stage: each says what it found, and asks no more than it needs', async (t) => {
  const { stub, run, running, detail } = await setup(t);
  stub.answer(calls.login, answers(202, pending, { 'retry-after': '1' }));
  const loggedIn = await run();
  t.deepEqual(running(), ['server', 'identity', 'grant', 'sign-in', 'provisioning', 'usable', 'kubeconfig']);
  t.is(detail('server'), `prod at ${stub.url}`);
  t.is(detail('identity'), 'alice@example.com on laptop');
  t.is(detail('grant'), 'view in the whole cluster for 8h');
  t.is(detail('sign-in'), session);
  t.is(detail('kubeconfig'), 'tka-prod-view');
  t.deepEqual(stub.calls, [
    calls.wellKnown,
    calls.whoami,
    calls.login,
    `${calls.loginStatus}?session=${session}`,
    `${calls.kubeconfig}?mode=direct&session=${session}`,
  ]);
  t.is(stub.requests[2]?.headers['prefer'], undefined);
  t.regex(String(stub.requests[3]?.headers['prefer']), /^wait=\d+$/);
  t.like(loggedIn, { cluster: 'prod', session, context: 'tka-prod-view', mode: 'direct', current: true });
});

test('a refusal that the rules foretell belongs to the stage of the grant', async (t) => {
  const { stub, run, reports } = await setup(t);
  stub.answer(calls.whoami, answers(200, { ...stubWhoami(pending), rules: [] }));
  stub.answer(calls.login, answers(403, { message: 'nothing', advice: [], code: 'no_grant' }));
  await t.throwsAsync(run(), { message: 'nothing' });
  t.deepEqual(reports.at(-1), { stage: 'grant', state: 'running' });
});

test('where rules tie the person at the terminal says which, and that is asked for', async (t) => {
  const { stub, run, detail } = await setup(t);
  stub.answer(calls.whoami, answers(200, { ...stubWhoami(pending), rules: tied }));
  const interaction: Interaction = {
    confirm: () => Promise.resolve(false),
    choose: (_, choices) => {
      t.deepEqual(
        choices.map(({ label }) => label),
        ['view', 'edit'],
      );
      return Promise.resolve(1);
    },
  };
  await run({ interaction });
  t.is(detail('grant'), 'edit in dev for 1h');
  t.is(stub.requests.find(({ call }) => call === calls.login)?.body, '{"role":"edit"}');
});

test('where rules tie and no one can choose, the server decides', async (t) => {
  const { stub, run, reports } = await setup(t);
  stub.answer(calls.whoami, answers(200, { ...stubWhoami(pending), rules: tied }));
  stub.answer(calls.login, answers(400, { message: 'several', advice: ['candidate: view'], code: 'ambiguous_grant' }));
  const error = await t.throwsAsync(run(), { message: 'several' });
  t.like(error, { advice: ['candidate: view', 'Choose with --role.'] });
  t.deepEqual(reports.at(-1), { stage: 'grant', state: 'running' });
});

test('a server that says nothing of its caller is logged in at all the same', async (t) => {
  const { stub, run, running } = await setup(t);
  for (const call of [calls.whoami, calls.wellKnown]) {
    stub.answer(call, (_, response) => void response.writeHead(404, { 'content-type': 'text/plain' }).end('404'));
  }
  t.like(await run(), { cluster: 'prod', context: 'tka-prod-view' });
  t.deepEqual(running(), ['server', 'identity', 'sign-in', 'usable', 'kubeconfig']);
});

test('at once, a session that is long in provisioning is waited for', async (t) => {
  const { stub, run, running } = await setup(t);
  stub.answer(calls.login, answers(202, pending, { 'retry-after': '0' }));
  let polls = 0;
  stub.answer(calls.loginStatus, (_, response) => {
    polls += 1;
    sendJson(response, polls < 2 ? 202 : 200, pending, { 'retry-after': '0' });
  });
  await run({ stepwise: false });
  t.deepEqual(running(), ['server', 'sign-in', 'provisioning', 'usable', 'kubeconfig']);
  t.regex(String(stub.requests.find(({ call }) => call === calls.login)?.headers['prefer']), /^wait=\d+$/);
});

test('facts that do not come do not hold up a login', async (t) => {
  const { stub, run } = await setup(t);
  stub.answer(calls.wellKnown, () => {});
  const startedAt = Date.now();
  t.like(await run({ stepwise: false }), { cluster: 'prod', mode: 'direct' });
  t.true(Date.now() - startedAt < 5000);
});

test('an aborted login ends at once and writes nothing', async (t) => {
  const { stub, run, runtime } = await setup(t);
  const stop = new AbortController();
  stub.answer(calls.login, () => stop.abort(new Error('enough')));
  await t.throwsAsync(run({ signal: stop.signal }), { message: 'enough' });
  const { existsSync } = await import('node:fs');
  t.false(existsSync(`${runtime.home}/.kube/config`));
});

for (const [what, name, proxied, expected] of [
  ['does not resolve', 'tka.invalid', false, { server: 'https://127.0.0.1/k8s', 'tls-server-name': 'tka.invalid' }],
  ['is resolved by a proxy', 'tka.invalid', true, { server: 'https://tka.invalid/k8s' }],
] as const) {
  test(`the kubeconfig of a server whose name ${what} leads to ${Object.values(expected).join(' and ')}`, async (t) => {
    const { stub, run, warnings } = await setup(t);
    const node = { ID: 'nSelf', HostName: 'laptop', DNSName: 'laptop.tail.example.', Online: true };
    // Without an address of this machine it is another's tailscaled, and only a proxy leads there.
    const self = { Self: { ...node, TailscaleIPs: [proxied ? '100.64.0.99' : '127.0.0.1'] } };
    const { socket } = await startTailscaled(t, statusOf([{ id: 'n1', name, address: '127.0.0.1' }], self));
    const runtime = createTestRuntime(t, {
      socket,
      env: proxied ? { https_proxy: 'http://proxy.example:3128' } : {},
    });
    const given = stubKubeconfig(stubToken(new Date(inHours(8))));
    const clusters = [{ name: 'prod', cluster: { server: `https://${name}/k8s` } }];
    stub.answer(calls.kubeconfig, answers(200, { ...given, clusters }));
    const flags = { server: `http://${name}:${new URL(stub.url).port}` };
    const { kubeconfig } = await run({ flags }, runtime);
    const cluster = readKubeconfigAt(kubeconfig).clusters[0]?.cluster;
    t.is(cluster?.['server'], expected.server);
    t.is(cluster?.['tls-server-name'], 'tls-server-name' in expected ? expected['tls-server-name'] : undefined);
    t.deepEqual(warnings, []);
  });
}
