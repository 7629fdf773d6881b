/**
 * Every setting of the server, once: its key in the file, what it may be, its default, and what it means.
 *
 * Names follow from the key: `clusterInfo.apiEndpoint` is TKA_CLUSTER_INFO_API_ENDPOINT and --cluster-info-api-endpoint. What
 * released servers and Tailscale's own programs call it comes besides. docs/configuration.md is held to this table by a test.
 */
import { join } from 'node:path';
import * as z from 'zod';

type Environment = Readonly<Record<string, string | undefined>>;

export interface Setting<T> {
  readonly schema: z.ZodType<T>;
  readonly fallback: T | ((env: Environment) => T);
  readonly about: string;
  /** Reads what a flag or the environment says; what it cannot read it hands on for the schema to refuse. */
  readonly read: (text: string) => unknown;
  /** Further names in the environment, after the TKA_ one. */
  readonly env?: readonly string[];
  /** Further names as a flag, with their dashes. */
  readonly flags?: readonly string[];
  /** Never printed, and never a flag: arguments are for all to see. */
  readonly isSecret?: true;
  /** What the documentation says for a default that depends on the machine. */
  readonly fallbackInWords?: string;
}

const asText = (text: string): unknown => text;
const asNumber = (text: string): unknown => (/^-?\d+$/.test(text.trim()) ? Number(text) : text);
const asBoolean = (text: string): unknown =>
  ({ true: true, '1': true, false: false, '0': false })[text.trim().toLowerCase()] ?? text;
const asList = (text: string): unknown =>
  text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
const asLabels = (text: string): unknown =>
  Object.fromEntries(
    text
      .split(',')
      .filter((part) => part.trim() !== '')
      .map((part) => {
        const [name = '', ...value] = part.split('=');
        return [name.trim(), value.join('=').trim()];
      }),
  );

type Extra = Pick<Setting<unknown>, 'env' | 'flags' | 'isSecret' | 'fallbackInWords'>;

const text = (
  fallback: string | ((env: Environment) => string),
  about: string,
  extra: Extra = {},
): Setting<string> => ({
  schema: z.string(),
  fallback,
  about,
  read: asText,
  ...extra,
});
const url = (about: string, extra: Extra = {}): Setting<string> => ({
  ...text('', about, extra),
  schema: z.literal('').or(z.url({ protocol: /^https?$/, error: 'must be an http or https URL' })),
});
const count = (fallback: number, about: string, extra: Extra = {}): Setting<number> => ({
  schema: z.int().min(1).max(1_000_000),
  fallback,
  about,
  read: asNumber,
  ...extra,
});
const port = (fallback: number, about: string, extra: Extra = {}): Setting<number> => ({
  ...count(fallback, about, extra),
  schema: z.int().min(1).max(65_535),
});
const yesNo = (about: string, extra: Extra & Partial<Pick<Setting<boolean>, 'fallback'>> = {}): Setting<boolean> => ({
  schema: z.boolean(),
  fallback: false,
  about,
  read: asBoolean,
  ...extra,
});
const list = <T extends string>(
  fallback: readonly NoInfer<T>[],
  about: string,
  item: z.ZodType<T>,
  extra: Extra = {},
): Setting<readonly T[]> => ({
  schema: z.array(item),
  fallback,
  about,
  read: asList,
  ...extra,
});
const choice = <const T extends string>(
  options: readonly [T, ...T[]],
  fallback: NoInfer<T>,
  about: string,
): Setting<T> => ({
  schema: z.enum(options),
  fallback,
  about,
  read: asText,
});

const label = (about: string, fallback: string, extra: Extra = {}): Setting<string> => ({
  ...text(fallback, about, extra),
  schema: z
    .string()
    .regex(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/, 'must be a DNS label: a-z, 0-9 and -, at most 63 characters'),
});
const roleName = z
  .string()
  .min(1)
  .max(253)
  .regex(/^[^/%\s]+$/, 'must be the name of a ClusterRole');
const everyRole = ['view', 'edit', 'admin', 'cluster-admin'];
const prefix = z
  .string()
  .max(30)
  .regex(/^[a-z0-9.-]*$/, 'may have a-z, 0-9, . and -, at most 30 characters');

