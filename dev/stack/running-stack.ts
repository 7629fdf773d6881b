/**
 * A stack that runs, as tests see it: its parts, and what one does as the cluster's admin or as a user. `stack.ts` starts it.
 */
import { mkdirSync, symlinkSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { RequestInit, Response } from 'undici';
import type { ToolPaths } from './build.ts';
import type { Headscale } from './headscale.ts';
import type { KubectlOptions, Kubernetes } from './kubernetes.ts';
import type { Machine } from './machine.ts';
import type { Machines } from './machines.ts';
import type { StackNode } from './node/node.ts';
import type { Pki } from './pki.ts';
import type { PolicyFile } from './policy-file.ts';
import type { Processes, Result } from './processes.ts';
import type { Answer, RequestOptions } from './send.ts';
import { StandIn } from './stand-in.ts';
import type { TkaOverrides, TkaServer } from './tka-server.ts';

/** A cluster without a tailnet: for tests of the reconciler. */
export interface ClusterStack extends AsyncDisposable {
  /** Everything of this stack lies in it. */
  readonly dir: string;
  readonly kubernetes: Kubernetes;
  /** Throws if the stack was started without one. */
  readonly node: StackNode;
  /** Path of the cluster admin's kubeconfig. */
  readonly kubeconfig: string;
  readonly caFile: string;
  kubectl(args: readonly string[], options?: KubectlOptions): Promise<Result>;
  close(): Promise<void>;
}

export interface CommandOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly input?: string;
  readonly signal?: AbortSignal;
}

/** What the parts of a stack are made from. */
export interface Ground {
  readonly tools: ToolPaths;
  readonly processes: Processes;
  readonly pki: Pki;
}

export interface StackParts {
  readonly kubernetes: Kubernetes;
  readonly node: StackNode | undefined;
  readonly headscale: Headscale;
  readonly tka: TkaServer;
  /** Where there are several replicas, the others. */
  readonly others: readonly TkaServer[];
  readonly policy: PolicyFile;
  readonly machines: Machines;
}

const commandBundle = fileURLToPath(new URL('../../dist/tka.js', import.meta.url));

export class Stack implements ClusterStack {
  readonly dir: string;
  readonly kubernetes: Kubernetes;
  readonly headscale: Headscale;
  /** The server, or the first replica. */
  readonly tka: TkaServer;
  /** All of them. */
  readonly servers: readonly TkaServer[];
  /** The policy in force; `write` another. */
  readonly policy: PolicyFile;
  /** Holds `tka` and `kubectl`; first on the PATH of whatever runs as a user. */
  readonly binDir: string;
  readonly #ground: Ground;
  readonly #machines: Machines;
  readonly #node: StackNode | undefined;

  constructor(ground: Ground, parts: StackParts) {
    this.#ground = ground;
    this.dir = ground.processes.dir;
    this.kubernetes = parts.kubernetes;
    this.headscale = parts.headscale;
    this.tka = parts.tka;
    this.servers = [parts.tka, ...parts.others];
    this.policy = parts.policy;
    this.#machines = parts.machines;
    this.#node = parts.node;
    this.binDir = linkCommands(ground);
  }

