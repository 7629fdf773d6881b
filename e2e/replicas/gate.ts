/**
 * Between one replica and the API server: writes down what the replica asks, and can keep an answer back until the test lets go, so
 * that the replica is in the middle of something for as long as the test wants, or call back at a request of the test's choice.
 */
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { Agent, request } from 'node:https';
import { readFile, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import type { Stack } from '../../dev/stack/stack.ts';

export class Gate implements AsyncDisposable {
  /** `METHOD path`, without its query, in the order of arrival. */
  readonly requests: string[] = [];
  readonly #server: Server;
  readonly #upstream: URL;
  readonly #agent: Agent;
  #held: { readonly pattern: RegExp; readonly released: Promise<void>; readonly release: () => void } | undefined;
  #waiting = 0;
  #strike:
    | { readonly pattern: RegExp; left: number; readonly moment: 'before' | 'after'; readonly strikes: () => void }
    | undefined;

  private constructor(upstream: string, caFile: string) {
    this.#upstream = new URL(upstream);
    this.#agent = new Agent({ keepAlive: true, ca: readFileSync(caFile) });
    this.#server = createServer((req, res) => this.#forward(req, res));
  }

  static async open(upstream: string, caFile: string): Promise<Gate> {
    const gate = new Gate(upstream, caFile);
    await new Promise<void>((resolve) => gate.#server.listen(0, '127.0.0.1', resolve));
    return gate;
  }

  get url(): string {
    // Listening on a port, so the address is no path.
    const { port } = this.#server.address() as AddressInfo;
    return `http://127.0.0.1:${port}`;
  }

  /** Answers that are kept back. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Calls back before the nth request from now that looks like this is passed on, or when its answer has come; the caller never sees an answer. */
  strike(pattern: RegExp, nth: number, moment: 'before' | 'after', strikes: () => void): void {
    this.#strike = { pattern, left: nth, moment, strikes };
  }

  /** From now on answers to requests that look like this are kept back: the API server has carried them out. */
  hold(pattern: RegExp): void {
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    this.#held = { pattern, released, release };
  }

  release(): void {
    this.#held?.release();
    this.#held = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.release();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
    this.#agent.destroy();
  }

  #forward(req: IncomingMessage, res: ServerResponse): void {
    const line = `${req.method ?? ''} ${(req.url ?? '').split('?', 1)[0] ?? ''}`;
    this.requests.push(line);
    const strike =
      this.#strike?.pattern.test(line) === true && (this.#strike.left -= 1) === 0 ? this.#strike : undefined;
    if (strike?.moment === 'before') {
      strike.strikes();
      res.destroy();
      return;
    }
    const held = this.#held?.pattern.test(line) === true ? this.#held : undefined;
    const headers = { ...req.headers, host: this.#upstream.host };
    const { hostname, port } = this.#upstream;
    const asked = request({ hostname, port, agent: this.#agent, method: req.method, path: req.url, headers });
    asked.on('error', () => res.destroy());
    res.on('close', () => asked.destroy());
    asked.on('response', (answer) => {
      const pass = (): void => {
        res.writeHead(answer.statusCode ?? 502, answer.headers);
        // Else a watch shows nothing before its first event.
        res.flushHeaders();
        answer.pipe(res);
      };
      if (strike !== undefined) {
        strike.strikes();
        res.destroy();
        return;
      }
      if (held === undefined) {
        pass();
        return;
      }
      this.#waiting += 1;
      void held.released.then(() => {
        this.#waiting -= 1;
        pass();
      });
    });
    req.pipe(asked);
  }
}

/** tka's own kubeconfig with the gate for a server. */
export async function kubeconfigThrough(stack: Stack, gate: Gate): Promise<string> {
  const config = parse(await readFile(await stack.kubernetes.accountKubeconfig('tka-system', 'tka'), 'utf8'));
  config.clusters[0].cluster = { server: gate.url, 'insecure-skip-tls-verify': true };
  const path = join(stack.dir, 'gate.kubeconfig');
  await writeFile(path, stringify(config), { mode: 0o600 });
  return path;
}
