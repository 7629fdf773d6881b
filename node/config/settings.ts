/**
 * Every setting of the server, once: its key in the file, what it may be, its default, and what it means.
 *
 * Names follow from the key: `clusterInfo.apiEndpoint` is TKA_CLUSTER_INFO_API_ENDPOINT and --cluster-info-api-endpoint. Names
 * of released servers and of Tailscale's own programs are accepted too. A test compares docs/configuration.md with this table.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import {
  address,
  asLabels,
  choice,
  count,
  type Environment,
  label,
  list,
  port,
  secretName,
  type Setting,
  text,
  url,
  yesNo,
} from './setting-kinds.ts';

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

const mode = z.enum(['direct', 'proxy']);

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
  'tailscale.stateDir': {
    ...text(
      stateDir,
      "Directory of the node's keys and certificates. Keep it: a new node is a new machine to the tailnet.",
      {
        env: ['TS_STATE_DIR'],
        flags: ['-d', '--dir'],
        fallbackInWords: '`$XDG_STATE_HOME/tka` or `~/.local/state/tka`',
      },
    ),
    schema: z.string().min(1, 'must name a directory'),
  },
  'tailscale.stateSecret': secretName(
    "Secret in tka's namespace that keeps them in place of the directory; it must exist. One for each server. Needs `api.serverKeySecret`.",
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
  'tailscale.clientSecret': text(
    '',
    'Secret of an OAuth client (`tskey-client-…`) that may make auth keys, to join by in place of a key; needs `tailscale.tags`.',
    { env: ['TS_CLIENT_SECRET'], isSecret: true },
  ),
  'tailscale.clientSecretFile': text('', 'File that holds it.'),
  'tailscale.clientId': text(
    '',
    'Client ID of a federated identity, to join by what the cluster says of this workload; needs `tailscale.tags`.',
    { env: ['TS_CLIENT_ID'] },
  ),
  'tailscale.idTokenFile': text('', "File that holds the identity's token: a projected ServiceAccount token."),
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
  'kubernetes.namespace': {
    ...label("tka's own namespace, in which its Secrets are.", 'tka-system'),
    fallback: ownNamespace,
    fallbackInWords: "the pod's, else `tka-system`",
  },
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
    'Roles tka may bind in the whole cluster. Must match `manifests/cluster/bindable-roles.yaml`. A user with edit, admin or more in the whole cluster can become cluster-admin in almost any cluster.',
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
    'Without contact with the control server, or with the tailnet node down: sessions end after this time, because their grants cannot be confirmed.',
  ),
  'limits.offlineLoginSeconds': count(
    900,
    'Without contact with the control server: new logins are served by the netmap in hand, and refused after this time, or after `limits.unknownGrantSeconds` where that is less.',
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
    "This replica's name on the Lease and on its state Secret: different for each replica, and the same after a restart in the same pod, which then resumes at once. Empty: the host's name and a random part.",
  ),
  'replicas.leaseSeconds': {
    ...count(
      15,
      'How long the holder of the Lease may be silent before another takes over. It steps down itself after two thirds of it.',
    ),
    schema: z.int().min(3).max(600),
  },
  'api.modes': {
    ...list(
      ['direct', 'proxy'],
      'Ways to the cluster that are offered: `proxy`, through tka, with a token that opens nothing elsewhere; `direct`, to the API server with a ServiceAccount token, where its address is known. At least one.',
      mode,
    ),
    schema: z.array(mode).min(1, 'must name direct, proxy or both'),
  } satisfies Setting<readonly ('direct' | 'proxy')[]>,
  'api.serverKeySecret': secretName(
    "Secret in tka's namespace that holds the key of the proxy's tokens, the same for all servers; it must exist. Empty: a file in `tailscale.stateDir`.",
  ),
  'recording.directory': text(
    '',
    'Directory for recordings of exec and attach through the proxy (asciicast v2, output without input); empty: none are made.',
  ),
  'recording.maxMegabytes': count(
    1000,
    'Largest size of one recording, in MB. At it the recording has failed, and `recording.fail` says what becomes of the command.',
  ),
  'recording.fail': choice(
    ['closed', 'open'],
    'closed',
    'What becomes of a command in a container that cannot be recorded: `closed` refuses it, or ends it with its recording; `open` lets it run and logs a warning. See [Recordings](#recordings).',
  ),
  'api.retryAfterSeconds': count(1, 'What clients are told to wait before they ask again.'),
  'health.address': address(
    (env) => (env['KUBERNETES_SERVICE_HOST'] === undefined ? '127.0.0.1' : '0.0.0.0'),
    'Address of the health port.',
    { fallbackInWords: '`127.0.0.1`; in a pod, where the kubelet asks, `0.0.0.0`' },
  ),
  'health.port': port(
    8080,
    'Port of `/livez`, `/readyz`, `/metrics`, `/docs` and `/openapi.json`. Not on the tailnet.',
  ),
  'tracing.endpoint': url(
    'OTLP over HTTP: traces of logins go to `/v1/traces` below it. Empty: none are made. `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` is taken as it is.',
    { env: ['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', 'OTEL_EXPORTER_OTLP_ENDPOINT'] },
  ),
  'tracing.sampleRatio': {
    schema: z.number().min(0).max(1),
    fallback: 1,
    about: 'Share of the requests that are traced, from 0 to 1.',
    read: (given: string): unknown => (/^\d+(?:\.\d+)?$/.test(given.trim()) ? Number(given) : given),
    env: ['OTEL_TRACES_SAMPLER_ARG'],
  } satisfies Setting<number>,
  'log.level': choice(['debug', 'info', 'warn', 'error'], 'info', 'Least level that is logged.'),
} as const;

export type Settings = typeof settings;
export type SettingKey = keyof Settings;
/** The values in force, by key. */
export type Config = { readonly [K in SettingKey]: Settings[K] extends Setting<infer T> ? T : never };

// Keys of an object literal are its keys: Object.keys just cannot say so.
export const settingKeys = Object.keys(settings) as readonly SettingKey[];

/** Groups of keys in released configuration files that this server does not use. */
export const unusedGroups: readonly string[] = ['server', 'otel', 'gossip', 'output'];

/** Names in the environment, tka's own first. */
export function environmentNames(key: SettingKey): readonly string[] {
  const setting: Setting<unknown> = settings[key];
  const snake = `TKA_${words(key).join('_').toUpperCase()}`;
  // Released servers upper-case the key without splitting its words.
  const released = `TKA_${key.replaceAll('.', '_').toUpperCase()}`;
  return [...new Set([snake, released]), ...(setting.env ?? [])];
}

/** Names as a flag, tka's own first; none for a secret. */
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

/** Of the pod that this runs in; the file is there wherever a ServiceAccount is. */
function ownNamespace(env: Environment): string {
  if (env['KUBERNETES_SERVICE_HOST'] === undefined) return 'tka-system';
  try {
    return readFileSync('/var/run/secrets/kubernetes.io/serviceaccount/namespace', 'utf8').trim();
  } catch {
    return 'tka-system';
  }
}

function stateDir(env: Environment): string {
  const home = env['HOME'] ?? '/';
  return join(env['XDG_STATE_HOME'] ?? join(home, '.local/state'), 'tka');
}
