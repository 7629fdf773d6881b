/**
 * The server under test, as a stack runs it: `dist/tka-server.js` in a process of its own, as tka's own account in the
 * cluster and tagged `tag:tka` on the tailnet. Fault tests stop, kill and restart it with other settings.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { tailnetDomain } from './headscale.ts';
import type { Headscale } from './headscale.ts';
import { serverTag } from './policy.ts';
import { onFreePorts } from './ports.ts';
import type { Child, Processes } from './processes.ts';
import { send } from './send.ts';
import { GiveUpError } from './until.ts';

/** A tree of settings; what is undefined removes a key. */
export interface Settings {
  readonly [key: string]: unknown;
}

export interface TkaOverrides {
  /** Merged over the configuration file, key by key. */
  readonly config?: Settings;
  readonly env?: Readonly<Record<string, string>>;
  /** Default: a new key for a node with tag:tka. */
  readonly authKey?: string;
  /** Path, for starts without an API server. Default: a new one of tka's own account. */
  readonly kubeconfig?: string;
  /** Start with a new node instead of the state of the last run. */
  readonly freshState?: boolean;
  /** False: resolve as soon as the process runs. For servers that shall not get ready. */
  readonly untilReady?: boolean;
}

export interface TkaServerOptions {
  readonly processes: Processes;
  readonly headscale: Headscale;
  readonly caFile: string;
  /** Path of a kubeconfig for tka's own account. */
  readonly kubeconfig: () => Promise<string>;
  /** Of several replicas: its name on the tailnet and on the Lease, and the key that all of them share. */
  readonly replica?: { readonly hostname: string; readonly serverKey: string };
}

const entry = fileURLToPath(new URL('../../dist/tka-server.js', import.meta.url));

export class TkaServer {
  /** `tka`, or a replica's own. */
  readonly hostname: string;
  readonly log: string;
  readonly #options: TkaServerOptions;
  #child: Child | undefined;
  #healthPort: number | undefined;
  #ip = '';
  #runs = 0;

  constructor(options: TkaServerOptions) {
    this.#options = options;
    this.hostname = options.replica?.hostname ?? 'tka';
    this.log = join(options.processes.dir, 'logs', `${this.hostname}-server.log`);
  }

  /** By its address: a name would depend on what the client can resolve. Empty before it was ready once. */
  get url(): string {
    return this.#ip === '' ? '' : `http://${this.#ip}`;
  }

  /** IPv4 on the tailnet; empty before it was ready once. */
  get ip(): string {
    return this.#ip;
  }

  /** `tka.tail.test`. */
  get dnsName(): string {
    return `${this.hostname}.${tailnetDomain}`;
  }

  /** `http://127.0.0.1:PORT`, with /livez, /readyz and /metrics. */
  get health(): string {
    return `http://127.0.0.1:${this.#healthPort ?? 0}`;
  }

  get pid(): number {
    return this.#running().pid;
  }

  get isRunning(): boolean {
    return this.#child?.isRunning ?? false;
  }

  /** Exit code of the present run, once it has ended. */
  get exited(): Promise<number> {
    return this.#child?.exited ?? Promise.reject(new Error('tka was never started'));
  }

  /** All that it has logged so far, over all runs. */
  readLog(): string {
    return readFileSync(this.log, 'utf8');
  }

  async readyz(): Promise<{ readonly status: number; readonly body: string }> {
    return send(`${this.health}/readyz`);
  }

