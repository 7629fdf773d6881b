/**
 * A real Kubernetes node for a stack's cluster: kubelet, kube-proxy, containerd and DNS, in namespaces of their own.
 *
 * Pods get addresses, reach each other, Services and the machine, and nothing beyond it; `kubectl logs`, `exec`,
 * `attach`, `cp` and `port-forward` work. The only images are those imported: no registry is reached. All of it goes with
 * the stack, whatever ends that: the first process of the namespaces is killed, and takes everything along.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { stringify } from 'yaml';
import type { Kubernetes } from '../kubernetes.ts';
import type { Pki } from '../pki.ts';
import { send } from '../send.ts';
import { until } from '../until.ts';
import { apiEndpoints, corefile, kubeletConfig, ports, proxyConfig, toolboxImage } from './configuration.ts';
import { importImages, nodeDir, runScript, startContainerd, startInside } from './containers.ts';
import type { NodeGround } from './containers.ts';

export interface StackNodeOptions extends NodeGround {
  /** The binary of all Kubernetes components. */
  readonly kube: string;
  readonly pki: Pki;
  /** The cluster, when it is up; what needs it not starts before. */
  readonly kubernetes: Promise<Kubernetes>;
}

export class StackNode {
  /** Of the Node in the cluster. */
  readonly name: string;
  /** The tools of dev/stack/go/toolbox; without a command it serves HTTP on port 8080. `imagePullPolicy` must not be Always. */
  readonly image: string = toolboxImage;
  /** The machine's address as pods see it. In pods it is also called `host.tka.test`. */
  readonly hostAddress: string;
  readonly #options: StackNodeOptions;
  readonly #kubernetes: Kubernetes;

  private constructor(options: StackNodeOptions, kubernetes: Kubernetes) {
    this.name = options.claim.addresses.name;
    this.hostAddress = options.claim.addresses.host;
    this.#options = options;
    this.#kubernetes = kubernetes;
  }

  /** Resolves when pods are started on it at once, and names resolve. */
  static async start(options: StackNodeOptions): Promise<StackNode> {
    mkdirSync(nodeDir(options), { recursive: true });
    const [kubernetes] = await Promise.all([options.kubernetes, startContainerd(options)]);
    const node = new StackNode(options, kubernetes);
    const kubeconfigs = await node.#openApiServer();
    await Promise.all([
      node.#startKubelet(kubeconfigs.kubelet),
      node.#startProxy(kubeconfigs.proxy),
      node.#startDns(kubeconfigs.dns),
    ]);
    return node;
  }