  get node(): StackNode {
    return startedNode(this.#node);
  }

  /** Adds a node that runs no containers, once. */
  addStandIn(): Promise<StandIn> {
    const { processes, pki, tools } = this.#ground;
    return StandIn.start({ processes, pki, standin: tools.standin, kubernetes: this.kubernetes });
  }

  get hasNode(): boolean {
    return this.#node !== undefined;
  }

  get kubeconfig(): string {
    return this.kubernetes.kubeconfig;
  }

  /** Signs everything that speaks TLS here, tka's own certificate aside. */
  get caFile(): string {
    return this.#ground.pki.caFile;
  }

  get controlUrl(): string {
    return this.headscale.url;
  }

  kubectl(args: readonly string[], options: KubectlOptions = {}): Promise<Result> {
    return this.kubernetes.kubectl(args, options);
  }

  /** Machines by user, as asked for: `alice@example.com`, `tag:ci`. */
  get users(): ReadonlyMap<string, Machine> {
    return this.#machines.byUser;
  }

  /** Adds a machine for the user or tag. A second one for the same user is another node of theirs. */
  async addUser(user: string, signal?: AbortSignal): Promise<Machine> {
    const machine = await this.#machines.add(user, signal);
    if (this.tka.ip !== '') await machine.reaches(this.tka.ip, 80, signal);
    return machine;
  }

  machine(user: string): Machine {
    const machine = this.users.get(user);
    if (machine === undefined) throw new Error(`no machine for ${user}: name it in startStack's users`);
    return machine;
  }

  /** As `tka.start`, of every server; every machine knows them when it resolves. */
  async startTka(overrides: TkaOverrides = {}, signal?: AbortSignal): Promise<void> {
    await Promise.all(this.servers.map((server) => this.startServer(server, overrides, signal)));
  }

  async startServer(server: TkaServer, overrides: TkaOverrides = {}, signal?: AbortSignal): Promise<void> {
    await server.start(overrides, signal);
    if (overrides.untilReady !== false) await this.#machines.reach(server.ip, 80, signal);
  }

  async restartTka(overrides: TkaOverrides = {}, signal?: AbortSignal): Promise<void> {
    await this.tka.stop();
    await this.startTka(overrides, signal);
  }

  async stopTka(): Promise<void> {
    await this.tka.stop();
  }

  killTka(signal: NodeJS.Signals): void {
    this.tka.kill(signal);
  }

  /** From the user's machine to the server: a path, or a whole URL. */
  fetch(user: string, url: string, init: RequestInit & { readonly ca?: string } = {}): Promise<Response> {
    return this.machine(user).fetch(new URL(url, this.tka.url).href, init);
  }

  /** The same with exactly the given headers: for what `fetch` would add or refuse. */
  send(user: string, url: string, options: RequestOptions = {}): Promise<Answer> {
    return this.machine(user).send(new URL(url, this.tka.url).href, options);
  }

  /** What programs of this user run with: their own HOME and kubeconfig, their machine's proxy. */
  userEnv(user: string): Record<string, string> {
    const { home, proxy, socket } = this.machine(user);
    return {
      HOME: home,
      KUBECONFIG: join(home, '.kube', 'config'),
      PATH: [this.binDir, dirname(process.execPath), process.env['PATH'] ?? ''].join(delimiter),
      HTTP_PROXY: proxy,
      HTTPS_PROXY: proxy,
      // The API server is on loopback, in direct mode.
      NO_PROXY: '127.0.0.1,localhost',
      // Which of the tailscaleds on this host is the user's own.
      TKA_TAILSCALE_SOCKET: socket,
    };
  }

  /** The `tka` command on the user's machine. */
  tkaCommand(user: string, args: readonly string[], options: CommandOptions = {}): Promise<Result> {
    return this.runAs(user, process.execPath, [commandBundle, ...args], options);
  }

  /** Any program on the user's machine. */
  runAs(user: string, command: string, args: readonly string[], options: CommandOptions = {}): Promise<Result> {
    const { env = {}, cwd, input, signal } = options;
    return this.#ground.processes.run(
      { command, args, cwd: cwd ?? this.machine(user).home, env: { ...this.userEnv(user), ...env } },
      { ...(input === undefined ? {} : { input }), ...(signal === undefined ? {} : { signal }) },
    );
  }

  /** Ends the server in its own order, then everything else at once. */
  async close(): Promise<void> {
    // A server that does not end in time is killed with the rest.
    await Promise.all(this.servers.map((server) => server.stop({ graceMs: 5000 })));
    await this.#machines.close();
    await this.#ground.processes[Symbol.asyncDispose]();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

export function startedNode(node: StackNode | undefined): StackNode {
  if (node === undefined) throw new Error("the stack has no node: ask for one in startStack's options");
  return node;
}

function linkCommands({ processes, tools }: Ground): string {
  const dir = join(processes.dir, 'bin');
  mkdirSync(dir, { recursive: true });
  symlinkSync(tools.kubectl, join(dir, 'kubectl'));
  symlinkSync(commandBundle, join(dir, 'tka'));
  return dir;
}
