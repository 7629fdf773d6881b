/**
 * The control server of a stack: headscale with TLS from the stack's own authority, an embedded relay and sqlite.
 *
 * Its policy lives in its database and is set from a file whenever that file changes: that way a policy is checked and
 * in force, or refused with the reason, when the command returns.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { z } from 'zod';
import type { Pki } from './pki.ts';
import { peopleIn, operator } from './policy.ts';
import { onFreePorts } from './ports.ts';
import type { Child, Processes } from './processes.ts';
import { httpsStatus } from './send.ts';

export interface HeadscaleOptions {
  readonly processes: Processes;
  readonly bin: string;
  readonly pki: Pki;
  /** Where it listens. Default: loopback; pods reach another of the machine's addresses alone. */
  readonly address?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface AuthKeyOptions {
  /** A login name or a tag. A tagged machine belongs to no user. */
  readonly owner: string;
  readonly ephemeral?: boolean;
  /** As Go writes durations. Default 24h. */
  readonly expiration?: string;
  /** For any number of machines, not one. Default true. */
  readonly isReusable?: boolean;
}

export interface TailnetNodeEntry {
  readonly id: string;
  readonly hostname: string;
  /** IPv4. */
  readonly ip: string;
  readonly online: boolean;
}

export interface ConfigOptions {
  readonly dir: string;
  readonly address: string;
  readonly port: number;
  readonly stunPort: number;
  readonly certFile: string;
  readonly keyFile: string;
}

export const tailnetDomain = 'tail.test';

export class Headscale {
  readonly url: string;
  readonly bin: string;
  readonly config: string;
  readonly #options: HeadscaleOptions;
  #child: Child;
  /** Numbers of the users, by login name; a promise, so that two calls make one user. */
  readonly #users = new Map<string, Promise<string>>();

  private constructor(options: HeadscaleOptions, url: string, config: string, child: Child) {
    this.#options = options;
    this.url = url;
    this.bin = options.bin;
    this.config = config;
    this.#child = child;
  }

