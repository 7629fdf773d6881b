/**
 * A user's machine on the stack's tailnet: tailscaled in userspace, with state and a home of its own, and one port that
 * is an HTTP and SOCKS5 proxy into the tailnet. What a test does "as alice" goes through it.
 */
import { mkdirSync } from 'node:fs';
import { request } from 'node:http';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { fetch, ProxyAgent } from 'undici';
import type { RequestInit, Response } from 'undici';
import { z } from 'zod';
import { onFreePorts } from './ports.ts';
import type { Child, Processes, Result } from './processes.ts';
import { send } from './send.ts';
import type { Answer, RequestOptions } from './send.ts';
import { until } from './until.ts';

export interface MachineOptions {
  readonly processes: Processes;
  readonly tailscale: string;
  readonly tailscaled: string;
  readonly controlUrl: string;
  readonly caFile: string;
  /** Unique in the stack; also its name on the tailnet. */
  readonly hostname: string;
  readonly authKey: string;
  readonly signal?: AbortSignal | undefined;
}

export class Machine {
  readonly hostname: string;
  /** `http://127.0.0.1:PORT`, HTTP and SOCKS5. */
  readonly proxy: string;
  /** Of its tailscaled. */
  readonly socket: string;
  /** IPv4 on the tailnet. */
  readonly ip: string;
  /** HOME of whatever runs as this user. */
  readonly home: string;
  readonly #options: MachineOptions;
  readonly #child: Child;
  readonly #agents = new Map<string, ProxyAgent>();

  private constructor(options: MachineOptions, started: Started, ip: string) {
    this.hostname = options.hostname;
    this.#options = options;
    this.#child = started.child;
    this.proxy = `http://127.0.0.1:${started.port}`;
    this.socket = started.socket;
    this.home = join(started.dir, 'home');
    this.ip = ip;
  }

  /** Resolves when it has joined and is Running. */
  static async start(options: MachineOptions): Promise<Machine> {
    const { processes, hostname, signal } = options;
    const dir = join(processes.dir, 'machines', hostname);
    mkdirSync(join(dir, 'home'), { recursive: true });
    const started = await onFreePorts({ tcp: 1 }, ([port = 0]) => startTailscaled(options, dir, port));
    await joinTailnet(options, started.socket);
    const ip = await until(
      async () => {
        const { BackendState, TailscaleIPs } = await readStatus(started.socket);
        return BackendState === 'Running' && TailscaleIPs.find((address) => !address.includes(':'));
      },
      { what: `${hostname} on the tailnet`, timeoutMs: 60_000, signal },
    );
    return new Machine(options, started, ip);
  }

  get pid(): number {
    return this.#child.pid;
  }

  status(): Promise<TailscaleStatus> {
    return readStatus(this.socket);
  }

  /**
   * Resolves when a connection to the peer stands. To know the peer is not enough: one that was killed and is back has
   * another endpoint, and what is sent to the old one is lost.
   */
  async reaches(ip: string, port: number, signal?: AbortSignal): Promise<void> {
    await until(
      async () => {
        (await this.connect(ip, port)).destroy();
        return true;
      },
      { what: `${this.hostname} to reach ${ip}:${port}`, timeoutMs: 30_000, signal },
    );
  }

