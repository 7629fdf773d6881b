import test from 'ava';
import { readFile } from 'node:fs/promises';
import type { ConfigInput } from './index.ts';
import { ConfigError, describeConfig, loadConfig, recordingWarnings, roleWarnings } from './index.ts';
import type { Setting } from './setting-kinds.ts';
import { environmentNames, flagNames, settingKeys, settings } from './settings.ts';

const file = (text: string): ConfigInput => ({ file: { path: '/etc/tka/config.yaml', text }, env: {} });

test('flags win over the environment, the environment over the file, the file over the default', (t) => {
  const text = 'tailscale: { hostname: from-file, controlUrl: "https://file.example" }\nhealth: { port: 1111 }';
  const { values, sources } = loadConfig({
    ...file(text),
    env: { TKA_TAILSCALE_HOSTNAME: 'from-env', TKA_HEALTH_PORT: '2222' },
    flags: { 'health.port': { name: '--health-port', text: '3333' } },
  });
  t.like(values, {
    'health.port': 3333,
    'tailscale.hostname': 'from-env',
    'tailscale.controlUrl': 'https://file.example',
  });
  t.like(sources, {
    'health.port': 'flag --health-port',
    'tailscale.hostname': 'environment TKA_TAILSCALE_HOSTNAME',
    'tailscale.controlUrl': 'file /etc/tka/config.yaml',
    'tailscale.port': 'default',
  });
});

test('every default is a value that its own schema lets pass', (t) => {
  t.notThrows(() => loadConfig({ env: {} }));
});

const refused: readonly [title: string, text: string, message: RegExp][] = [
  [
    'an unknown key, with the one that was meant',
    'tailscale: { hostnam: tka }',
    /config\.yaml: unknown key tailscale\.hostnam; did you mean tailscale\.hostname\?/,
  ],
  [
    'a key in another case',
    'tailscale: { hostName: tka }',
    /unknown key tailscale\.hostName; did you mean tailscale\.hostname/,
  ],
  ['an unknown group', 'frobnicate: 1', /unknown key frobnicate; docs\/configuration\.md/],
  ['a key that is there twice', 'health: { port: 1 }\nhealth: { port: 2 }', /not YAML: .*unique/s],
  [
    'a number where a name belongs',
    'tailscale: { hostname: 7 }',
    /tailscale\.hostname \(file \/etc\/tka\/config\.yaml\): .*string.*, not 7/,
  ],
  ['a word where a number belongs', 'health: { port: many }', /health\.port .*, not "many"/],
  ['an invalid port', 'health: { port: 70000 }', /health\.port/],
  ['a list where a word belongs', 'tailscale: { hostname: [a] }', /tailscale\.hostname/],
  ['a word where a group belongs', 'tailscale: tka', /tailscale must be a map/],
  ['an empty limit', 'limits: { sessionsPerSubject: 0 }', /limits\.sessionsPerSubject/],
  ['a control server that is no URL', 'tailscale: { controlUrl: headscale }', /tailscale\.controlUrl/],
  [
    'a role that is a path',
    'roles: { clusterWide: ["../x"] }',
    /roles\.clusterWide \(.*\): 0: must be the name of a ClusterRole/,
  ],
  ['a tag without its prefix', 'tailscale: { tags: [tka] }', /tag:name/],
  ['no YAML', 'a: [', /not YAML/],
  ['a list for the whole file', '- a', /the file must be a map/],
];

for (const [title, text, message] of refused) {
  test(`a file with ${title} is refused`, (t) => {
    t.throws(() => loadConfig(file(text)), { instanceOf: ConfigError, message });
  });
}

