/**
 * The cluster of a stack: etcd, kube-apiserver and those controllers without which rights and namespaces would not be
 * what they are in a real cluster. No nodes, so no pods.
 *
 * Everything is the real thing with its usual authorization and admission; the one liberty is that etcd does not flush to
 * disk. Ready means that the built-in roles have their rules, that `manifests/` is applied and that its admission
 * policies are in force.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { send } from './send.ts';
import type { Answer } from './send.ts';
import type { CertificateName, Pki } from './pki.ts';
import { onFreePorts } from './ports.ts';
import type { Child, Processes, Result } from './processes.ts';
import { until } from './until.ts';

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

const manifestsDir = fileURLToPath(new URL('../../manifests', import.meta.url));

export interface KubernetesOptions {
  readonly processes: Processes;
  /** The `kube` binary. */
  readonly kube: string;
  /** The same under the name `kubectl`. */
  readonly kubectl: string;
  readonly pki: Pki;
  /** Names of kube-controller-manager's controllers. */
  readonly controllers?: readonly string[] | undefined;
  /** Apply `manifests/`. Default true. */
  readonly manifests?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface KubectlOptions {
  /** Path; default: the cluster admin's. */
  readonly kubeconfig?: string;
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly signal?: AbortSignal;
}

export class Kubernetes {
  /** Of the API server, `https://127.0.0.1:PORT`. */
  readonly url: string;
  /** The cluster admin's; certificates inline. */
  readonly kubeconfig: string;
  readonly kubectlPath: string;
  readonly #options: KubernetesOptions;
  readonly #port: number;
  #apiServer: Child;

  private constructor(options: KubernetesOptions, port: number, apiServer: Child) {
    this.#options = options;
    this.#port = port;
    this.#apiServer = apiServer;
    this.url = `https://127.0.0.1:${port}`;
    this.kubectlPath = options.kubectl;
    this.kubeconfig = join(kubeDir(options), 'admin.kubeconfig');
  }

