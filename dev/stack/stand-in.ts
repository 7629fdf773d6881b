/**
 * A node that runs no containers: the API server takes it for one, and hands exec, attach, port-forward and logs to the
 * program of dev/stack/go/standin as it would to a kubelet. For machines on which a real node cannot run.
 *
 * Its pods are objects that say they run. What a command in one can do, the program's own comment says.
 */
import type { Kubernetes } from './kubernetes.ts';
import type { Pki } from './pki.ts';
import { onFreePorts } from './ports.ts';
import type { Processes } from './processes.ts';
import { send } from './send.ts';
import { until } from './until.ts';

export interface StandInOptions {
  readonly processes: Processes;
  /** Path of the program. */
  readonly standin: string;
  readonly pki: Pki;
  readonly kubernetes: Kubernetes;
  readonly signal?: AbortSignal | undefined;
}

export class StandIn {
  /** Of the Node in the cluster. */
  readonly name = 'standin';
  readonly #kubernetes: Kubernetes;

  private constructor(kubernetes: Kubernetes) {
    this.#kubernetes = kubernetes;
  }

  /** Resolves when a pod can be put on it. */
  static async start(options: StandInOptions): Promise<StandIn> {
    const port = await onFreePorts({ tcp: 1 }, async ([free = 0]) => {
      await startProgram(options, free);
      return free;
    });
    const standIn = new StandIn(options.kubernetes);
    await standIn.#create('/api/v1/nodes', {
      metadata: { name: standIn.name },
      status: {
        addresses: [{ type: 'InternalIP', address: '127.0.0.1' }],
        daemonEndpoints: { kubeletEndpoint: { Port: port } },
      },
    });
    return standIn;
  }

  /** A pod that counts as running, in the default namespace. `podIp` is where the API server's own proxy finds it. */
  async addPod(name: string, podIp?: string): Promise<void> {
    const pods = '/api/v1/namespaces/default/pods';
    const container = { name: 'main', image: 'none', stdin: true };
    const spec = { nodeName: this.name, automountServiceAccountToken: false, containers: [container] };
    // Admission waits for the namespace's account, which is made a moment after the namespace.
    const create = async (): Promise<true> => this.#create(pods, { metadata: { name }, spec }).then(() => true);
    await until(create, { what: `pod ${name}`, timeoutMs: 10_000 });
    const status = { phase: 'Running', ...(podIp === undefined ? {} : { podIP: podIp, podIPs: [{ ip: podIp }] }) };
    const type = { 'content-type': 'application/merge-patch+json' };
    const answer = await this.#kubernetes.api('PATCH', `${pods}/${name}/status`, { status }, type);
    if (answer.status !== 200) throw new Error(`pod ${name} does not run: ${answer.status} ${answer.body}`);
  }

  async #create(path: string, body: object): Promise<void> {
    const answer = await this.#kubernetes.api('POST', path, body);
    if (answer.status !== 201) throw new Error(`${path}: ${answer.status} ${answer.body}`);
  }
}

async function startProgram({ processes, standin, pki, signal }: StandInOptions, port: number): Promise<void> {
  const address = `127.0.0.1:${port}`;
  const args = [
    `-listen=${address}`,
    `-cert=${pki.cert('standin')}`,
    `-key=${pki.key('standin')}`,
    `-client-ca=${pki.caFile}`,
  ];
  const child = await processes.start({ name: 'standin', command: standin, args });
  const client = {
    caFile: pki.caFile,
    certFile: pki.cert('kubelet-client'),
    keyFile: pki.key('kubelet-client'),
  };
  const isUp = async (): Promise<boolean> => (await send(`https://${address}/healthz`, client)).status === 200;
  await child.ready(isUp, { timeoutMs: 10_000, signal });
}