  static async start(options: HeadscaleOptions): Promise<Headscale> {
    const { processes, pki, address = '127.0.0.1' } = options;
    const dir = join(processes.dir, 'headscale');
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    return onFreePorts({ tcp: 1, udp: 1 }, async ([port = 0, stunPort = 0]) => {
      const config = join(dir, 'config.yaml');
      const files = { certFile: pki.cert('headscale'), keyFile: pki.key('headscale') };
      writeFileSync(config, stringify(headscaleConfig({ dir, address, port, stunPort, ...files })));
      const url = `https://${address}:${port}`;
      return new Headscale(options, url, config, await serve(options, url, config));
    });
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** For a control server that hangs; `resume` undoes it. */
  pause(): void {
    this.#child.signal('SIGSTOP');
  }

  resume(): void {
    this.#child.signal('SIGCONT');
  }

  async stop(): Promise<void> {
    await this.#child.stop({ graceMs: 2000 });
  }

  /** On the same port, with the same nodes and policy. */
  async restart(): Promise<void> {
    await this.stop();
    this.#child = await serve(this.#options, this.url, this.config);
  }

  /** Runs headscale's own command against this server; rejects with what it says on failure. */
  async cli(args: readonly string[]): Promise<string> {
    const command = { command: this.bin, args: ['-c', this.config, ...args] };
    const { code, stdout, stderr } = await this.#options.processes.run(command);
    if (code !== 0) throw new Error(`headscale ${args.slice(0, 2).join(' ')}: ${reason(stderr) || reason(stdout)}`);
    return stdout;
  }

  /** The number of the user, made if need be. */
  user(loginName: string): Promise<string> {
    const known = this.#users.get(loginName);
    if (known !== undefined) return known;
    const created = this.cli(['users', 'create', loginName, '-o', 'json']).then(
      (output) => userSchema.parse(JSON.parse(output)).id,
    );
    this.#users.set(loginName, created);
    return created;
  }

  async authKey({ owner, ephemeral = false, expiration = '24h', isReusable = true }: AuthKeyOptions): Promise<string> {
    const of = owner.startsWith('tag:') ? ['--tags', owner] : ['--user', await this.user(owner)];
    const flags = ['-e', expiration, ...(isReusable ? ['--reusable'] : []), ...(ephemeral ? ['--ephemeral'] : [])];
    const output = await this.cli(['preauthkeys', 'create', ...of, ...flags, '-o', 'json']);
    return keySchema.parse(JSON.parse(output)).key;
  }

  async nodes(): Promise<readonly TailnetNodeEntry[]> {
    return nodesSchema.parse(JSON.parse(await this.cli(['nodes', 'list', '-o', 'json']))).map((node) => ({
      id: node.id,
      hostname: node.given_name,
      ip: node.ip_addresses.find((address) => !address.includes(':')) ?? '',
      online: node.online,
    }));
  }

  /** In force when it resolves; rejects with the reason where headscale refuses it, and the one before stays. */
  async applyPolicy(file: string): Promise<void> {
    const people = peopleIn(await readFile(file, 'utf8'));
    await Promise.all([operator, ...people].map((person) => this.user(person)));
    await this.cli(['policy', 'set', '-f', file]);
  }
}

/** The configuration file, as an object. */
export function headscaleConfig(options: ConfigOptions): Record<string, unknown> {
  const { dir, address, port, stunPort, certFile, keyFile } = options;
  return {
    server_url: `https://${address}:${port}`,
    listen_addr: `${address}:${port}`,
    metrics_listen_addr: '',
    // Not used, and it cannot be switched off.
    grpc_listen_addr: '127.0.0.1:0',
    noise: { private_key_path: join(dir, 'noise.key') },
    prefixes: { v4: '100.64.0.0/10', v6: 'fd7a:115c:a1e0::/48', allocation: 'sequential' },
    derp: {
      server: {
        enabled: true,
        region_id: 999,
        region_code: 'stack',
        region_name: 'embedded',
        verify_clients: false,
        stun_listen_addr: `${address}:${stunPort}`,
        private_key_path: join(dir, 'derp.key'),
        automatically_add_embedded_derp_region: true,
        ipv4: address,
        // Without this, clients ask over IPv6 and wait 3 s for an answer before they are Running.
        ipv6: 'none',
      },
      urls: [],
      paths: [],
      auto_update_enabled: false,
    },
    disable_check_updates: true,
    database: { type: 'sqlite', sqlite: { path: join(dir, 'db.sqlite'), write_ahead_log: true } },
    log: { level: 'info', format: 'text' },
    // It collects changes for half a second and more, for the sake of tailnets with thousands of nodes.
    tuning: { batch_change_delay: '20ms', node_store_batch_timeout: '5ms' },
    policy: { mode: 'database' },
    dns: { magic_dns: true, base_domain: tailnetDomain, override_local_dns: false, nameservers: { global: [] } },
    unix_socket: join(dir, 'socket'),
    unix_socket_permission: '0700',
    tls_cert_path: certFile,
    tls_key_path: keyFile,
  };
}

const userSchema = z.object({ id: z.coerce.string() });
const keySchema = z.object({ key: z.string().min(1) });
/** Without any node it prints null. */
const nodesSchema = z
  .array(
    z.object({
      id: z.coerce.string(),
      given_name: z.string(),
      ip_addresses: z.array(z.string()),
      online: z.boolean().default(false),
    }),
  )
  .nullable()
  .transform((nodes) => nodes ?? []);

async function serve(options: HeadscaleOptions, url: string, config: string): Promise<Child> {
  const { processes, bin, pki, signal } = options;
  const child = await processes.start({ name: 'headscale', command: bin, args: ['-c', config, 'serve'] });
  await child.ready(async () => (await httpsStatus(`${url}/health`, { caFile: pki.caFile })) === 200, {
    timeoutMs: 30_000,
    signal,
  });
  return child;
}

/** The last line that says something; headscale logs before it. */
function reason(output: string): string {
  return output.trim().split('\n').at(-1) ?? '';
}