  /** The tailscale command against this machine. */
  tailscale(args: readonly string[]): Promise<Result> {
    return runTailscale(this.#options, this.socket, args);
  }

  /** A connection to a tailnet address, for bytes of one's own. */
  connect(host: string, port: number, signal?: AbortSignal): Promise<Socket> {
    const { promise, resolve, reject } = Promise.withResolvers<Socket>();
    const target = `${host.includes(':') ? `[${host}]` : host}:${port}`;
    const asked = request(this.proxy, {
      method: 'CONNECT',
      path: target,
      headers: { host: target },
      agent: false,
      ...(signal === undefined ? {} : { signal }),
    });
    asked.once('error', (cause) =>
      reject(new Error(`${this.hostname} does not reach ${target}: ${cause.message}`, { cause })),
    );
    asked.once('connect', (response, socket: Socket, head: Buffer) => {
      if (response.statusCode === 200) {
        if (head.length > 0) socket.unshift(head);
        resolve(socket);
        return;
      }
      socket.destroy();
      reject(new Error(`${this.hostname} cannot reach ${target}: ${response.statusCode} ${response.statusMessage}`));
    });
    asked.end();
    return promise;
  }

  /** One request on a connection of its own, with these headers and no others but Host, Connection and a body's length. */
  async send(url: string, options: RequestOptions = {}): Promise<Answer> {
    const { hostname, port, protocol } = new URL(url);
    const host = hostname.replace(/^\[|\]$/g, '');
    // A machine that died silently is dialled for longer than anybody waits for an answer.
    const late = AbortSignal.timeout(options.timeoutMs ?? 5000);
    const socket = await this.connect(host, Number(port) || (protocol === 'https:' ? 443 : 80), late);
    return send(url, { ...options, socket });
  }

  /** As a browser or script would. `ca`: PEM that signs an https server's certificate. */
  fetch(url: string, init: RequestInit & { readonly ca?: string } = {}): Promise<Response> {
    const { ca = '', ...rest } = init;
    let agent = this.#agents.get(ca);
    if (agent === undefined) {
      agent = new ProxyAgent({ uri: this.proxy, proxyTunnel: true, ...(ca === '' ? {} : { requestTls: { ca } }) });
      this.#agents.set(ca, agent);
    }
    return fetch(url, { ...rest, dispatcher: agent });
  }

  /** Forgets open connections; with `leave` the node leaves the tailnet first, else it just goes silent. */
  async close({ leave = false }: { readonly leave?: boolean } = {}): Promise<void> {
    if (leave) await this.tailscale(['logout']);
    await Promise.all([...this.#agents.values()].map((agent) => agent.destroy()));
    this.#agents.clear();
    await this.#child.kill();
  }
}

/** `alice@example.com` → `alice-example-com`, a name that DNS allows. */
export function hostnameOf(user: string, taken: ReadonlySet<string> = new Set()): string {
  const base =
    user
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, '-')
      .replace(/^-|-$/g, '')
      .slice(0, 50) || 'machine';
  let name = base;
  for (let number = 2; taken.has(name); number++) name = `${base}-${number}`;
  return name;
}

const statusSchema = z.object({
  BackendState: z.string(),
  TailscaleIPs: z
    .array(z.string())
    .nullish()
    .transform((addresses) => addresses ?? []),
  Self: z.object({ ID: z.string(), DNSName: z.string() }).nullish(),
  Peer: z
    .record(
      z.string(),
      z.object({
        ID: z.string(),
        HostName: z.string(),
        DNSName: z.string(),
        TailscaleIPs: z
          .array(z.string())
          .nullish()
          .transform((addresses) => addresses ?? []),
      }),
    )
    .nullish()
    .transform((peers) => peers ?? {}),
});
/** What `tailscale status --json` says, as far as stacks use it. */
export type TailscaleStatus = z.infer<typeof statusSchema>;

interface Started {
  readonly child: Child;
  readonly port: number;
  readonly socket: string;
  readonly dir: string;
}

async function startTailscaled(options: MachineOptions, dir: string, port: number): Promise<Started> {
  const { processes, hostname, tailscaled, caFile, signal } = options;
  const socket = join(dir, 'socket');
  const child = await processes.start({
    name: `tailscaled-${hostname}`,
    command: tailscaled,
    args: [
      '--tun=userspace-networking',
      `--socks5-server=127.0.0.1:${port}`,
      `--outbound-http-proxy-listen=127.0.0.1:${port}`,
      `--statedir=${join(dir, 'state')}`,
      `--socket=${socket}`,
      '--port=0',
      '--no-logs-no-support',
    ],
    // Without TS_LOGS_DIR it keeps an ID for its logs in the real machine's /var/lib/tailscale.
    env: { SSL_CERT_FILE: caFile, TS_NO_LOGS_NO_SUPPORT: 'true', TS_LOGS_DIR: dir },
  });
  const answers = async (): Promise<boolean> => (await readStatus(socket)).BackendState !== 'NoState' && isOpen(port);
  await child.ready(answers, { timeoutMs: 30_000, signal });
  return { child, port, socket, dir };
}

async function joinTailnet(options: MachineOptions, socket: string): Promise<void> {
  const { hostname, controlUrl, authKey, signal } = options;
  const args = [
    'up',
    `--login-server=${controlUrl}`,
    `--auth-key=${authKey}`,
    `--hostname=${hostname}`,
    '--accept-dns=false',
    '--timeout=60s',
  ];
  const { code, stdout, stderr } = await runTailscale(options, socket, args, signal);
  if (code !== 0) throw new Error(`${hostname} cannot join the tailnet: ${stderr.trim() || stdout.trim()}`);
}

function runTailscale(
  { processes, tailscale, caFile }: MachineOptions,
  socket: string,
  args: readonly string[],
  signal?: AbortSignal,
): Promise<Result> {
  return processes.run(
    { command: tailscale, args: [`--socket=${socket}`, ...args], env: { SSL_CERT_FILE: caFile } },
    signal === undefined ? {} : { signal },
  );
}

async function readStatus(socketPath: string): Promise<TailscaleStatus> {
  const { body } = await send('http://local-tailscaled.sock/localapi/v0/status', { socketPath });
  return statusSchema.parse(JSON.parse(body));
}

async function isOpen(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect(port, '127.0.0.1');
  socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
  const open = await promise;
  socket.destroy();
  return open;
}