  /** Resolves when the cluster says that the node is ready, and puts pods on it. */
  async ready(signal: AbortSignal | undefined = this.#options.signal): Promise<void> {
    const what = `node ${this.name} (log: ${this.log('kubelet')})`;
    await until(() => this.#isUsable(), { what, timeoutMs: 60_000, signal });
  }

  /** Path of the log of `kubelet`, `containerd`, `kube-proxy` or `coredns`. */
  log(name: string): string {
    return join(this.#options.processes.dir, 'logs', `${name}.log`);
  }

  /** Gives the node the images of an archive (an image layout, or what `docker save` writes). */
  importImages(file: string): Promise<void> {
    return importImages(this.#options, file);
  }

  /** Runs commands as an operator does on the node, `ctr` and a shell's own at hand; rejects with what the failing one says. */
  run(script: string): Promise<void> {
    return runScript(this.#options, script);
  }

  /**
   * Makes what listens on the port of the machine's loopback reachable from pods, at `hostAddress` and the same port:
   * loopback is the only place where the parts of a stack listen.
   */
  async expose(port: number): Promise<void> {
    const { processes, tools, claim, signal } = this.#options;
    const address = `${claim.addresses.host}:${port}`;
    const child = await processes.start({
      name: `forward-${port}`,
      command: tools.node,
      args: ['forward', address, `127.0.0.1:${port}`],
    });
    await child.ready(() => accepts(claim.addresses.host, port), { timeoutMs: 5000, signal });
  }

  /** Lets the node and its pods reach the API server. */
  async #openApiServer(): Promise<Readonly<Record<'kubelet' | 'proxy' | 'dns', string>>> {
    const kubernetes = this.#kubernetes;
    const { addresses } = this.#options.claim;
    await this.expose(kubernetes.port);
    const endpoints = apiEndpoints(addresses, kubernetes.port);
    const path = '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices';
    const { status, body } = await kubernetes.api('POST', path, endpoints);
    if (status !== 201) throw new Error(`no endpoints for the API server: ${status} ${body}`);
    const server = `https://${addresses.host}:${kubernetes.port}`;
    return {
      kubelet: kubernetes.writeKubeconfig('node', server),
      proxy: kubernetes.writeKubeconfig('kube-proxy', server),
      dns: kubernetes.writeKubeconfig('admin', server),
    };
  }

  async #isUsable(): Promise<boolean> {
    const { status, body } = await this.#kubernetes.api('GET', `/api/v1/nodes/${this.name}`);
    if (status !== 200) return false;
    const { spec, status: found } = JSON.parse(body) as NodeObject; // a Node, says 200
    const isReady = found.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') ?? false;
    // The taint of a node that is not ready goes a moment after.
    return isReady && (spec.taints ?? []).length === 0;
  }

  async #startKubelet(kubeconfig: string): Promise<void> {
    const { kube, pki, claim, signal } = this.#options;
    const { addresses } = claim;
    const dir = nodeDir(this.#options);
    const files = { certFile: pki.cert('kubelet'), keyFile: pki.key('kubelet'), caFile: pki.caFile };
    const resolvConf = this.#write('resolv.conf', `nameserver ${addresses.node}\n`);
    const config = this.#write('kubelet.yaml', stringify(kubeletConfig({ dir, resolvConf, ...files }, addresses)));
    const args = [
      'kubelet',
      `--config=${config}`,
      `--kubeconfig=${kubeconfig}`,
      `--root-dir=${join(dir, 'kubelet')}`,
      `--cert-dir=${join(dir, 'certs')}`,
      `--hostname-override=${addresses.name}`,
      `--node-ip=${addresses.node}`,
    ];
    const kubelet = await startInside(this.#options, { name: 'kubelet', command: kube, args });
    await kubelet.ready(() => this.#isUsable(), { timeoutMs: 60_000, signal });
  }

  async #startProxy(kubeconfig: string): Promise<void> {
    const { kube, claim, signal } = this.#options;
    const config = this.#write('kube-proxy.yaml', stringify(proxyConfig(kubeconfig, claim.addresses)));
    const args = ['kube-proxy', `--config=${config}`];
    const proxy = await startInside(this.#options, { name: 'kube-proxy', command: kube, args });
    const health = `http://${claim.addresses.node}:${ports.proxyHealth}/healthz`;
    await proxy.ready(() => isOk(health), { timeoutMs: 60_000, signal });
  }

  async #startDns(kubeconfig: string): Promise<void> {
    const { tools, claim, signal } = this.#options;
    const config = this.#write('Corefile', corefile(kubeconfig, claim.addresses));
    const service = { name: 'coredns', command: tools.coredns, args: ['-conf', config] };
    const dns = await startInside(this.#options, service);
    const readiness = `http://${claim.addresses.node}:${ports.dnsReady}/ready`;
    await dns.ready(() => isOk(readiness), { timeoutMs: 60_000, signal });
  }

  #write(file: string, text: string): string {
    const path = join(nodeDir(this.#options), file);
    writeFileSync(path, text);
    return path;
  }
}

/** As much of a Node as is looked at. */
interface NodeObject {
  readonly spec: { readonly taints?: readonly unknown[] };
  readonly status: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
}

async function isOk(url: string): Promise<boolean> {
  return (await send(url)).status === 200;
}

function accepts(host: string, port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect(port, host);
  socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
  return promise.finally(() => socket.destroy());
}
