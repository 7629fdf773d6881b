import test from 'ava';
import { parse } from 'yaml';
import { paths } from '../contract.ts';
import { alice, createFixture, rule } from '../../testing/http.ts';
import type { FixtureOptions } from '../../testing/http.ts';

const ca = Buffer.from('a CA').toString('base64');

async function loggedIn(options: FixtureOptions = {}) {
  const fixture = await createFixture(options);
  await fixture.call('POST', paths.login);
  return fixture;
}

const token = 'secret-token-of-control-example-user-7-view-';

const mapForm = {
  kind: 'Config',
  apiVersion: 'v1',
  preferences: {},
  clusters: { 'tka-cluster': { server: 'https://api.example.com:6443', 'certificate-authority-data': ca } },
  users: { 'tka-user-alice': { token } },
  contexts: { 'tka-context-alice': { cluster: 'tka-cluster', user: 'tka-user-alice' } },
  'current-context': 'tka-context-alice',
};

const v1Form = {
  kind: 'Config',
  apiVersion: 'v1',
  preferences: {},
  clusters: [
    { name: 'tka-cluster', cluster: { server: 'https://api.example.com:6443', 'certificate-authority-data': ca } },
  ],
  users: [{ name: 'tka-user-alice', user: { token } }],
  contexts: [{ name: 'tka-context-alice', context: { cluster: 'tka-cluster', user: 'tka-user-alice' } }],
  'current-context': 'tka-context-alice',
};

test('a client that sends no Accept header gets the maps that client-go decodes', async (t) => {
  await using fixture = await loggedIn();
  const answer = await fixture.call('GET', paths.kubeconfig);
  t.is(answer.status, 200);
  t.is(answer.headers['content-type'], 'application/json; charset=utf-8');
  t.deepEqual(answer.json, mapForm);
});

const forms: readonly [accept: string, form: 'map' | 'yaml' | 'json' | 406][] = [
  ['', 'map'],
  ['*/*', 'yaml'],
  ['application/*', 'yaml'],
  ['application/yaml', 'yaml'],
  ['application/x-yaml', 'yaml'],
  ['text/yaml', 'yaml'],
  ['application/json', 'json'],
  ['APPLICATION/JSON', 'json'],
  ['application/json, */*;q=0.1', 'json'],
  ['application/json;q=0.9, application/yaml', 'yaml'],
  ['application/json, application/yaml;q=0.9', 'json'],
  ['application/yaml;q=0, */*', 'yaml'],
  ['application/yaml;q=0, text/yaml;q=0, application/x-yaml;q=0, */*', 'json'],
  ['text/html, application/json;q=0.5', 'json'],
  ['text/html', 406],
  ['application/json;q=0', 406],
];

for (const [accept, form] of forms) {
  test(`Accept: ${accept || 'nothing'} is answered ${form}`, async (t) => {
    await using fixture = await loggedIn();
    const answer = await fixture.call('GET', paths.kubeconfig, { headers: { Accept: accept } });
    if (form === 406) {
      t.is(answer.status, 406);
      return;
    }
    t.is(answer.status, 200);
    t.regex(answer.headers['content-type'] ?? '', form === 'yaml' ? /ya?ml/ : /^application\/json/);
    t.deepEqual(form === 'yaml' ? parse(answer.text) : answer.json, form === 'map' ? mapForm : v1Form);
    t.regex(answer.headers.vary ?? '', /Accept/);
  });
}

test('a caller without a session is answered 401', async (t) => {
  await using fixture = await createFixture();
  t.is((await fixture.call('GET', paths.kubeconfig)).status, 401);
});

test('a session that is not ready is answered 202 with the time to wait, and no token', async (t) => {
  await using fixture = await loggedIn({ isInstant: false });
  const answer = await fixture.call('GET', paths.kubeconfig);
  t.is(answer.status, 202);
  t.is(answer.headers['retry-after'], '1');
  t.notRegex(answer.text, /secret/);
});

