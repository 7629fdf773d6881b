/**
 * A tailscaled as far as the command sees one: its LocalAPI on a unix socket, with whatever status a test wants it to have.
 * And a Runtime around it, in a home directory of its own. The test's end removes both.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import type { Runtime } from '../runtime.ts';

/** As LocalAPI has it; see ipn/ipnstate in tailscale.com. */
export interface Status {
  readonly BackendState: string;
  readonly [key: string]: unknown;
}

export interface NodeOptions {
  readonly id: string;
  /** Without the tailnet's suffix, unless it has dots. */
  readonly name: string;
  readonly address?: string;
  readonly tags?: readonly string[];
  readonly online?: boolean;
  readonly [key: string]: unknown;
}

export function statusOf(peers: readonly NodeOptions[], more: Readonly<Record<string, unknown>> = {}): Status {
  return {
    BackendState: 'Running',
    HaveNodeKey: true,
    TUN: true,
    CurrentTailnet: { Name: 'example', MagicDNSSuffix: 'tail.example', MagicDNSEnabled: true },
    Self: nodeOf({ id: 'nSelf', name: 'laptop', address: '100.64.0.99' }),
    Peer: Object.fromEntries(peers.map((peer, index) => [`nodekey:${index}`, nodeOf(peer)])),
    ...more,
  };
}

function nodeOf({ id, name, address = '127.0.0.1', tags, online = true, ...more }: NodeOptions): object {
  const dnsName = name.includes('.') ? name : `${name}.tail.example`;
  return {
    ID: id,
    HostName: name,
    DNSName: `${dnsName}.`,
    TailscaleIPs: [address],
    ...(tags === undefined ? {} : { Tags: tags }),
    Online: online,
    ...more,
  };
}

export interface FakeTailscaled {
  readonly socket: string;
  /** Of requests. */
  readonly asked: readonly string[];
  status: Status;
}

export async function startTailscaled(
  t: ExecutionContext,
  status: Status = statusOf([]),
  answer?: RequestListener,
): Promise<FakeTailscaled> {
  const directory = temporaryDirectory(t);
  const asked: string[] = [];
  const fake = { socket: join(directory, 'tailscaled.sock'), asked, status };
  const server = createServer((request, response) => {
    asked.push(`${request.method ?? ''} ${request.headers.host ?? ''}${request.url ?? ''}`);
    if (answer !== undefined) answer(request, response);
    else response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(fake.status));
  });
  await new Promise<void>((resolve) => {
    server.listen(fake.socket, resolve);
  });
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return fake;
}

export interface TestRuntime extends Runtime {
  readonly home: string;
  /** What was written. */
  readonly out: { readonly text: string };
  readonly err: { readonly text: string };
}

/** No terminal, no proxy, no tailscaled but the one given, and the configuration file where a text for it is given. */
export function createTestRuntime(
  t: ExecutionContext,
  options: { readonly socket?: string; readonly config?: string; readonly env?: Readonly<Record<string, string>> } = {},
): TestRuntime {
  const home = temporaryDirectory(t);
  if (options.config !== undefined) {
    mkdirSync(join(home, '.config', 'tka'), { recursive: true });
    writeFileSync(join(home, '.config', 'tka', 'config.yaml'), options.config);
  }
  const out = { text: '' };
  const err = { text: '' };
  const into = (sink: { text: string }): Runtime['stdout'] => ({
    write: (chunk: string | Uint8Array): boolean => {
      sink.text += String(chunk);
      return true;
    },
  });
  return {
    env: { HOME: home, TKA_TAILSCALE_SOCKET: options.socket ?? join(home, 'no-tailscaled'), ...options.env },
    stdout: into(out),
    stderr: into(err),
    terminal: () => {
      throw new Error('there is no terminal');
    },
    platform: 'linux',
    pid: 1,
    execPath: '/usr/bin/node',
    script: '/usr/bin/tka',
    now: () => new Date(),
    signal: new AbortController().signal,
    home,
    out,
    err,
  };
}

export function temporaryDirectory(t: ExecutionContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'tka-test-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}
