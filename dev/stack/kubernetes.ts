/**
 * The cluster of a stack: etcd, kube-apiserver and those controllers without which rights and namespaces would not be
 * what they are in a real cluster. No pods, unless the stack has a node (`node/`).
 *
 * Everything is the real thing with its usual authorization and admission; the one liberty is that etcd does not flush to
 * disk. Ready means that the built-in roles have their rules, that `manifests/cluster` is applied and that its admission
 * policies are in force.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { isReady, kubeDir, startApiServer, startControllers, startEtcd, startScheduler } from './control-plane.ts';
import type { ControlPlaneOptions } from './control-plane.ts';
import { send } from './send.ts';
import type { Answer } from './send.ts';
import type { CertificateName } from './pki.ts';
import { onFreePorts } from './ports.ts';
import type { Child, Result } from './processes.ts';
import { until } from './until.ts';

const manifestsDir = fileURLToPath(new URL('../../manifests/cluster', import.meta.url));

export interface KubernetesOptions extends ControlPlaneOptions {
  /** The `kube` binary under the name `kubectl`. */
  readonly kubectl: string;
  /** Apply `manifests/cluster`. Default true. */
  readonly manifests?: boolean | undefined;
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
    kubernetes.writeKubeconfig('admin');
    kubernetes.writeKubeconfig('controller-manager');
    kubernetes.writeKubeconfig('scheduler');
    await Promise.all([
      kubernetes.#startControllers(),
      // The admin needs no roles, so this need not wait until the API server has made the built-in ones.
      kubernetes.#applyManifests(),
    ]);
    return kubernetes;
  }

  /** Of the API server, on loopback. */
  get port(): number {
    return this.#port;
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

  /** Writes a kubeconfig for who the certificate names, by default at this URL, and returns its path. */
  writeKubeconfig(name: CertificateName, server: string = this.url): string {
    const { pki } = this.#options;
    const user = {
      'client-certificate-data': base64(pki.cert(name)),
      'client-key-data': base64(pki.key(name)),
    };
    return this.#write(`${name}${server === this.url ? '' : '-in-node'}.kubeconfig`, user, server);
  }

  /** Stops answering, connections stay open; `resume` undoes it. */
  pause(): void {
    this.#apiServer.signal('SIGSTOP');
  }

  resume(): void {
    this.#apiServer.signal('SIGCONT');
  }

  /** At once, as in a crash: etcd and the controllers keep running. */
  async stop(): Promise<void> {
    await this.#apiServer.kill();
  }

  /** After `stop`, on the same port; resolves when it is ready. */
  async start(): Promise<void> {
    this.#apiServer = await startApiServer(this.#options, this.#port);
    await isReady(this.#apiServer, this.#options, this.#port);
  }

  /** When the API server is ready and not before: kube-controller-manager waits 10 s for that and then ends. */
  async #startControllers(): Promise<void> {
    const options = this.#options;
    await isReady(this.#apiServer, options, this.#port);
    const [controllers] = await Promise.all([
      startControllers(options),
      options.node === undefined ? undefined : startScheduler(options),
    ]);
    await controllers.ready(() => this.#rolesHaveRules(), { timeoutMs: 30_000, signal: options.signal });
  }

  async #rolesHaveRules(): Promise<boolean> {
    const hasRules = async (role: string): Promise<boolean> => {
      const { body } = await this.api('GET', `/apis/rbac.authorization.k8s.io/v1/clusterroles/${role}`);
      const { rules } = JSON.parse(body) as { rules?: readonly unknown[] | null }; // a ClusterRole or a Status
      return (rules ?? []).length > 0;
    };
    return (await Promise.all(['view', 'edit', 'admin'].map(hasRules))).every(Boolean);
  }

  async #applyManifests(): Promise<void> {
    const { manifests = true, signal } = this.#options;
    if (!manifests || !existsSync(manifestsDir)) return;
    const apply = async (): Promise<boolean> => {
      const { code, stderr } = await this.kubectl(['apply', '--server-side', '-k', manifestsDir]);
      if (code !== 0) throw new Error(stderr);
      return true;
    };
    await until(apply, { what: 'kubectl apply -k manifests/cluster', timeoutMs: 10_000, signal });
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

  #write(file: string, user: Readonly<Record<string, string>>, server: string = this.url): string {
    const path = join(kubeDir(this.#options), file);
    const cluster = { server, 'certificate-authority-data': base64(this.#options.pki.caFile) };
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

function base64(file: string): string {
  return readFileSync(file).toString('base64');
}