  static async start(options: KubernetesOptions): Promise<Kubernetes> {
    const dir = kubeDir(options);
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    await startEtcd(options);
    const kubernetes = await onFreePorts({ tcp: 1 }, async ([port = 0]) => {
      return new Kubernetes(options, port, await startApiServer(options, port));
    });
    const port = kubernetes.#port;
    kubernetes.#writeKubeconfig('admin', 'admin.kubeconfig');
    kubernetes.#writeKubeconfig('controller-manager', 'controller-manager.kubeconfig');
    await Promise.all([
      startControllers(options).then(() => kubernetes.#rolesHaveRules()),
      // The admin needs no roles, so this need not wait until the API server has made the built-in ones.
      kubernetes.#applyManifests(),
      isReady(kubernetes.#apiServer, options, port),
    ]);
    return kubernetes;
  }

  /** Process ID of the API server. */
  get pid(): number {
    return this.#apiServer.pid;
  }

  /** Path of the API server's log. */
  get log(): string {
    return this.#apiServer.log;
  }

  kubectl(args: readonly string[], options: KubectlOptions = {}): Promise<Result> {
    const { kubeconfig = this.kubeconfig, input = '', env = {}, cwd, signal } = options;
    return this.#options.processes.run(
      {
        command: this.kubectlPath,
        args,
        env: { KUBECONFIG: kubeconfig, ...env },
        ...(cwd === undefined ? {} : { cwd }),
      },
      { input, ...(signal === undefined ? {} : { signal }) },
    );
  }

  /** One request as the cluster admin; `body` is sent as JSON. Whatever the status, it resolves. */
  api(
    method: string,
    path: string,
    body?: unknown,
    headers: Readonly<Record<string, string | string[]>> = {},
  ): Promise<Answer> {
    const { pki } = this.#options;
    return send(`${this.url}${path}`, {
      method,
      caFile: pki.caFile,
      certFile: pki.cert('admin'),
      keyFile: pki.key('admin'),
      headers: {
        accept: 'application/json',
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  }

  /** Writes a kubeconfig with a token of the ServiceAccount, good for a day, and resolves with its path. */
  async accountKubeconfig(namespace: string, name: string): Promise<string> {
    const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`;
    const { status, body } = await this.api('POST', path, { spec: { expirationSeconds: 86_400 } });
    if (status !== 201) throw new Error(`no token for ServiceAccount ${namespace}/${name}: ${status} ${body}`);
    const answer = JSON.parse(body) as { status: { token: string } }; // a TokenRequest, says 201
    return this.#write(`${namespace}-${name}.kubeconfig`, { token: answer.status.token });
  }

  /** Stops answering, connections stay open; `resume` undoes it. */
  pause(): void {
    this.#apiServer.signal('SIGSTOP');
  }

  resume(): void {
    this.#apiServer.signal('SIGCONT');
  }

  /** At once, as in a crash: etcd and the controllers go on. */
  async stop(): Promise<void> {
    await this.#apiServer.kill();
  }

  /** After `stop`, on the same port; resolves when it is ready. */
  async start(): Promise<void> {
    this.#apiServer = await startApiServer(this.#options, this.#port);
    await isReady(this.#apiServer, this.#options, this.#port);
  }

  async #rolesHaveRules(): Promise<void> {
    const { signal } = this.#options;
    const hasRules = async (role: string): Promise<boolean> => {
      const { body } = await this.api('GET', `/apis/rbac.authorization.k8s.io/v1/clusterroles/${role}`);
      const { rules } = JSON.parse(body) as { rules?: readonly unknown[] | null }; // a ClusterRole or a Status
      return (rules ?? []).length > 0;
    };
    await until(async () => (await Promise.all(['view', 'edit', 'admin'].map(hasRules))).every(Boolean), {
      what: 'rules of the built-in roles',
      timeoutMs: 30_000,
      signal,
    });
  }

  async #applyManifests(): Promise<void> {
    const { manifests = true, signal } = this.#options;
    if (!manifests || !existsSync(manifestsDir)) return;
    const apply = async (): Promise<boolean> => {
      const { code, stderr } = await this.kubectl(['apply', '--server-side', '-k', manifestsDir]);
      if (code !== 0) throw new Error(stderr);
      return true;
    };
    await until(apply, { what: 'kubectl apply -k manifests/', timeoutMs: 10_000, signal });
    await until(() => this.#admissionRefuses(), { what: 'the admission policies', timeoutMs: 30_000, signal });
  }

  /**
   * The API server takes up new admission policies up to a second after they are written. They are in force when tka's
   * own account is refused a binding that its policy forbids, although its group may do everything.
   */
  async #admissionRefuses(): Promise<boolean> {
    const path = '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings?dryRun=All';
    const binding = {
      metadata: { name: 'probe' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'view' },
      subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'nobody' }],
    };
    const { status } = await this.api('POST', path, binding, {
      'impersonate-user': 'system:serviceaccount:tka-system:tka',
      'impersonate-group': 'system:masters',
    });
    return status === 403;
  }

  #writeKubeconfig(name: CertificateName, file: string): void {
    const { pki } = this.#options;
    this.#write(file, {
      'client-certificate-data': base64(pki.cert(name)),
      'client-key-data': base64(pki.key(name)),
    });
  }

  #write(file: string, user: Readonly<Record<string, string>>): string {
    const path = join(kubeDir(this.#options), file);
    const cluster = { server: this.url, 'certificate-authority-data': base64(this.#options.pki.caFile) };
    const kubeconfig = {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'stack', cluster }],
      users: [{ name: 'stack', user }],
      contexts: [{ name: 'stack', context: { cluster: 'stack', user: 'stack' } }],
      'current-context': 'stack',
    };
    writeFileSync(path, stringify(kubeconfig), { mode: 0o600 });
    return path;
  }
}

function kubeDir({ processes }: KubernetesOptions): string {
  return join(processes.dir, 'kube');
}

/** On unix sockets, whose names are relative to its directory: nobody else can take or reach them. */
const etcdClient = 'unix://etcd:0';
const etcdPeer = 'unix://peer:0';

async function startEtcd(options: KubernetesOptions): Promise<void> {
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
async function startApiServer(options: KubernetesOptions, port: number): Promise<Child> {
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
    '--service-cluster-ip-range=10.96.0.0/24',
    '--authorization-mode=Node,RBAC',
    '--enable-admission-plugins=NodeRestriction',
  ];
  const child = await processes.start({ name: 'kube-apiserver', command: kube, args, cwd: kubeDir(options) });
  await child.ready(async () => (await apiStatus(pki, port, '/version')) !== 0, { timeoutMs: 60_000, signal });
  return child;
}

async function isReady(child: Child, { pki, signal }: KubernetesOptions, port: number): Promise<void> {
  await child.ready(async () => (await apiStatus(pki, port, '/readyz')) === 200, { timeoutMs: 60_000, signal });
}

async function apiStatus(pki: Pki, port: number, path: string): Promise<number> {
  return (await send(`https://127.0.0.1:${port}${path}`, { caFile: pki.caFile })).status;
}

async function startControllers(options: KubernetesOptions): Promise<void> {
  const { processes, kube, pki, controllers = defaultControllers } = options;
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
  await processes.start({ name: 'kube-controller-manager', command: kube, args, cwd: kubeDir(options) });
}

function base64(file: string): string {
  return readFileSync(file).toString('base64');
}