export const settings = {
  'tailscale.hostname': label('Name asked for on the tailnet.', 'tka', {
    env: ['TS_HOSTNAME'],
    flags: ['-s', '--server'],
  }),
  'tailscale.port': port(
    80,
    'Port of the plain HTTP API inside the tailnet. 443 always speaks TLS besides; 443 here means TLS alone.',
    { flags: ['-p', '--port'] },
  ),
  'tailscale.tailnet': text(
    '',
    'Name of the tailnet. Read for the sake of released configuration files; the control server knows it.',
  ),
  'tailscale.capName': {
    ...text('specht-labs.de/cap/tka', 'Name of the capability whose grants are the rules.', {
      flags: ['-n', '--cap-name'],
    }),
    schema: z.string().min(1),
  },
  'tailscale.stateDir': text(
    stateDir,
    "Directory of the node's keys and certificates. Keep it: a new node is a new machine to the tailnet.",
    { env: ['TS_STATE_DIR'], flags: ['-d', '--dir'], fallbackInWords: '`$XDG_STATE_HOME/tka` or `~/.local/state/tka`' },
  ),
  'tailscale.controlUrl': url("Control server; empty: Tailscale's own.", { env: ['TS_CONTROL_URL'] }),
  'tailscale.tags': list(
    [],
    'Tags to ask for, each as `tag:name`.',
    z.string().regex(/^tag:[A-Za-z][A-Za-z0-9-]*$/, 'must be of the form tag:name'),
    { env: ['TS_TAGS'] },
  ),
  'tailscale.ephemeral': yesNo('The node leaves the tailnet when the server stops.'),
  'tailscale.authKey': text(
    '',
    'Key to join with; a node that has joined needs none. Better in the environment or a file of its own.',
    { env: ['TS_AUTHKEY', 'TS_AUTH_KEY'], isSecret: true },
  ),
  'tailscale.authKeyFile': text('', 'File that holds the key to join with.'),
  'tailscale.caFile': text('', 'PEM file of further roots to trust for the control server.'),
  'operator.namespace': label(
    "Namespace of the sessions and their ServiceAccounts; also the installation's ID. `manifests/` makes `tka-sessions`, and the admission policies name it.",
    'tka-sessions',
  ),
  'operator.clusterName': {
    ...text('tka-cluster', "The cluster's name in kubeconfigs and in discovery."),
    schema: z.string().regex(/^[a-z0-9.-]{1,63}$/, 'must be 1 to 63 of a-z, 0-9, . and -'),
  },
  'operator.contextPrefix': { ...text('tka-', 'First part of context names in kubeconfigs.'), schema: prefix },
  'operator.userPrefix': { ...text('tka-user-', 'First part of user names in kubeconfigs.'), schema: prefix },
  'kubernetes.kubeconfig': text('', "tka's own kubeconfig; empty: the pod's account, else kubectl's rules."),
  'kubernetes.context': text('', 'Context in it; empty: the current one.'),
  'clusterInfo.apiEndpoint': text(
    '',
    "The API server's URL as users reach it. Empty: from the ConfigMap below, else from tka's own kubeconfig.",
    { flags: ['--api-endpoint'] },
  ),
  'clusterInfo.caData': text('', 'Its CA, base64 of PEM; empty: the roots of the system.', { flags: ['--ca-data'] }),
  'clusterInfo.insecureSkipTLSVerify': yesNo(
    'Kubeconfigs tell kubectl not to verify the API server. For tests alone.',
    { flags: ['--insecure-skip-tls-verify'] },
  ),
  'clusterInfo.labels': {
    schema: z.record(z.string().min(1), z.string()),
    fallback: {},
    about: 'Labels that discovery shows; as a flag `a=b,c=d`.',
    read: asLabels,
    flags: ['--labels'],
  } satisfies Setting<Readonly<Record<string, string>>>,
  'clusterInfo.configMapRef.enabled': yesNo('Read address and CA from a ConfigMap.'),
  'clusterInfo.configMapRef.name': label('Its name.', 'cluster-info'),
  'clusterInfo.configMapRef.namespace': label('Its namespace.', 'kube-public'),
  'clusterInfo.configMapRef.keys.apiEndpoint': text('apiEndpoint', 'Key of the URL in it.'),
  'clusterInfo.configMapRef.keys.caData': text('caData', 'Key of the CA in it, base64 of PEM.'),
  'clusterInfo.configMapRef.keys.insecure': text(
    'insecure',
    'Key of `true` where the API server is not to be verified.',
  ),
  'clusterInfo.configMapRef.keys.kubeconfig': text(
    'kubeconfig',
    "Key of a kubeconfig in it, kubeadm's form; read where the keys above are not there.",
  ),
  'roles.clusterWide': list(
    everyRole,
    'Roles tka may bind in the whole cluster. Must match `manifests/cluster/bindable-roles.yaml`. Whoever has edit, admin or more in the whole cluster can become cluster-admin in almost any cluster.',
    roleName,
  ),
  'roles.namespaced': list(everyRole, 'Roles tka may bind in single namespaces.', roleName),
  'limits.loginsPerMinute': count(120, 'Logins a minute of one person or machine; so many may come at once.'),
  'limits.totalLoginsPerMinute': count(12_000, 'Logins a minute of all together.'),
  'limits.streamsPerSession': count(
    512,
    'Requests of one session under way at once through the proxy, streams included.',
  ),
  'limits.unknownGrantSeconds': count(
    3600,
    'How long sessions go on while the tailnet cannot say whether their grants still hold.',
  ),
  'limits.streams': count(8192, 'Requests of all sessions under way at once through the proxy.'),
  'limits.sessionsPerSubject': count(64, 'Live sessions of one person or machine.'),
  'replicas.election': yesNo(
    'Several servers may run for one cluster: the one that holds the Lease `tka` in `tka-system` works on the sessions, all of them answer. See docs/replicas.md.',
    {
      fallback: (env) => env['KUBERNETES_SERVICE_HOST'] !== undefined,
      fallbackInWords: '`false`; in a pod `true`',
    },
  ),
  'replicas.identity': text(
    '',
    "This replica's name on the Lease: another one for each, and the same after a restart in the same pod, which then goes on at once. Empty: the host's name and a random part.",
  ),
  'replicas.leaseSeconds': {
    ...count(
      15,
      'How long the holder of the Lease may be silent before another takes over. It steps down itself after two thirds of it.',
    ),
    schema: z.int().min(3).max(600),
  },
  'api.modes': list(
    ['direct', 'proxy'],
    'Ways to the cluster that are offered: `proxy`, through tka, with a token that opens nothing elsewhere; `direct`, to the API server with a ServiceAccount token, where its address is known.',
    z.enum(['direct', 'proxy']),
  ),
  'recording.directory': text(
    '',
    'Directory for recordings of exec and attach through the proxy (asciicast v2, output without input); empty: none are made.',
  ),
  'recording.fail': choice(
    ['closed', 'open'],
    'closed',
    'What becomes of an exec that cannot be recorded: `closed` refuses it, `open` lets it go on.',
  ),
  'api.retryAfterSeconds': count(1, 'What clients are told to wait before they ask again.'),
  'health.address': text(
    (env) => (env['KUBERNETES_SERVICE_HOST'] === undefined ? '127.0.0.1' : '0.0.0.0'),
    'Address of the health port.',
    { fallbackInWords: '`127.0.0.1`; in a pod, where the kubelet asks, `0.0.0.0`' },
  ),
  'health.port': port(8080, 'Port of `/livez`, `/readyz` and `/metrics`. Not on the tailnet.'),
  'log.level': choice(['debug', 'info', 'warn', 'error'], 'info', 'Least level that is logged.'),
} as const;

