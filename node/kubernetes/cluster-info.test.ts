import test from 'ava';
import { generateKeyPairSync } from 'node:crypto';
import { rootCertificates } from 'node:tls';
import type { ClusterInfoDeps } from './cluster-info.ts';
import { ClusterInfoError, findClusterInfo } from './cluster-info.ts';
import { loadConfig } from '../config/index.ts';

const pem = rootCertificates[0] ?? '';
const ca = Buffer.from(pem).toString('base64');

const kubeadm = `
apiVersion: v1
kind: Config
clusters:
- name: ""
  cluster: { server: "https://10.1.2.3:6443", certificate-authority-data: ${ca} }
`;

function deps(config: string, overrides: Partial<ClusterInfoDeps> = {}): ClusterInfoDeps {
  return {
    config: loadConfig({ file: { path: 'c', text: config }, env: {} }).values,
    own: { server: 'https://own.example:6443', caData: ca, isInsecure: false, isInCluster: false },
    readConfigMap: () => Promise.resolve(undefined),
    ...overrides,
  };
}
const inCluster = { server: 'https://10.96.0.1:443', caData: ca, isInsecure: false, isInCluster: true };
const reference = 'clusterInfo: { configMapRef: { enabled: true } }';
const map = (data: Record<string, string>) => ({ readConfigMap: () => Promise.resolve(data) });

const found: readonly [
  title: string,
  deps: ClusterInfoDeps,
  expected: Readonly<Record<string, unknown>> | undefined,
][] = [
  [
    'the configuration',
    deps(`clusterInfo: { apiEndpoint: "https://a:6443", caData: ${ca}, labels: { x: y } }`),
    { server_url: 'https://a:6443', ca_data: ca, insecure_skip_tls_verify: false, labels: { x: 'y' } },
  ],
  [
    'the configuration, without a scheme',
    deps('clusterInfo: { apiEndpoint: "192.168.1.100:6443" }'),
    { server_url: 'https://192.168.1.100:6443', ca_data: '' },
  ],
  [
    'the configuration, unverified',
    deps('clusterInfo: { apiEndpoint: "https://a", insecureSkipTLSVerify: true }'),
    { insecure_skip_tls_verify: true },
  ],
  ["tka's own kubeconfig", deps(''), { server_url: 'https://own.example:6443', ca_data: ca }],
  [
    'keys of a ConfigMap',
    deps(reference, map({ apiEndpoint: 'https://b', caData: ca, insecure: 'true' })),
    { server_url: 'https://b', ca_data: ca, insecure_skip_tls_verify: true },
  ],
  [
    "kubeadm's ConfigMap",
    deps(reference, map({ kubeconfig: kubeadm, 'jws-kubeconfig-abc': 'x' })),
    { server_url: 'https://10.1.2.3:6443', ca_data: ca, insecure_skip_tls_verify: false },
  ],
  [
    "kubeadm's ConfigMap, in a pod and unasked",
    deps('', { own: inCluster, ...map({ kubeconfig: kubeadm }) }),
    { server_url: 'https://10.1.2.3:6443' },
  ],
  ['nowhere, in a pod without it', deps('', { own: inCluster }), undefined],
  [
    'nowhere, in a pod that may not read it',
    deps('', { own: inCluster, readConfigMap: () => Promise.reject(new Error('forbidden')) }),
    undefined,
  ],
];

for (const [title, given, expected] of found) {
  test(`cluster info from ${title}`, async (t) => {
    const info = await findClusterInfo(given);
    if (expected === undefined) t.is(info, undefined);
    else t.like(info, expected);
  });
}

const refused: readonly [title: string, deps: ClusterInfoDeps, message: RegExp][] = [
  [
    'two places at once',
    deps('clusterInfo: { apiEndpoint: "https://a", configMapRef: { enabled: true } }'),
    /both set/,
  ],
  ['no TLS', deps('clusterInfo: { apiEndpoint: "http://a" }'), /must be an https URL, not "http:\/\/a"/],
  [
    'a CA that is no base64',
    deps('clusterInfo: { apiEndpoint: "https://a", caData: "%%%" }'),
    /CA in clusterInfo must be base64 of PEM/,
  ],
  [
    'a CA that is bare PEM',
    deps('clusterInfo: { apiEndpoint: "https://a", caData: "-----BEGIN CERTIFICATE-----" }'),
    /must be base64 of PEM/,
  ],
  [
    'a CA of PEM that is no certificate',
    deps(
      `clusterInfo: { apiEndpoint: "https://a", caData: ${Buffer.from('-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----').toString('base64')} }`,
    ),
    /must be base64 of PEM/,
  ],
  ['a ConfigMap that is not there', deps(reference), /ConfigMap kube-public\/cluster-info .* does not exist/],
  ['a ConfigMap without the keys', deps(reference, map({ other: 'x' })), /neither the key apiEndpoint nor kubeconfig/],
  ['a ConfigMap with a broken kubeconfig', deps(reference, map({ kubeconfig: 'a: [' })), /key kubeconfig is not YAML/],
  [
    'a ConfigMap with an empty kubeconfig',
    deps(reference, map({ kubeconfig: 'clusters: []' })),
    /has no cluster with a server/,
  ],
];

for (const [title, given, message] of refused) {
  test(`cluster info with ${title} is refused`, async (t) => {
    await t.throwsAsync(findClusterInfo(given), { instanceOf: ClusterInfoError, message });
  });
}

test('a CA that is a private key is refused, and not repeated', async (t) => {
  const key = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' });
  const caData = Buffer.from(key).toString('base64');
  const given = deps(`clusterInfo: { apiEndpoint: "https://a", caData: ${caData} }`);
  const error = await t.throwsAsync(findClusterInfo(given), { instanceOf: ClusterInfoError });
  t.false(error?.message.includes(caData));
});
