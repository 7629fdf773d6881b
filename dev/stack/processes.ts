/**
 * Child processes that cannot outlive this one.
 *
 * Each runs under `supervise` (dev/stack/go/supervise), in a process group of its own, with a pipe from here as its
 * lifeline: when the pipe closes, because we close it or because this process is gone in whatever way, the whole group
 * is killed. `Processes` owns a directory and everything that runs in it: when it is disposed of, or dies, first the
 * children go and then the directory.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, openSync, closeSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { PortTakenError } from './ports.ts';
import { GiveUpError, until } from './until.ts';

export interface Command {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd?: string;
  /** Beside PATH and a private HOME; nothing else of this process's environment is passed on. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface Service extends Command {
  /** Also the name of its log file. */
  readonly name: string;
}

export interface RunOptions {
  readonly input?: string;
  readonly signal?: AbortSignal;
}

export interface Result {
  /** 128+N after signal N. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** What `hold` comes to. */
export type Held = { readonly line: string } | { readonly code: number; readonly stderr: string };

/** A running service. */
export interface Child {
  readonly name: string;
  readonly pid: number;
  /** Standard output and error, appended over restarts. */
  readonly log: string;
  /** Resolves with the exit code, 128+N after signal N. */
  readonly exited: Promise<number>;
  readonly isRunning: boolean;
  /** To the process itself, not to its children. */
  signal(signal: NodeJS.Signals): void;
  /** Signals, waits, and kills the whole group when the time is up. */
  stop(options?: { readonly signal?: NodeJS.Signals; readonly graceMs?: number }): Promise<number>;
  /** Kills the whole group at once. */
  kill(): Promise<number>;
  /** Waits like `until`, but gives up with the end of the log when the process ends. */
  ready(check: () => Promise<boolean> | boolean, options: ReadyOptions): Promise<void>;
}

export interface ReadyOptions {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

export class Processes {
  readonly dir: string;
  readonly #supervise: string;
  readonly #children = new Set<Child>();
  readonly #holders = new Set<ChildProcess>();
  readonly #janitor: ChildProcess | undefined;
  readonly #disposed = new AbortController();

  /** Takes over an existing directory. With `keep` it stays behind, logs and all. */
  constructor(options: { readonly dir: string; readonly supervise: string; readonly keep?: boolean }) {
    this.dir = options.dir;
    this.#supervise = options.supervise;
    for (const sub of ['home', 'logs']) mkdirSync(join(this.dir, sub), { recursive: true });
    writeFileSync(this.alive, '');
    if (options.keep === true) return;
    this.#janitor = spawn(this.#supervise, ['remove', this.dir], {
      stdio: ['pipe', 'ignore', 'inherit'],
      detached: true,
    });
  }

  /** Aborted when the end begins: for whatever else ends with these processes. */
  get disposed(): AbortSignal {
    return this.#disposed.signal;
  }

  /** A process that shares the lock of this file keeps the directory. */
  get alive(): string {
    return join(this.dir, 'alive');
  }