export type Settings = typeof settings;
export type SettingKey = keyof Settings;
/** The values in force, by key. */
export type Config = { readonly [K in SettingKey]: Settings[K] extends Setting<infer T> ? T : never };

// Keys of an object literal are its keys: Object.keys just cannot say so.
export const settingKeys = Object.keys(settings) as readonly SettingKey[];

/** First keys that released configuration files have and this server has no use for. */
export const unusedGroups: readonly string[] = ['server', 'otel', 'gossip', 'output'];

/** Names in the environment, the first one ours. */
export function environmentNames(key: SettingKey): readonly string[] {
  const setting: Setting<unknown> = settings[key];
  const snake = `TKA_${words(key).join('_').toUpperCase()}`;
  // Released servers upper-case the key without splitting its words.
  const released = `TKA_${key.replaceAll('.', '_').toUpperCase()}`;
  return [...new Set([snake, released]), ...(setting.env ?? [])];
}

/** Names as a flag, the first one ours; none for a secret. */
export function flagNames(key: SettingKey): readonly string[] {
  const setting: Setting<unknown> = settings[key];
  return setting.isSecret === true ? [] : [`--${words(key).join('-')}`, ...(setting.flags ?? [])];
}

export function fallbackOf(key: SettingKey, env: Environment): unknown {
  const { fallback }: Setting<unknown> = settings[key];
  return typeof fallback === 'function' ? fallback(env) : fallback;
}

function words(key: string): readonly string[] {
  return key
    .split('.')
    .flatMap((part) => part.replace('TLS', 'Tls').split(/(?=[A-Z])/))
    .map((word) => word.toLowerCase());
}

function stateDir(env: Environment): string {
  const home = env['HOME'] ?? '/';
  return join(env['XDG_STATE_HOME'] ?? join(home, '.local/state'), 'tka');
}
