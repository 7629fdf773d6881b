/**
 * What somebody at a machine of the stack does: runs `tka` and kubectl, calls the server. Each person has a home, a
 * kubeconfig and a tailscaled of their own, so that nothing passes between two but what tka lets pass.
 */
import { join } from 'node:path';
import type { Result } from '../dev/stack/processes.ts';
import type { Answer, RequestOptions } from '../dev/stack/send.ts';
import type { Stack } from '../dev/stack/stack.ts';
import { until } from '../dev/stack/until.ts';
import { described } from './described.ts';

export interface LoggedIn {
  readonly session: string;
  readonly username: string;
  readonly role: string;
  readonly until: string;
  readonly context: string;
  readonly namespaces?: readonly string[];
}

export class Person {
  readonly name: string;
  readonly #stack: Stack;
  readonly #server: () => string;

  /** `server`: its URL, where it is not the stack's own. */
  constructor(stack: Stack, name: string, server: () => string = () => stack.tka.url) {
    this.#stack = stack;
    this.name = name;
    this.#server = server;
  }

  get kubeconfig(): string {
    return join(this.#stack.machine(this.name).home, '.kube', 'config');
  }

  /** The `tka` command; the server is named by its address, so that nothing has to resolve a name. */
  tka(...args: readonly string[]): Promise<Result> {
    return this.#stack.tkaCommand(this.name, args, { env: { TKA_SERVER: this.#server() } });
  }

  kubectl(...args: readonly string[]): Promise<Result> {
    return this.#stack.runAs(this.name, 'kubectl', args, { env: { TKA_SERVER: this.#server() } });
  }

  /** Exactly these headers and no others. */
  send(path: string, options: RequestOptions = {}): Promise<Answer> {
    const url = new URL(path, this.#server()).href;
    const answering = this.#stack.machine(this.name).send(url, { timeoutMs: 20_000, ...options });
    return described(options.method ?? 'GET', path, answering);
  }

  /** Rejects with what the command said if it fails. */
  async login(...flags: readonly string[]): Promise<LoggedIn> {
    const { code, stdout, stderr } = await this.tka('login', '--non-interactive', '-o', 'json', ...flags);
    if (code !== 0) throw new Error(`${this.name} cannot log in (${code}): ${stderr}`);
    // Our own command's output; what it lacks makes the assertions fail.
    return JSON.parse(stdout) as LoggedIn;
  }

  /** What `kubectl auth can-i` answers. */
  async can(...action: readonly string[]): Promise<boolean> {
    const { stdout, stderr } = await this.kubectl('auth', 'can-i', ...action);
    const answer = stdout.trim();
    if (answer !== 'yes' && answer !== 'no') throw new Error(`can-i did not answer: ${stdout}${stderr}`);
    return answer === 'yes';
  }

  /** Resolves when the API server refuses the credential this person holds; it keeps a good token for 10 s. */
  async refused(...flags: readonly string[]): Promise<string> {
    return until(
      async () => {
        const { code, stderr } = await this.kubectl(...flags, 'get', 'namespaces');
        return code !== 0 && /Unauthorized|must be logged in|the server has asked for/.test(stderr) && stderr;
      },
      { what: `the API server to refuse ${this.name}`, timeoutMs: 15_000, everyMs: 250 },
    );
  }
}