  async start(service: Service): Promise<Child> {
    const log = join(this.dir, 'logs', `${service.name}.log`);
    const output = openSync(log, 'a');
    const child = this.#spawn(service, [output, output, 'pipe']);
    closeSync(output);
    const exited = exitCode(child);
    const pid = await reportedPid(child);
    if (pid === undefined) {
      await exited;
      throw new GiveUpError(`${service.name} (${service.command}) did not start: ${tail(log)}`);
    }
    const running = supervised({ name: service.name, pid, log, exited, lifeline: lifeline(child) });
    this.#children.add(running);
    void exited.then(() => this.#children.delete(running));
    return running;
  }

  /** Runs a command to its end and collects what it writes. An abort kills it and rejects. */
  async run(command: Command, { input = '', signal }: RunOptions = {}): Promise<Result> {
    signal?.throwIfAborted();
    const child = this.#spawn(command, ['pipe', 'pipe', 'pipe', 'pipe']);
    const abort = (): void => void lifeline(child).end();
    signal?.addEventListener('abort', abort, { once: true });
    try {
      const stdin = child.stdio[4] as Writable; // asked for as a pipe, above
      stdin.on('error', () => undefined); // a command need not read its input
      stdin.end(input);
      const [code, stdout, stderr] = await Promise.all([exitCode(child), collect(child.stdout), collect(child.stderr)]);
      signal?.throwIfAborted();
      return { code, stdout, stderr };
    } finally {
      signal?.removeEventListener('abort', abort);
      lifeline(child).end();
    }
  }

  /**
   * Starts a program that makes something outside its own process and undoes it at the end of its input: when this is
   * disposed of, or has died. Resolves with the line it writes when that is made, or with its end if it ends instead.
   */
  async hold(command: Command): Promise<Held> {
    const child = spawn(command.command, command.args, {
      cwd: this.dir,
      env: { PATH: process.env['PATH'], ...command.env },
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true,
    });
    lifeline(child).on('error', () => undefined);
    this.#holders.add(child);
    const exited = exitCode(child).finally(() => this.#holders.delete(child));
    const stderr = collect(child.stderr);
    const lines = createInterface(child.stdout);
    const line = await Promise.race([once(lines, 'line'), once(child.stdout, 'close')]);
    const [first] = line as [unknown]; // what readline emits, or what a stream's end does
    if (typeof first === 'string') return { line: first };
    return { code: await exited, stderr: await stderr };
  }

  /** Kills whatever still runs; the directory is gone when this resolves. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed.abort();
    const holders = [...this.#holders].map((holder) => {
      lifeline(holder).end();
      return exitCode(holder);
    });
    await Promise.all([...[...this.#children].map((child) => child.kill()), ...holders]);
    if (this.#janitor === undefined) return;
    lifeline(this.#janitor).end();
    await exitCode(this.#janitor);
  }

  /** `stdio`: output, error, the pipe that reports the process ID, and optionally one that is its input. */
  #spawn(command: Command, stdio: readonly ('pipe' | number)[]): ChildProcess {
    const withInput = stdio.length > 3 ? ['-input'] : [];
    const args = ['run', '-share', this.alive, ...withInput, '--', command.command, ...command.args];
    const child = spawn(this.#supervise, args, {
      cwd: command.cwd ?? this.dir,
      env: { PATH: process.env['PATH'], HOME: join(this.dir, 'home'), ...command.env },
      stdio: ['pipe', ...stdio],
      // A session of its own: what a terminal or a shell sends to our process group must not reach it.
      detached: true,
    });
    lifeline(child).on('error', () => undefined); // it may end before we do
    return child;
  }
}

/** The last lines of a log, for an error message. */
export function tail(log: string, lines = 12): string {
  try {
    return `\n${readFileSync(log, 'utf8').trimEnd().split('\n').slice(-lines).join('\n')}\n(${log})`;
  } catch {
    return `(no log at ${dirname(log)})`;
  }
}

function supervised(of: {
  readonly name: string;
  readonly pid: number;
  readonly log: string;
  readonly exited: Promise<number>;
  readonly lifeline: Writable;
}): Child {
  const { name, pid, log, exited } = of;
  let code: number | undefined;
  void exited.then((ended) => (code = ended));
  const child: Child = {
    name,
    pid,
    log,
    exited,
    get isRunning() {
      return code === undefined;
    },
    signal(signal) {
      if (code === undefined) process.kill(pid, signal);
    },
    async stop({ signal = 'SIGTERM', graceMs = 10_000 } = {}) {
      child.signal(signal);
      const timer = setTimeout(() => of.lifeline.end(), graceMs);
      try {
        return await exited;
      } finally {
        clearTimeout(timer);
      }
    },
    async kill() {
      of.lifeline.end();
      return exited;
    },
    async ready(check, options) {
      await until(
        async () => {
          if (code !== undefined) throw ended(name, code, log);
          return await check();
        },
        { what: `${name} (log: ${log})`, ...options },
      );
    },
  };
  return child;
}

function ended(name: string, code: number, log: string): GiveUpError {
  const last = tail(log);
  const isPort = /address already in use|EADDRINUSE|port \d+ is (?:already )?in use/i.test(last);
  const message = `${name} ended with exit code ${code}: ${last}`;
  return isPort ? new PortTakenError(message) : new GiveUpError(message);
}

/** The end of the pipe that the supervisor reads. */
function lifeline(child: ChildProcess): Writable {
  if (child.stdin === null) throw new TypeError('spawned without its lifeline');
  return child.stdin;
}

async function exitCode(child: ChildProcess): Promise<number> {
  if (child.exitCode !== null) return child.exitCode;
  const [code] = (await once(child, 'exit')) as [number | null];
  return code ?? 137; // the supervisor itself was killed, and its group with it
}

async function reportedPid(child: ChildProcess): Promise<number | undefined> {
  const line = await collect(child.stdio[3] as Readable | null); // asked for as a pipe
  const pid = Number.parseInt(line, 10);
  return Number.isNaN(pid) ? undefined : pid;
}

async function collect(stream: Readable | null): Promise<string> {
  return stream === null ? '' : await text(stream);
}
