/**
 * Runs one child with our own standard streams, and hands the signals to it while it runs.
 *
 * The terminal sends Ctrl-C to the child by itself, so SIGINT is passed on only where there is no terminal. SIGTERM and SIGHUP
 * go to the child's process group, or to the child alone where it is in ours; a shell at its prompt heeds SIGHUP only, so it
 * gets both. A child that is still there after the grace, or at the next such signal, is killed.
 */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import process from 'node:process';
import { isatty } from 'node:tty';
import { systemCode } from '../errors.ts';
import type { Runtime, StopSignal } from '../runtime.ts';

export interface ChildOptions {
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Whether the child is a person's shell. */
  readonly isShell: boolean;
  readonly graceMs?: number;
}

export interface ChildEnd {
  /** The child's own; 128 and the number for a signal, be it the child's or ours; 127 and 126 as shells have them. */
  readonly exitCode: number;
  /** The signal that was passed on: the person is likely gone. */
  readonly signal?: StopSignal;
  /** Why there was no child. */
  readonly failure?: string;
}

export async function runChild(runtime: Runtime, options: ChildOptions): Promise<ChildEnd> {
  const { command, env, isShell, graceMs = 10_000 } = options;
  const [program = '', ...args] = command;
  runtime.signal.throwIfAborted();
  const child = spawn(program, args, { stdio: 'inherit', env });
  let told: StopSignal | undefined;
  let timer: NodeJS.Timeout | undefined;
  const kill = (): void => signalChild(child.pid, 'SIGKILL');
  const release = runtime.holdSignals?.((signal) => {
    if (signal === 'SIGINT') {
      if (!hasTerminal()) signalChild(child.pid, signal);
      return;
    }
    if (told !== undefined) return kill();
    told = signal;
    signalChild(child.pid, signal);
    if (isShell && signal === 'SIGTERM') signalChild(child.pid, 'SIGHUP');
    // One that is stopped would not hear it.
    signalChild(child.pid, 'SIGCONT');
    timer = setTimeout(kill, graceMs);
  });
  try {
    const { promise, resolve } = Promise.withResolvers<ChildEnd>();
    child.once('error', (error) => resolve(notStarted(program, error)));
    child.once('exit', (code, signal) => resolve({ exitCode: code ?? numberOf(signal) }));
    const end = await promise;
    return told === undefined ? end : { exitCode: numberOf(told), signal: told };
  } finally {
    clearTimeout(timer);
    release?.();
  }
}

/** Not by the runtime's streams: making one sets a pipe, which the child shares, to not blocking. */
function hasTerminal(): boolean {
  return [0, 1, 2].some((fd) => isatty(fd));
}

function signalChild(pid: number | undefined, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  for (const target of [-pid, pid]) {
    try {
      process.kill(target, signal);
      return;
    } catch (error) {
      // No group of that number: the child is in ours. No process either: it is over.
      if (systemCode(error) === undefined) throw error;
    }
  }
}

function notStarted(program: string, error: Error): ChildEnd {
  const code = systemCode(error);
  if (code === 'ENOENT') return { exitCode: 127, failure: `${program}: command not found` };
  return { exitCode: 126, failure: `${program} cannot be run: ${code ?? error.message}` };
}

function numberOf(signal: NodeJS.Signals | null): number {
  return 128 + (signal === null ? 0 : constants.signals[signal]);
}
