/**
 * The processes of a stack's cluster: etcd, kube-apiserver, kube-controller-manager and, where there is a node for pods to
 * be put on, kube-scheduler, each with its flags.
 */
import { join } from 'node:path';
import { serviceSubnet } from './node/addresses.ts';
import type { NodeAddresses } from './node/addresses.ts';
import type { Pki } from './pki.ts';
import type { Child, Processes } from './processes.ts';
import { send } from './send.ts';

/** What the components are made of. */
export interface ControlPlaneOptions {
  readonly processes: Processes;
  /** The `kube` binary. */
  readonly kube: string;
  readonly pki: Pki;
  /** Names of kube-controller-manager's controllers. */
  readonly controllers?: readonly string[] | undefined;
  /** Of the cluster's node, where it has one. */
  readonly node?: NodeAddresses | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The first gives view, edit and admin their rules; the second removes what is in a deleted namespace; the third makes
 * each namespace's default account, which admission has to let through. Garbage collection is left out on purpose:
 * what tka leaves behind has to be found, not tidied away.
 */
const defaultControllers: readonly string[] = [
  'clusterrole-aggregation-controller',
  'namespace-controller',
  'serviceaccount-controller',
];

/**
 * What it takes from a Deployment or a Job to pods that come and go with it, behind a Service. Garbage collection is
 * among it: without it the pods of a deleted Deployment would stay.
 */
const nodeControllers: readonly string[] = [
  'deployment-controller',
  'disruption-controller',
  'endpointslice-controller',
  'garbage-collector-controller',
  'job-controller',
  'node-lifecycle-controller',
  'replicaset-controller',
  'root-ca-certificate-publisher-controller',
  'statefulset-controller',
];

/** Where they keep what they write. */
export function kubeDir({ processes }: ControlPlaneOptions): string {
  return join(processes.dir, 'kube');
}

/** On unix sockets, whose names are relative to its directory: no other process can take or reach them. */
const etcdClient = 'unix://etcd:0';
const etcdPeer = 'unix://peer:0';

export async function startEtcd(options: ControlPlaneOptions): Promise<void> {
  const args = [
    'etcd',
    '--name=stack',
    `--data-dir=${join(kubeDir(options), 'etcd-data')}`,
    '--unsafe-no-fsync',
    `--listen-client-urls=${etcdClient}`,
    `--advertise-client-urls=${etcdClient}`,
    `--listen-peer-urls=${etcdPeer}`,
    `--initial-advertise-peer-urls=${etcdPeer}`,
    `--initial-cluster=stack=${etcdPeer}`,
    '--log-level=warn',
  ];
  await options.processes.start({ name: 'etcd', command: options.kube, args, cwd: kubeDir(options) });
}

/** Resolves when it answers at all: it refuses what it cannot do yet. */
export async function startApiServer(options: ControlPlaneOptions, port: number): Promise<Child> {
  const { processes, kube, pki, signal } = options;
  const args = [
    'kube-apiserver',
    `--etcd-servers=${etcdClient}`,
    '--bind-address=127.0.0.1',
    `--secure-port=${port}`,
    // Loopback addresses are no endpoints for a Service.
    '--advertise-address=127.0.0.1',
    '--endpoint-reconciler-type=none',
    `--tls-cert-file=${pki.cert('apiserver')}`,
    `--tls-private-key-file=${pki.key('apiserver')}`,
    `--client-ca-file=${pki.caFile}`,
    `--cert-dir=${join(kubeDir(options), 'certs')}`,
    '--service-account-issuer=https://kubernetes.default.svc',
    `--service-account-signing-key-file=${pki.accounts.keyFile}`,
    `--service-account-key-file=${pki.accounts.publicKeyFile}`,
    `--service-cluster-ip-range=${serviceSubnet}`,
    '--authorization-mode=Node,RBAC',
    '--enable-admission-plugins=NodeRestriction',
    ...kubeletFlags(pki),
  ];
  const child = await processes.start({ name: 'kube-apiserver', command: kube, args, cwd: kubeDir(options) });
  await child.ready(async () => (await apiStatus(pki, port, '/version')) !== 0, { timeoutMs: 60_000, signal });
  return child;
}

function kubeletFlags(pki: Pki): string[] {
  return [
    `--kubelet-client-certificate=${pki.cert('kubelet-client')}`,
    `--kubelet-client-key=${pki.key('kubelet-client')}`,
    `--kubelet-certificate-authority=${pki.caFile}`,
    '--kubelet-preferred-address-types=InternalIP',
  ];
}

/** Resolves when all it does at a start is done. */
export async function isReady(child: Child, { pki, signal }: ControlPlaneOptions, port: number): Promise<void> {
  await child.ready(async () => (await apiStatus(pki, port, '/readyz')) === 200, { timeoutMs: 60_000, signal });
}

async function apiStatus(pki: Pki, port: number, path: string): Promise<number> {
  return (await send(`https://127.0.0.1:${port}${path}`, { caFile: pki.caFile })).status;
}

export async function startControllers(options: ControlPlaneOptions): Promise<Child> {
  const { processes, kube, pki, node } = options;
  const { controllers = node === undefined ? defaultControllers : [...defaultControllers, ...nodeControllers] } =
    options;
  const kubeconfig = join(kubeDir(options), 'controller-manager.kubeconfig');
  const args = [
    'kube-controller-manager',
    `--kubeconfig=${kubeconfig}`,
    `--controllers=${controllers.join(',')}`,
    '--leader-elect=false',
    // Each under its own account, as in real clusters: admission policies tell them apart.
    '--use-service-account-credentials',
    '--kube-api-qps=500',
    '--kube-api-burst=1000',
    `--service-account-private-key-file=${pki.accounts.keyFile}`,
    `--root-ca-file=${pki.caFile}`,
    '--secure-port=0',
  ];
  return processes.start({ name: 'kube-controller-manager', command: kube, args, cwd: kubeDir(options) });
}

export async function startScheduler(options: ControlPlaneOptions): Promise<void> {
  const { processes, kube } = options;
  const kubeconfig = join(kubeDir(options), 'scheduler.kubeconfig');
  const args = ['kube-scheduler', `--kubeconfig=${kubeconfig}`, '--leader-elect=false', '--secure-port=0'];
  await processes.start({ name: 'kube-scheduler', command: kube, args, cwd: kubeDir(options) });
}