  async start(overrides: TkaOverrides = {}, signal?: AbortSignal): Promise<void> {
    if (this.isRunning) throw new Error('tka runs already: stop it first');
    if (!existsSync(entry)) throw new Error('There is no dist/tka-server.js: run `npm run build` first.');
    // The same port in every run, so that what watches it need not be told.
    if (this.#healthPort === undefined) {
      this.#healthPort = await onFreePorts({ tcp: 1 }, async ([port = 0]) => {
        await this.#run(overrides, port, signal);
        return port;
      });
    } else {
      await this.#run(overrides, this.#healthPort, signal);
    }
  }

  /** SIGTERM and what follows from it. Resolves with the exit code. */
  async stop({ graceMs = 25_000 }: { readonly graceMs?: number } = {}): Promise<number> {
    return this.#child?.stop({ graceMs }) ?? 0;
  }

  /** To the server's own process; resolves when the signal is sent. */
  kill(signal: NodeJS.Signals): void {
    this.#running().signal(signal);
  }

  #running(): Child {
    if (this.#child?.isRunning !== true) throw new Error(`tka does not run; its log: ${this.log}`);
    return this.#child;
  }

  async #run(overrides: TkaOverrides, healthPort: number, signal?: AbortSignal): Promise<void> {
    const { processes, headscale, caFile, kubeconfig, replica } = this.#options;
    if (overrides.freshState === true || this.#runs === 0) this.#runs += 1;
    const dir = join(processes.dir, this.hostname, String(this.#runs));
    await mkdir(dir, { recursive: true, mode: 0o700 });
    const [kubeconfigPath, authKey] = await Promise.all([
      overrides.kubeconfig ?? kubeconfig(),
      overrides.authKey ?? headscale.authKey({ owner: serverTag }),
    ]);
    const stateDir = join(dir, 'state');
    if (replica !== undefined) keepServerKey(stateDir, replica.serverKey);
    const alone = tkaConfig({ controlUrl: headscale.url, caFile, kubeconfig: kubeconfigPath, stateDir, healthPort });
    const base = replica === undefined ? alone : merge(alone, replicaConfig(replica.hostname));
    const file = join(dir, 'config.yaml');
    writeFileSync(file, stringify(merge(base, overrides.config ?? {})), { mode: 0o600 });
    const child = await processes.start({
      name: `${this.hostname}-server`,
      command: process.execPath,
      args: [entry, 'serve', '--config', file],
      env: { TS_AUTHKEY: authKey, ...passedOn(process.env), ...overrides.env },
    });
    this.#child = child;
    if (overrides.untilReady === false) return;
    const isReady = async (): Promise<boolean> => (await send(`http://127.0.0.1:${healthPort}/readyz`)).status === 200;
    await child.ready(isReady, { timeoutMs: 60_000, signal });
    this.#ip = await this.#address();
  }

  async #address(): Promise<string> {
    const nodes = await this.#options.headscale.nodes();
    const ours = nodes.filter(({ hostname }) => hostname === this.hostname || hostname.startsWith(`${this.hostname}-`));
    const newest = ours.sort((a, b) => Number(b.id) - Number(a.id))[0];
    if (newest === undefined) throw new GiveUpError('tka says it is ready, but headscale knows no such node');
    return newest.ip;
  }
}

export interface TkaConfigOptions {
  readonly controlUrl: string;
  readonly caFile: string;
  readonly kubeconfig: string;
  readonly stateDir: string;
  readonly healthPort: number;
}

/** The server's configuration file, as an object. */
export function tkaConfig(options: TkaConfigOptions): Settings {
  const { controlUrl, caFile, kubeconfig, stateDir, healthPort } = options;
  return {
    tailscale: { hostname: 'tka', tailnet: tailnetDomain, controlUrl, caFile, stateDir },
    operator: { clusterName: 'stack' },
    kubernetes: { kubeconfig },
    health: { address: '127.0.0.1', port: healthPort },
    log: { level: 'debug' },
  };
}

/** A lease so short that a test can wait for its end. */
function replicaConfig(hostname: string): Settings {
  return { tailscale: { hostname }, replicas: { election: true, identity: hostname, leaseSeconds: 8 } };
}

function keepServerKey(stateDir: string, key: string): void {
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  writeFileSync(join(stateDir, 'server-key'), `${key}\n`, { mode: 0o600 });
}

/** `over` wins; objects are merged, everything else replaced; undefined removes. */
export function merge(base: Settings, over: Settings): Settings {
  const merged: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const before = merged[key];
    if (value === undefined) delete merged[key];
    else merged[key] = isSettings(before) && isSettings(value) ? merge(before, value) : value;
  }
  return merged;
}

function isSettings(value: unknown): value is Settings {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Which engine to run is the one choice of our caller's environment that concerns the server. */
function passedOn(env: NodeJS.ProcessEnv): Record<string, string> {
  const engine = env['TKA_ENGINE'];
  return engine === undefined ? {} : { TKA_ENGINE: engine };
}
