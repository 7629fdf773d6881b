import test from 'ava';
import { readClusterAccess } from './cluster-access.ts';
import { slug } from './slug.ts';
import { UserError } from '../errors.ts';
import { stubCa, stubKubeconfig } from '../testing/stub-server.ts';

type Json = Record<string, unknown>;

/** A server's kubeconfig with fields added to its cluster, user or context. */
function kubeconfig(changes: { cluster?: Json; user?: Json; context?: Json; top?: Json; clusterName?: string }): Json {
  const plain = stubKubeconfig('a.b.c') as {
    clusters: [{ cluster: Json }];
    users: [{ user: Json }];
    contexts: [{ context: Json }];
  };
  const name = changes.clusterName ?? 'prod';
  return {
    ...plain,
    clusters: [{ name, cluster: { ...plain.clusters[0].cluster, ...changes.cluster } }],
    users: [{ name: 'tka-user-alice', user: { ...plain.users[0].user, ...changes.user } }],
    contexts: [{ name: 'tka-alice', context: { ...plain.contexts[0].context, cluster: name, ...changes.context } }],
    ...changes.top,
  };
}

test('a plain kubeconfig becomes an address, a CA, a token and a name', (t) => {
  const access = readClusterAccess(kubeconfig({ context: { namespace: 'dev' } }), 'http://tka');
  t.deepEqual(access, {
    name: 'tka-prod',
    url: 'https://127.0.0.1:6443',
    ca: Buffer.from(stubCa, 'base64').toString(),
    insecureSkipTlsVerify: false,
    token: 'a.b.c',
    namespace: 'dev',
  });
});

const plain = JSON.stringify(readClusterAccess(kubeconfig({}), 'http://tka'));
const dropped: readonly [string, Json][] = [
  ['a plugin', kubeconfig({ user: { exec: { command: 'sh', args: ['-c', 'id'], apiVersion: 'v1' } } })],
  ['a token file', kubeconfig({ user: { tokenFile: '/etc/shadow' } })],
  [
    'client keys by path',
    kubeconfig({ user: { 'client-key': '/root/.ssh/id_ed25519', 'client-certificate': '/etc/passwd' } }),
  ],
  ['an auth provider', kubeconfig({ user: { 'auth-provider': { name: 'oidc', config: {} } } })],
  ['impersonation', kubeconfig({ user: { as: 'admin' } })],
  ['a proxy', kubeconfig({ cluster: { 'proxy-url': 'http://evil:8080' } })],
  ['a CA by path', kubeconfig({ cluster: { 'certificate-authority': '/etc/ssl/evil.pem' } })],
  ['another TLS name', kubeconfig({ cluster: { 'tls-server-name': 'evil' } })],
  ['extensions', kubeconfig({ cluster: { extensions: [{ name: 'x', extension: {} }] }, top: { extensions: [] } })],
  ['preferences', kubeconfig({ top: { preferences: { exec: 'x' } } })],
  ['an invalid namespace', kubeconfig({ context: { namespace: '../kube-system' } })],
  [
    '__proto__',
    JSON.parse(JSON.stringify(kubeconfig({})).replace('{', '{"__proto__":{"exec":{"command":"sh"}},')) as Json,
  ],
];
for (const [what, hostile] of dropped) {
  test(`${what} from a server goes nowhere`, (t) => {
    t.is(JSON.stringify(readClusterAccess(hostile, 'http://tka')), plain);
  });
}

const pem = (type: string, base64: string) =>
  Buffer.from(`-----BEGIN ${type}-----\n${base64}\n-----END ${type}-----\n`).toString('base64');
const refused: readonly [string, unknown][] = [
  ['no kubeconfig', null],
  ['the map form of another client', { clusters: {}, users: {}, contexts: {} }],
  ['plain http, over which kubectl sends no credential', kubeconfig({ cluster: { server: 'http://prod' } })],
  ['a file address', kubeconfig({ cluster: { server: 'file:///etc/passwd' } })],
  ['a user in the address', kubeconfig({ cluster: { server: 'https://a:b@prod' } })],
  ['a query in the address', kubeconfig({ cluster: { server: 'https://prod?x=y' } })],
  ['no address', kubeconfig({ cluster: { server: '' } })],
  ['an address of 3000 characters', kubeconfig({ cluster: { server: `https://${'a'.repeat(3000)}` } })],
  ['a token with a line break', kubeconfig({ user: { token: 'a\nb' } })],
  ['a token with an escape', kubeconfig({ user: { token: 'a\u001B[2Jb' } })],
  ['no token', kubeconfig({ user: { token: '' } })],
  ['a plugin in place of a token', kubeconfig({ user: { token: undefined, exec: { command: 'sh' } } })],
  [
    'a CA that is text',
    kubeconfig({ cluster: { 'certificate-authority-data': Buffer.from('hello').toString('base64') } }),
  ],
  ['a CA that does not parse', kubeconfig({ cluster: { 'certificate-authority-data': pem('CERTIFICATE', 'AAAA') } })],
  ['a key in place of a CA', kubeconfig({ cluster: { 'certificate-authority-data': pem('PRIVATE KEY', 'AAAA') } })],
  ['a context without its cluster', kubeconfig({ context: { cluster: 'other' } })],
  [
    'a thousand contexts',
    kubeconfig({ top: { contexts: Array.from({ length: 1000 }, () => ({ name: 'a', context: {} })) } }),
  ],
];
for (const [what, hostile] of refused) {
  test(`${what}: refused, in words without control characters`, (t) => {
    const error = t.throws(() => readClusterAccess(hostile, 'http://tka'), { instanceOf: UserError });
    t.notRegex(error?.message ?? '', /\p{Cc}/u);
    t.regex(error?.advice.join(' ') ?? '', /Nothing was written/);
  });
}

test('what stands around a certificate does not pass', (t) => {
  const other = ['BEGIN', 'END'].map((word) => `-----${word} PRIVATE KEY-----`).join('\nAAAA\n');
  const text = `echo pwned\n${Buffer.from(stubCa, 'base64').toString()}\n${other}\n`;
  const data = Buffer.from(text).toString('base64');
  const { ca } = readClusterAccess(kubeconfig({ cluster: { 'certificate-authority-data': data } }), 'http://tka');
  t.is(ca, Buffer.from(stubCa, 'base64').toString());
});

const slugs: readonly [string, string][] = [
  ['prod', 'prod'],
  ['Prod EU_1', 'prod-eu-1'],
  ['$(reboot)', 'reboot'],
  ['\u001B]0;x\u0007prod', '0-x-prod'],
  ['../../etc', 'etc'],
  ['-rf', 'rf'],
  ['日本', 'tka'],
  ['', 'tka'],
  ['a'.repeat(300), 'a'.repeat(63)],
  [`${'a'.repeat(62)}.b`, 'a'.repeat(62)],
];
for (const [text, expected] of slugs) {
  test(`the name ${JSON.stringify(text.slice(0, 20))} of ${text.length} characters becomes ${expected.slice(0, 20)}`, (t) => {
    t.is(slug(text), expected);
  });
}

test('a cluster that calls itself tka-… is not called tka twice', (t) => {
  t.is(readClusterAccess(kubeconfig({ clusterName: 'tka-cluster' }), 'http://tka').name, 'tka-cluster');
  t.is(readClusterAccess(kubeconfig({ clusterName: 'kind-kind' }), 'http://tka').name, 'tka-kind-kind');
});
