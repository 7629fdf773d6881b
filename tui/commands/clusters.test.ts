import test, { type ExecutionContext } from 'ava';
import { UserError } from '../errors.ts';
import { readKnownServers, rememberServer } from '../trust/known-servers.ts';
import { sendJson, startStubServer } from '../testing/stub-server.ts';
import { createTestRuntime, startTailscaled, statusOf, type TestRuntime } from '../testing/tailscaled.ts';
import { TailnetError } from '../tailnet/types.ts';
import { clusterInfo } from './cluster-info.ts';
import { clustersForget } from './clusters-forget.ts';
import { clusters } from './clusters.ts';

/** A tailnet with the server `tka`, who grants roles, and `tka-off`, who is offline. */
async function setup(t: ExecutionContext): Promise<TestRuntime> {
  const stub = await startStubServer();
  t.teardown(() => stub.close());
  const rule = { period: '1h', priority: 1 };
  stub.answer('GET /api/v1alpha1/whoami', (_, response) =>
    sendJson(response, 200, {
      subject: 's',
      username: 'alice',
      node: 'n',
      tags: [],
      rules: [
        { role: 'edit', ...rule },
        { role: 'view\u001B[31m', ...rule },
        { role: 'edit', ...rule, namespaces: ['dev'] },
      ],
      dropped: [],
    }),
  );
  stub.answer('GET /api/v1alpha1/cluster-info', (_, response) =>
    sendJson(response, 200, {
      server_url: 'https://k8s.example\u001B]0;x\u0007',
      insecure_skip_tls_verify: false,
      ca_data: 'Q0E=',
      labels: { env: 'prod\n' },
    }),
  );
  const { socket } = await startTailscaled(
    t,
    statusOf([
      { id: 'n1', name: 'tka', tags: ['tag:tka'] },
      { id: 'n2', name: 'tka-off', online: false },
    ]),
  );
  return createTestRuntime(t, { socket, env: { http_proxy: stub.url } });
}

test('the list says what answers, whether it is trusted, and which roles there are', async (t) => {
  const runtime = await setup(t);
  rememberServer(runtime.env, { server: 'http://tka', nodeId: 'n1', tags: ['tag:tka'], cluster: 'prod' });
  await clusters(runtime, {});
  t.is(
    runtime.out.text,
    `NAME     SERVER                       TRUST   VERSION  MODES   ROLES
prod     http://tka                   pinned  9.8.7    direct  edit,view
tka-off  http://tka-off.tail.example  new     -        -       (offline)
`,
  );
  t.is(runtime.err.text, '');
});

test('the list as JSON and as names', async (t) => {
  const runtime = await setup(t);
  await clusters(runtime, { output: 'name' });
  t.is(runtime.out.text, 'prod\ntka-off\n');
  const again = { ...runtime, stdout: { write: (text: string) => t.like(JSON.parse(text), expected) } };
  const expected = {
    clusters: [
      { name: 'prod', trust: 'new', state: 'here', version: '9.8.7', roles: ['edit', 'view'], node: { id: 'n1' } },
      { name: 'tka-off', state: 'away', reason: 'offline' },
    ],
  };
  await clusters(again, { output: 'json' });
});

test('a list without a tailnet is an error if it is empty', async (t) => {
  const error = await t.throwsAsync(clusters(createTestRuntime(t), {}), { instanceOf: TailnetError });
  t.is(error?.exitCode, 4);
  const configured = createTestRuntime(t, { config: 'server: http://127.0.0.1:1' });
  await clusters(configured, {});
  t.regex(configured.out.text, /127\.0\.0\.1-1 .* unverifiable .* \(refuses the connection\)/);
  t.regex(configured.err.text, /warning: the tailnet was not searched: no tailscaled answers/);
});

test('an empty tailnet is no error', async (t) => {
  const { socket } = await startTailscaled(t);
  const runtime = createTestRuntime(t, { socket });
  await clusters(runtime, {});
  t.is(runtime.out.text, '');
  t.regex(runtime.err.text, /No tka server was found/);
});

for (const name of ['prod', 'http://tka', 'tka']) {
  test(`forget ${name}`, async (t) => {
    const runtime = createTestRuntime(t);
    rememberServer(runtime.env, { server: 'http://tka', nodeId: 'n1', tags: ['tag:tka'], cluster: 'prod' });
    rememberServer(runtime.env, { server: 'http://other', nodeId: 'n2', tags: [], cluster: 'other' });
    await clustersForget(runtime, { name });
    t.deepEqual(
      readKnownServers(runtime.env).map(({ cluster }) => cluster),
      ['other'],
    );
    t.is(runtime.err.text, 'Forgot prod (http://tka), which was node n1, tag:tka.\n');
  });
}

for (const name of ['prod', 'http://tka', 'http://tka.tail.example']) {
  test(`forget ${name}: its other names and its replicas are forgotten with it`, async (t) => {
    const runtime = createTestRuntime(t);
    const pin = { nodeId: 'n1', tags: [], tailnet: 'tail.example' };
    rememberServer(runtime.env, { server: 'http://tka', ...pin, cluster: 'prod' });
    rememberServer(runtime.env, { server: 'http://tka.tail.example', ...pin });
    rememberServer(runtime.env, { ...pin, server: 'http://tka-1', nodeId: 'n3', replicaOf: 'http://tka' });
    rememberServer(runtime.env, { ...pin, server: 'http://other', nodeId: 'n2' });
    await clustersForget(runtime, { name });
    t.deepEqual(
      readKnownServers(runtime.env).map(({ server }) => server),
      ['http://other'],
    );
  });
}

test('what is not known cannot be forgotten, and what is known is named', async (t) => {
  const runtime = createTestRuntime(t);
  rememberServer(runtime.env, { server: 'http://tka', nodeId: 'n1', tags: [], cluster: 'prod' });
  const error = await t.throwsAsync(clustersForget(runtime, { name: 'a b' }), { instanceOf: UserError });
  t.deepEqual([error?.exitCode, error?.advice], [1, ['Known servers: prod (http://tka)']]);
});

test('show the cluster of a server: address, CA and labels is shown without its escapes', async (t) => {
  const runtime = await setup(t);
  await clusterInfo(runtime, { server: 'tka' });
  t.is(
    runtime.out.text,
    `server   http://tka
cluster  https://k8s.example
CA       custom (see -o json)
label    env=prod
`,
  );
  t.deepEqual(readKnownServers(runtime.env), []);
});