test('a refused secret is not shown', (t) => {
  const error = t.throws(() => loadConfig(file('tailscale: { authKey: [tskey-secret] }')), { instanceOf: ConfigError });
  t.notRegex(error?.message ?? '', /tskey/);
  const loaded = loadConfig({ env: { TS_AUTHKEY: 'tskey-secret' } });
  t.is(loaded.values['tailscale.authKey'], 'tskey-secret');
  t.notRegex(JSON.stringify(describeConfig(loaded)), /tskey/);
  t.deepEqual(flagNames('tailscale.authKey'), []);
});

test('a configuration file of a released server is read as it is', (t) => {
  const { values, warnings } = loadConfig(
    file(`
debug: true
tailscale: { hostname: tka, port: 443, tailnet: sphinx-map.ts.net, stateDir: /tmp/state, capName: example.com/cap/tka }
server: { debug: true, readTimeout: 10s, idleTimeout: 120s }
otel: { endpoint: "localhost:4317", insecure: true }
output: { theme: dark }
gossip: { enabled: false }
operator: { namespace: tka-dev, clusterName: prod, contextPrefix: tka-context-, userPrefix: tka-user- }
api: { retryAfterSeconds: 2 }
health: { port: 8081 }
clusterInfo:
  apiEndpoint: ""
  caData: ""
  insecureSkipTLSVerify: false
  labels: { environment: development }
  configMapRef: { enabled: true, name: cluster-info, namespace: kube-public, keys: { kubeconfig: kubeconfig } }
`),
  );
  t.like(values, {
    'log.level': 'debug',
    'tailscale.port': 443,
    'tailscale.capName': 'example.com/cap/tka',
    'operator.namespace': 'tka-dev',
    'operator.contextPrefix': 'tka-context-',
    'clusterInfo.labels': { environment: 'development' },
    'clusterInfo.configMapRef.enabled': true,
    'api.retryAfterSeconds': 2,
  });
  t.true(warnings.some((warning) => warning.startsWith('otel in /etc/tka/config.yaml has no effect')));
});

test('an empty file and an empty value are the defaults', (t) => {
  t.is(loadConfig(file('')).values['health.port'], 8080);
  t.is(loadConfig(file('health:\n  port:\n')).values['health.port'], 8080);
  t.is(loadConfig(file('health:\n')).values['health.port'], 8080);
});

const environment: readonly [name: string, text: string, expected: Readonly<Record<string, unknown>>][] = [
  ['TKA_HEALTH_PORT', '9090', { 'health.port': 9090 }],
  ['TKA_TAILSCALE_EPHEMERAL', 'true', { 'tailscale.ephemeral': true }],
  ['TKA_TAILSCALE_EPHEMERAL', '0', { 'tailscale.ephemeral': false }],
  ['TKA_TAILSCALE_EPHEMERAL', '', { 'tailscale.ephemeral': false }],
  ['TKA_CLUSTER_INFO_API_ENDPOINT', 'https://a', { 'clusterInfo.apiEndpoint': 'https://a' }],
  ['TKA_CLUSTERINFO_APIENDPOINT', 'https://a', { 'clusterInfo.apiEndpoint': 'https://a' }],
  ['TKA_CLUSTER_INFO_INSECURE_SKIP_TLS_VERIFY', '1', { 'clusterInfo.insecureSkipTLSVerify': true }],
  ['TKA_CLUSTER_INFO_LABELS', 'a=b,c=d=e', { 'clusterInfo.labels': { a: 'b', c: 'd=e' } }],
  ['TKA_ROLES_CLUSTER_WIDE', 'view, edit', { 'roles.clusterWide': ['view', 'edit'] }],
  ['TS_HOSTNAME', 'gate', { 'tailscale.hostname': 'gate' }],
  ['TS_STATE_DIR', '/state', { 'tailscale.stateDir': '/state' }],
  ['TS_CONTROL_URL', 'https://hs.example', { 'tailscale.controlUrl': 'https://hs.example' }],
  ['TS_TAGS', 'tag:tka,tag:x', { 'tailscale.tags': ['tag:tka', 'tag:x'] }],
  ['TS_AUTHKEY', 'key', { 'tailscale.authKey': 'key' }],
  ['KUBERNETES_SERVICE_HOST', '10.0.0.1', { 'health.address': '0.0.0.0' }],
  ['XDG_STATE_HOME', '/x', { 'tailscale.stateDir': '/x/tka' }],
];

