/** A program that runs while a test goes on, kubectl above all; it ends with the test if not before. */
import { spawn } from 'node:child_process';
import type { ChildProcessByStdio } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import type { ExecutionContext } from 'ava';
import type { Stack } from '../../dev/stack/stack.ts';
import { until } from '../../dev/stack/until.ts';

export interface Ended {
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly code: number | null;
}

export class Running {
  readonly lines: string[] = [];
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #ended: Promise<Ended>;
  #end: Ended | undefined;
  #stderr = '';

  /** As the user. `command` is on the PATH of whatever runs as a user. */
  constructor(
    t: Pick<ExecutionContext, 'teardown'>,
    stack: Stack,
    user: string,
    [command, ...args]: readonly [string, ...string[]],
    env: Readonly<Record<string, string>> = {},
  ) {
    const own = { ...stack.userEnv(user), TKA_SERVER: stack.tka.url, ...env };
    const options = { cwd: stack.machine(user).home, env: own };
    this.#child = spawn(command, args, { ...options, stdio: ['pipe', 'pipe', 'pipe'] });
    t.teardown(() => this.#child.kill('SIGKILL'));
    createInterface(this.#child.stdout).on('line', (line) => this.lines.push(line));
    this.#child.stderr.setEncoding('utf8').on('data', (chunk: string) => (this.#stderr += chunk));
    this.#child.stdin.on('error', () => undefined);
    const { promise, resolve, reject } = Promise.withResolvers<Ended>();
    this.#ended = promise;
    this.#child.once('error', reject);
    this.#child.once('close', (code) => resolve((this.#end = { at: Date.now(), code })));
  }

  get stderr(): string {
    return this.#stderr;
  }

  get stdin(): Writable {
    return this.#child.stdin;
  }

  get ended(): Promise<Ended> {
    return this.#ended;
  }

  /** Resolves with the first line that fits. */
  says(pattern: RegExp, timeoutMs = 20_000): Promise<string> {
    return until(
      () => {
        const line = this.lines.find((candidate) => pattern.test(candidate));
        if (line === undefined && this.#end !== undefined)
          throw new Error(`it ended (${this.#end.code}): ${this.#stderr}`);
        return line;
      },
      { what: `${pattern} from ${this.#child.spawnfile}`, timeoutMs, everyMs: 10 },
    );
  }

  async end(timeoutMs: number): Promise<Ended> {
    return until(() => this.#end, { what: `the end of ${this.#child.spawnargs.join(' ')}`, timeoutMs });
  }
}