test('a session that is ready but not usable yet is answered 202', async (t) => {
  await using fixture = await loggedIn();
  for (const session of fixture.sessions) session.isUsable = false;
  t.is((await fixture.call('GET', paths.kubeconfig)).status, 202);
});

const modes: readonly [query: string, status: number][] = [
  ['', 200],
  ['?mode=', 200],
  ['?mode=direct', 200],
  ['?mode=proxy', 422],
  ['?mode=magic', 400],
  ['?mode=direct&mode=proxy', 400],
  ['?root=', 200],
  ['?root=true', 200],
  ['?root=yes', 400],
  ['?root=true&root=true', 400],
];

for (const [query, status] of modes) {
  test(`kubeconfig${query} is answered ${status}`, async (t) => {
    await using fixture = await loggedIn();
    t.is((await fixture.call('GET', `${paths.kubeconfig}${query}`)).status, status);
  });
}

const servers: readonly [query: string, server: string][] = [
  ['', 'https://tka.example.ts.net/k8s'],
  ['&root=false', 'https://tka.example.ts.net/k8s'],
  ['&root=true', 'https://tka.example.ts.net'],
];
for (const [query, server] of servers) {
  test(`a kubeconfig of mode=proxy${query} names ${server}`, async (t) => {
    await using fixture = await loggedIn({ settings: { modes: ['proxy'] } });
    const { json } = await fixture.call('GET', `${paths.kubeconfig}?mode=proxy${query}`);
    t.like(json, { clusters: { 'tka-cluster': { server } } });
  });
}

test("a server that does not know the API server's address says so", async (t) => {
  await using fixture = await loggedIn({ deps: { clusterInfo: () => undefined } });
  const answer = await fixture.call('GET', paths.kubeconfig);
  t.is(answer.status, 422);
  t.regex(answer.text, /clusterInfo\.apiEndpoint/);
  t.is((await fixture.call('GET', paths.clusterInfo)).status, 503);
  t.like((await fixture.call('GET', paths.wellKnown)).json, { modes: [] });
});

test('a call that names its session gets the name in the entries, so that two roles fit in one file', async (t) => {
  await using fixture = await loggedIn();
  const name = fixture.sessions[0]?.name ?? '';
  const { json } = await fixture.call('GET', `${paths.kubeconfig}?session=${name}`);
  t.like(json, { 'current-context': `tka-context-${name}`.replace(/-$/, '') });
});

const scopes: readonly [namespaces: string[], namespace: string | undefined][] = [
  [['dev'], 'dev'],
  [['dev', 'prod'], undefined],
];

for (const [namespaces, namespace] of scopes) {
  test(`a session in ${namespaces.join(' and ')} has the default namespace ${namespace ?? 'of kubectl'}`, async (t) => {
    await using fixture = await loggedIn({ identity: () => Promise.resolve(alice([rule({ namespaces })])) });
    const { json } = await fixture.call('GET', paths.kubeconfig);
    const context = {
      cluster: 'tka-cluster',
      user: 'tka-user-alice',
      ...(namespace === undefined ? {} : { namespace }),
    };
    t.deepEqual((json as typeof mapForm).contexts, { 'tka-context-alice': context });
  });
}

test('an insecure cluster has no CA beside it, which client-go would refuse', async (t) => {
  const insecure = { server_url: 'https://a', insecure_skip_tls_verify: true, ca_data: ca, labels: {} };
  await using fixture = await loggedIn({ deps: { clusterInfo: () => insecure } });
  t.like((await fixture.call('GET', paths.kubeconfig)).json, {
    clusters: {
      'tka-cluster': { server: 'https://a', 'insecure-skip-tls-verify': true, 'certificate-authority-data': undefined },
    },
  });
});

test('names that could break out of a kubeconfig are made plain', async (t) => {
  const odd = alice([rule()], { user: { id: '7', loginName: 'Al: {ice}\n$(id)@x' } });
  await using fixture = await loggedIn({ identity: () => Promise.resolve(odd) });
  t.like((await fixture.call('GET', paths.kubeconfig)).json, { 'current-context': 'tka-context-al-ice-id' });
});
