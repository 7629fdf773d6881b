/**
 * The server as it is deployed: its own image, in the pod of manifests/, on a stack's node. An overlay says what an operator's
 * would say: image, control server, and which certificate authority that has.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { buildImage } from '../build-image.ts';
import { serverTag } from './policy.ts';
import type { Stack } from './running-stack.ts';
import type { Settings } from './tka-server.ts';
import { merge } from './tka-server.ts';
import { until } from './until.ts';

const manifests = fileURLToPath(new URL('../../manifests', import.meta.url));
const namespace = 'tka-system';

export class TkaPod {
  readonly name = 'tka-0';
  readonly namespace = namespace;
  /** For `kubectl apply -k`. */
  readonly overlay: string;
  readonly #stack: Stack;
  /** Of the image, without and after the colon. */
  readonly #image: readonly [name: string, tag: string];
  #ip = '';

  private constructor(stack: Stack, overlay: string, image: string) {
    this.#stack = stack;
    this.overlay = overlay;
    const [name = '', tag = ''] = image.split(':');
    this.#image = [name, tag];
  }

  /**
   * Gives the image to the node, by `importImage` where that is given, and writes the overlay; nothing is applied. Needs what
   * `npm run build` makes.
   */
  static async prepare(
    stack: Stack,
    config: Settings = {},
    importImage: (archive: string) => Promise<void> = (archive) => stack.node.importImages(archive),
  ): Promise<TkaPod> {
    const archive = join(stack.dir, 'tka-server-image.tar');
    const { name } = await buildImage({ archive });
    await importImage(archive);
    const pod = new TkaPod(stack, join(stack.dir, 'overlay'), name);
    pod.configure(config);
    return pod;
  }

  /** Other settings for the next `apply`. */
  configure(config: Settings): void {
    mkdirSync(this.overlay, { recursive: true });
    const write = (file: string, content: unknown): void => {
      writeFileSync(join(this.overlay, file), typeof content === 'string' ? content : stringify(content));
    };
    const kustomization = {
      apiVersion: 'kustomize.config.k8s.io/v1beta1',
      kind: 'Kustomization',
      resources: [relative(this.overlay, manifests)],
      images: [{ name: 'ghcr.io/spechtlabs/tka-server', newName: this.#image[0], newTag: this.#image[1] }],
      configMapGenerator: [
        { name: 'tka-config', namespace, behavior: 'replace', files: ['config.yaml'] },
        { name: 'tka-ca', namespace, files: [`ca.crt=ca.crt`] },
      ],
    };
    const base = {
      tailscale: { controlUrl: this.#stack.controlUrl, caFile: '/etc/tka/ca.crt' },
      operator: { clusterName: 'stack' },
      log: { level: 'debug' },
    };
    write('kustomization.yaml', kustomization);
    write('config.yaml', merge(base, config));
    // kustomize reads nothing outside of the overlay.
    write('ca.crt', readFileSync(this.#stack.caFile, 'utf8'));
  }

  /** Resolves with what kubectl says of each object. */
  async apply(): Promise<string> {
    return this.kubectl('apply', '-k', this.overlay);
  }

  /** The Secret to join with. */
  async giveKey(): Promise<string> {
    const key = await this.#stack.headscale.authKey({ owner: serverTag });
    await this.kubectl('create', 'secret', 'generic', 'tka-auth', '-n', namespace, `--from-literal=TS_AUTHKEY=${key}`);
    return key;
  }

  /** Resolves when the StatefulSet has what it wants; the address is known then. */
  async ready(timeoutSeconds = 120): Promise<void> {
    const timeout = `--timeout=${timeoutSeconds}s`;
    await this.kubectl('rollout', 'status', 'statefulset/tka', '-n', namespace, timeout);
    // Just after a pod was deleted the StatefulSet still counts it.
    await this.kubectl('wait', '--for=condition=Ready', `pod/${this.name}`, '-n', namespace, timeout);
    const ours = (await this.#stack.headscale.nodes()).filter(({ hostname }) => hostname.startsWith(this.name));
    const newest = ours.toSorted((a, b) => Number(b.id) - Number(a.id))[0];
    if (newest === undefined) throw new Error('the pod is ready, but the control server knows no such node');
    this.#ip = newest.ip;
    for (const machine of this.#stack.users.values()) await machine.reaches(this.#ip, 80);
  }

  /** `http://IP` on the tailnet, once it was ready. */
  get url(): string {
    return `http://${this.#ip}`;
  }

  get ip(): string {
    return this.#ip;
  }

  /** One of the pod's fields, as JSONPath has it: `{.metadata.uid}`. */
  async field(path: string): Promise<string> {
    return this.kubectl('get', 'pod', this.name, '-n', namespace, '--ignore-not-found', '-o', `jsonpath=${path}`);
  }

  /** Runs this JavaScript in the server's container, with the server's own Node, and resolves with what it prints. */
  async run(script: string): Promise<string> {
    return this.kubectl('exec', this.name, '-n', namespace, '--', '/usr/local/bin/node', '-e', script);
  }

  async logs(...flags: readonly string[]): Promise<string> {
    return this.kubectl('logs', this.name, '-n', namespace, ...flags);
  }

  /** What there is to say of it when something went wrong; never rejects. */
  async story(): Promise<string> {
    const questions = [
      ['describe', 'statefulset,pod', '-n', namespace],
      ['logs', this.name, '-n', namespace, '--tail=30'],
      ['logs', this.name, '-n', namespace, '--tail=30', '--previous'],
    ];
    const answers = await Promise.all(questions.map((args) => this.#stack.kubectl(args)));
    return answers.map(({ stdout, stderr }) => stdout + stderr).join('\n');
  }

  /** Deletes the pod, and resolves when another one is ready in its place. */
  async replace(): Promise<void> {
    const before = await this.field('{.metadata.uid}');
    await this.kubectl('delete', 'pod', this.name, '-n', namespace, '--wait=false');
    const isAnother = async (): Promise<boolean> => {
      const uid = await this.field('{.metadata.uid}');
      return uid !== '' && uid !== before;
    };
    await until(isAnother, { what: `another ${this.name}`, timeoutMs: 90_000 });
    await this.ready();
  }

  /** As the cluster's admin; rejects with what kubectl says. */
  async kubectl(...args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.#stack.kubectl(args);
    if (code !== 0) throw new Error(`kubectl ${args.slice(0, 4).join(' ')}: exit code ${code}: ${stderr}`);
    return stdout;
  }
}
