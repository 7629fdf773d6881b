import test from 'ava';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError, readConfig } from './index.ts';
import { checkedConfig } from './check.ts';

const scratch = mkdtempSync(join(tmpdir(), 'tka-config-check-'));
test.after.always(() => rmSync(scratch, { recursive: true }));

let files = 0;
function fileOf(content: string): string {
  const path = join(scratch, String(files++));
  writeFileSync(path, content);
  return path;
}

const check = (text: string, env: Record<string, string> = {}) =>
  checkedConfig(readConfig({ file: { path: '/etc/tka/config.yaml', text }, env }));

const accepted = [
  ['the defaults', {}],
  ['a server key Secret alone', { TKA_API_SERVER_KEY_SECRET: 'tka-server-key' }],
  ['two Secrets', { TKA_TAILSCALE_STATE_SECRET: 'tka-0-state', TKA_API_SERVER_KEY_SECRET: 'tka-server-key' }],
] as const;
for (const [title, env] of accepted) {
  test(`accepted: ${title}`, (t) => {
    t.notThrows(() => check('', env));
  });
}

/** Each must name the setting, where its value came from, and what to change. */
const refused: readonly [title: string, text: string, env: Record<string, string>, message: RegExp][] = [
  [
    'two ways to join',
    'tailscale: { clientSecret: tskey-client-1, tags: ["tag:tka"] }',
    { TS_AUTHKEY: 'tskey-auth-1' },
    /^tailscale\.authKey \(environment TS_AUTHKEY\) and tailscale\.clientSecret \(file \/etc\/tka\/config\.yaml\) are two ways to join the tailnet: remove all but one$/,
  ],
  [
    'a client secret without tags',
    '',
    { TS_CLIENT_SECRET: 'tskey-client-1' },
    /^tailscale\.clientSecret \(environment TS_CLIENT_SECRET\) needs tailscale\.tags: .*--tailscale-tags, TKA_TAILSCALE_TAGS/,
  ],
  [
    'a workload identity without the file of its token',
    'tailscale: { tags: ["tag:tka"] }',
    { TS_CLIENT_ID: 'k1' },
    /^tailscale\.clientId .* needs tailscale\.idTokenFile.*TKA_TAILSCALE_ID_TOKEN_FILE/,
  ],
  [
    'a state Secret without a server key Secret',
    'tailscale: { stateSecret: tka-0-state }',
    {},
    /^tailscale\.stateSecret \(file .*\) without api\.serverKeySecret: .*--api-server-key-secret, TKA_API_SERVER_KEY_SECRET/,
  ],
  [
    'one Secret for the state and the server key',
    'tailscale: { stateSecret: tka-0-state }\napi: { serverKeySecret: tka-0-state }',
    {},
    /^tailscale\.stateSecret .* and api\.serverKeySecret .* are the same Secret/,
  ],
  [
    'an API server over http',
    'clusterInfo: { apiEndpoint: "http://api.example.com:6443" }',
    {},
    /^clusterInfo\.apiEndpoint .* must be an https URL, not "http:\/\/api\.example\.com:6443".*TKA_CLUSTER_INFO_API_ENDPOINT/,
  ],
  [
    'a control server of another scheme',
    'tailscale: { controlUrl: "ftp://hs.example" }',
    {},
    /^tailscale\.controlUrl .* must be an http or https URL, not "ftp:\/\/hs\.example"/,
  ],
  [
    'a CA that is no certificate',
    'clusterInfo: { caData: aGVsbG8= }',
    {},
    /^clusterInfo\.caData .* base64 of PEM certificates.*TKA_CLUSTER_INFO_CA_DATA/,
  ],
  [
    'two sources of the API server',
    'clusterInfo: { apiEndpoint: "https://api", configMapRef: { enabled: true } }',
    {},
    /^clusterInfo\.apiEndpoint .* and clusterInfo\.configMapRef\.enabled .* are both set: remove one/,
  ],
  [
    'an auth key file that does not exist',
    'tailscale: { authKeyFile: /nonexistent/key }',
    {},
    /^tailscale\.authKeyFile \(file .*\): cannot read \/nonexistent\/key \(ENOENT\).*TKA_TAILSCALE_AUTH_KEY_FILE/,
  ],
  [
    'an OAuth secret in the place of an auth key',
    '',
    { TS_AUTHKEY: 'tskey-client-1' },
    /^tailscale\.authKey \(environment TS_AUTHKEY\) holds the secret of an OAuth client, not an auth key: set tailscale\.clientSecret$/,
  ],
  [
    'an auth key in the place of an OAuth secret',
    'tailscale: { tags: ["tag:tka"] }',
    { TS_CLIENT_SECRET: 'tskey-auth-1' },
    /^tailscale\.clientSecret \(environment TS_CLIENT_SECRET\) holds no secret of an OAuth client, which begins with tskey-client-$/,
  ],
  [
    'a token file without the workload identity that it is for',
    `tailscale: { idTokenFile: ${fileOf('a.b.c')} }`,
    {},
    /^tailscale\.idTokenFile .* needs tailscale\.clientId.*TKA_TAILSCALE_CLIENT_ID.*or remove tailscale\.idTokenFile/,
  ],
  [
    'a token file that does not exist',
    'tailscale: { idTokenFile: /nonexistent/token, tags: ["tag:tka"] }',
    { TS_CLIENT_ID: 'k1' },
    /^tailscale\.idTokenFile \(file .*\): cannot read \/nonexistent\/token \(ENOENT\)/,
  ],
  [
    'a kubeconfig that does not exist',
    '',
    { TKA_KUBERNETES_KUBECONFIG: '/nonexistent/kubeconfig' },
    /^kubernetes\.kubeconfig .*: cannot read \/nonexistent\/kubeconfig \(ENOENT\)/,
  ],
  ['a CA file without a certificate', `tailscale: { caFile: ${fileOf('hello')} }`, {}, /^tailscale\.caFile .* no PEM/],
  ['sessions in the namespace of tka', 'operator: { namespace: tka-system }', {}, /^operator\.namespace .*tka's own/],
  ['no role at all', 'roles: { clusterWide: [], namespaced: [] }', {}, /^roles\.clusterWide .* are both empty/],
  [
    'no mode',
    'api: { modes: [] }',
    {},
    /^api\.modes \(file .*\): must name direct, proxy or both, not \[\]; .*TKA_API_MODES/,
  ],
  [
    'an invalid address',
    'health: { address: 999.1.1.1 }',
    {},
    /^health\.address .*IP address or a host name.*HEALTH_ADDRESS/,
  ],
  ['an empty address', 'health: { address: "" }', {}, /^health\.address /],
  ['an empty state directory', 'tailscale: { stateDir: "" }', {}, /^tailscale\.stateDir .*must name a directory/],
  ['a number that is NaN', 'limits: { streams: .nan }', {}, /^limits\.streams .*, not NaN/],
  ['an infinite number', 'tracing: { sampleRatio: .inf }', {}, /^tracing\.sampleRatio .*, not Infinity/],
  ['a negative number', 'limits: { loginsPerMinute: -1 }', {}, /^limits\.loginsPerMinute .*, not -1/],
  [
    'a period longer than any timer',
    'limits: { unknownGrantSeconds: 2147484 }',
    {},
    /^limits\.unknownGrantSeconds .*, not 2147484/,
  ],
];

for (const [title, text, env, message] of refused) {
  test(`${title}: refused with setting, source and remedy`, (t) => {
    t.throws(() => check(text, env), { instanceOf: ConfigError, message });
  });
}

test('all problems are listed at once, values and combinations alike', (t) => {
  const text = `
nope: 1
tailscale: { stateSecret: tka-0-state, hostnam: x }
clusterInfo: { apiEndpoint: "http://api" }
health: { port: 0 }
api: { modes: [] }
`;
  const error = t.throws(() => check(text, { TS_AUTHKEY: 'tskey-client-1', TS_CLIENT_ID: 'k1' }), {
    instanceOf: ConfigError,
  });
  const [head = '', ...lines] = (error?.message ?? '').split('\n');
  t.is(head, `the configuration has ${lines.length} problems:`);
  const about = (what: string): number => lines.filter((line) => line.startsWith(`  - ${what}`)).length;
  t.deepEqual(
    [
      '/etc/tka/config.yaml: unknown key nope',
      '/etc/tka/config.yaml: unknown key tailscale.hostnam',
      'health.port ',
      'api.modes ',
      'clusterInfo.apiEndpoint ',
      'tailscale.stateSecret ',
    ].map(about),
    [1, 1, 1, 1, 1, 1],
  );
  t.is(about('tailscale.authKey (environment TS_AUTHKEY) and tailscale.clientId'), 1);
  t.notRegex(error?.message ?? '', /tskey-client-1/);
});

test('values of another kind are refused, and no check is made with them', (t) => {
  const text = 'tailscale: { authKey: 5, caFile: [], tags: 7 }\nroles: { clusterWide: 1, namespaced: [] }';
  const error = t.throws(() => check(text), { instanceOf: ConfigError });
  const about = (error?.message ?? '').split('\n').map((line) => /^ {2}- (\S+)/.exec(line)?.[1]);
  t.deepEqual(
    about.slice(1).toSorted((a = '', b = '') => a.localeCompare(b)),
    ['roles.clusterWide', 'tailscale.authKey', 'tailscale.caFile', 'tailscale.tags'],
  );
});

test('a check of two settings is left out where one of them was refused already', (t) => {
  const text = 'tailscale: { stateSecret: tka-0-state }\napi: { serverKeySecret: "Not A Name" }';
  const error = t.throws(() => check(text), { instanceOf: ConfigError });
  t.regex(error?.message ?? '', /^api\.serverKeySecret /);
});

test('serve leaves credentials that cannot be read to the node, which needs none once it has joined; config does not', (t) => {
  const reading = readConfig({ env: { TKA_TAILSCALE_AUTH_KEY_FILE: '/nonexistent/key' } });
  t.notThrows(() => checkedConfig(reading, { isServing: true }));
  t.throws(() => checkedConfig(reading), { instanceOf: ConfigError });
});

test('roles of one kind alone, and a CA file with a certificate, are accepted', (t) => {
  t.notThrows(() => check('roles: { clusterWide: [], namespaced: [edit] }'));
  t.notThrows(() => check('roles: { clusterWide: [view], namespaced: [] }'));
  t.notThrows(() => check(`tailscale: { caFile: ${fileOf('-----BEGIN CERTIFICATE-----')} }`));
  t.notThrows(() => check('', { TKA_KUBERNETES_KUBECONFIG: fileOf('not a certificate') }));
});

test('host names and addresses of both families are addresses', (t) => {
  for (const address of ['127.0.0.1', '0.0.0.0', '::', '::1', 'localhost', 'node-1.example.com']) {
    t.is(check(`health: { address: "${address}" }`).values['health.address'], address);
  }
});
