import test from 'ava';
import { paths } from './contract.ts';
import { alice, createFixture, rule } from '../testing/http.ts';

const everyCall = [
  ['POST', paths.login],
  ['GET', paths.login],
  ['GET', paths.kubeconfig],
  ['POST', paths.logout],
  ['GET', paths.whoami],
  ['GET', paths.sessions],
  ['GET', paths.clusterInfo],
  ['GET', paths.wellKnown],
] as const;

for (const refusal of ['unknown', 'funnel', 'shared-in', 'expired', 'foreign-address', 'router'] as const) {
  test(`a node that is ${refusal} is refused every call, with reason and advice`, async (t) => {
    await using fixture = await createFixture({ identity: () => Promise.resolve(alice([rule()], { refusal })) });
    for (const [method, path] of everyCall) {
      const answer = await fixture.call(method, path);
      t.is(answer.status, 403, path);
      t.like(answer.json, { code: 'refused_node' });
      t.regex(answer.text, /"advice":\["[^"]+"\]/);
    }
    t.deepEqual(fixture.sessions, []);
  });
}

test('a request that did not come from the tailnet is refused', async (t) => {
  await using fixture = await createFixture({ connection: 'none' });
  for (const [method, path] of everyCall) t.is((await fixture.call(method, path)).status, 403, path);
});

test('a caller that cannot be identified is answered 503', async (t) => {
  await using fixture = await createFixture({ identity: () => Promise.reject(new Error('engine gone: /secret/path')) });
  for (const [method, path] of everyCall) {
    const answer = await fixture.call(method, path);
    t.is(answer.status, 503, path);
    t.like(answer.json, { code: 'unavailable' });
    t.truthy(answer.headers['retry-after']);
    t.notRegex(answer.text, /secret/);
  }
});

test('a node of no user and no tag is refused', async (t) => {
  const unnamed = { nodeId: 'n1', nodeName: 'x', tags: [], capabilities: alice().capabilities };
  await using fixture = await createFixture({ identity: () => Promise.resolve(unnamed) });
  t.is((await fixture.call('POST', paths.login)).status, 403);
});

test('headers that claim an identity change nothing', async (t) => {
  await using fixture = await createFixture();
  const headers = {
    'Tailscale-User-Login': 'admin@example.com',
    'X-Forwarded-For': '100.64.0.9',
    'X-Forwarded-User': 'admin',
    'X-Webauth-User': 'admin',
    'Remote-User': 'admin',
    Authorization: 'Bearer admin',
  };
  const plain = await fixture.call('GET', paths.whoami);
  const claimed = await fixture.call('GET', paths.whoami, { headers });
  t.deepEqual(claimed.json, plain.json);
  t.like(plain.json, { subject: 'control.example|user:7', username: 'alice@example.com' });
});

test('a tagged node is itself, and logs in when the policy grants its tag', async (t) => {
  const runner = {
    nodeId: 'nCI',
    nodeName: 'runner.tail.example',
    tags: ['tag:ci'],
    capabilities: alice().capabilities,
  };
  await using fixture = await createFixture({ identity: () => Promise.resolve(runner) });
  const answer = await fixture.call('POST', paths.login);
  t.is(answer.status, 202);
  t.like(answer.json, { username: 'runner.tail.example', role: 'view' });
  t.is(fixture.sessions[0]?.subject, 'control.example|node:nCI');
});

test('whoami tells the rules that hold, best first, and why others do not', async (t) => {
  const rules = [rule(), rule({ role: 'edit', priority: 5, namespaces: ['dev'] }), rule({ namespace: 'dev' })];
  await using fixture = await createFixture({ identity: () => Promise.resolve(alice(rules)) });
  t.deepEqual((await fixture.call('GET', paths.whoami)).json, {
    subject: 'control.example|user:7',
    username: 'alice@example.com',
    node: 'laptop.tail.example',
    tags: [],
    rules: [
      { role: 'edit', period: '1h', priority: 5, namespaces: ['dev'] },
      { role: 'view', period: '1h', priority: 0 },
    ],
    dropped: [{ rule: rules[2], reason: 'unknown field "namespace"' }],
  });
});

test('rules under another capability grant nothing', async (t) => {
  const identity = alice([], { capabilities: { 'example.com/cap/other': [rule()] } });
  await using fixture = await createFixture({ identity: () => Promise.resolve(identity) });
  t.is((await fixture.call('POST', paths.login)).status, 403);
});
