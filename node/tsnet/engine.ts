/**
 * One run of the engine: spawned, greeted, asked, ended. It is never restarted (supervisor.ts runs the next one). When
 * it ends, however that came, everything asked of it rejects with an EngineGoneError, and `gone` resolves with the reason
 * once the process is no more. Standard error is for what the Go runtime has to say before it dies.
 */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { type Channel, openChannel } from './channel.ts';
import { EngineGoneError, EngineNotFoundError, ProtocolMismatchError } from './errors.ts';
import type { NodeOptions } from './node.ts';
import type { EngineAnswer, EngineEvent, EngineRequest } from './protocol.ts';

const GREET_WITHIN_MS = 10_000;
const MAX_STDERR_LINE = 4096;

export interface EngineDependencies {
  /** Program and arguments. */
  readonly command: readonly [string, ...string[]];
  readonly environment: Readonly<Record<string, string>>;
  readonly onEvent: (event: EngineEvent) => void;
  readonly log: NonNullable<NodeOptions['log']>;
}

export class Engine {
  readonly pid: number;
  /** Why it ended; resolves when the process is gone. Never rejects. */
  readonly gone: Promise<Error>;
  readonly #channel: Channel;

  /** Resolves once the engine has greeted; rejects with EngineNotFoundError, ProtocolMismatchError or EngineGoneError. */
  static async start(deps: EngineDependencies): Promise<Engine> {
    const engine = new Engine(deps, await spawned(deps));
    const late = setTimeout(
      () => engine.#channel.fail(new ProtocolMismatchError(`${deps.command[0]} did not greet: it is no tka-engine`)),
      GREET_WITHIN_MS,
    );
    try {
      await engine.#channel.greeted;
    } catch (error) {
      await engine.gone;
      throw error;
    } finally {
      clearTimeout(late);
    }
    return engine;
  }

  private constructor(deps: EngineDependencies, child: ChildProcessWithoutNullStreams & { readonly pid: number }) {
    this.pid = child.pid;
    const gone = Promise.withResolvers<Error>();
    this.gone = gone.promise;
    let cause: Error | undefined;
    this.#channel = openChannel({
      write: (line) => child.stdin.write(line),
      onEvent: deps.onEvent,
      onFailure: (error) => {
        cause = error;
        child.kill('SIGKILL');
      },
    });
    // A write to an engine that has just ended: its exit says more.
    child.stdin.on('error', () => {});
    child.stdout.on('data', (chunk: Buffer) => this.#channel.receive(chunk));
    createInterface({ input: child.stderr }).on('line', (line) => deps.log('error', line.slice(0, MAX_STDERR_LINE)));
    child.on('close', (code, signal) => {
      const error = new EngineGoneError(`the engine ended (${signal ?? `exit code ${code}`})`);
      this.#channel.fail(error);
      gone.resolve(cause ?? error);
    });
  }

  call(request: EngineRequest): Promise<EngineAnswer> {
    return this.#channel.call(request);
  }

  /** Ends it now. */
  kill(reason: string): void {
    this.#channel.fail(new EngineGoneError(reason));
  }

  /** Asks it to end in order, and ends it after `withinMs` if it has not. */
  async stop(withinMs: number): Promise<void> {
    const late = setTimeout(() => this.kill(`the engine did not end within ${withinMs} ms`), withinMs);
    // Whether it answers or not, its end is what counts.
    this.call({ type: 'stop' }).catch(() => {});
    await this.gone;
    clearTimeout(late);
  }
}

async function spawned({
  command: [program, ...parameters],
  environment,
}: EngineDependencies): Promise<ChildProcessWithoutNullStreams & { readonly pid: number }> {
  const child = spawn(program, parameters, { env: environment, stdio: ['pipe', 'pipe', 'pipe'], cwd: '/' });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  child.once('spawn', resolve);
  child.once('error', reject);
  try {
    await promise;
  } catch (cause) {
    throw new EngineNotFoundError(`the engine at ${program} cannot be run: ${String(cause)}`, { cause });
  }
  // After `spawn` there is a process; an `error` that comes later tells of a signal that could not be sent.
  child.on('error', () => {});
  // Safe: a spawned child has a pid.
  return child as ChildProcessWithoutNullStreams & { readonly pid: number };
}