for (const [name, text, expected] of environment) {
  test(`${name}=${text} is ${JSON.stringify(expected)}`, (t) => {
    t.like(loadConfig({ env: { [name]: text } }).values, expected);
  });
}

test('a bad value in the environment names its variable', (t) => {
  t.throws(() => loadConfig({ env: { TKA_HEALTH_PORT: 'http' } }), {
    message: /health\.port \(environment TKA_HEALTH_PORT\).*"http"/,
  });
});

test('what Kubernetes sets for a Service named tka-health is not our port', (t) => {
  const { values, warnings } = loadConfig({ env: { TKA_HEALTH_PORT: 'tcp://10.0.0.1:8080' } });
  t.is(values['health.port'], 8080);
  t.regex(warnings.join('\n'), /TKA_HEALTH_PORT comes from a Kubernetes Service/);
});

test('a variable that is a letter off is pointed at', (t) => {
  const { warnings } = loadConfig({ env: { TKA_TAILSCALE_HOSTNAM: 'x', TKA_SERVICE_HOST: '10.0.0.1', OTHER: '' } });
  t.deepEqual(warnings, ['TKA_TAILSCALE_HOSTNAM in the environment is not read; did you mean TKA_TAILSCALE_HOSTNAME?']);
});

test('no two settings share a name', (t) => {
  for (const names of [
    settingKeys.flatMap((key) => flagNames(key)),
    settingKeys.flatMap((key) => environmentNames(key)),
  ]) {
    t.is(new Set(names).size, names.length);
  }
});

test('roles that amount to cluster-admin are pointed out, harmless ones are not', (t) => {
  t.deepEqual(roleWarnings({ 'roles.clusterWide': ['view', 'system:aggregate-to-view'] }), []);
  t.regex(roleWarnings({ 'roles.clusterWide': ['view', 'edit'] }).join(), /edit in the whole cluster/);
});

test('recordings beside the direct mode are pointed out', (t) => {
  t.deepEqual(recordingWarnings({ 'recording.directory': '/r', 'api.modes': ['proxy'] }), []);
  t.deepEqual(recordingWarnings({ 'recording.directory': '', 'api.modes': ['direct', 'proxy'] }), []);
  t.regex(
    recordingWarnings({ 'recording.directory': '/r', 'api.modes': ['direct', 'proxy'] }).join(),
    /direct mode are not recorded.*api\.modes/,
  );
});

test('docs/configuration.md lists every setting as it is', async (t) => {
  const text = await readFile(new URL('../../docs/configuration.md', import.meta.url), 'utf8');
  const rows = [...text.matchAll(/^\| `(.+?)` .*$/gm)].map(([row]) =>
    row.split(/(?<!\\)\|/).map((cell) => cell.trim()),
  );
  t.deepEqual(
    rows.map((cells) => cells.slice(1, -1)),
    settingKeys.map((key) => documented(key)),
  );
});

/** Key, environment, flags, default, meaning. */
function documented(key: keyof typeof settings): readonly string[] {
  const setting: Setting<unknown> = settings[key];
  const code = (names: readonly string[]) => names.map((name) => `\`${name}\``).join(' ');
  const { fallback } = setting;
  // What is no list and no map is a word, a number or a yes.
  const plain = Array.isArray(fallback)
    ? fallback.join(',')
    : typeof fallback === 'object'
      ? ''
      : `${fallback as string | number | boolean}`;
  const inWords = setting.fallbackInWords ?? (plain === '' ? '' : code([plain]));
  return [code([key]), code(environmentNames(key)), code(flagNames(key)), inWords, setting.about];
}
