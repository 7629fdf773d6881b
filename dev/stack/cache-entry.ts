/**
 * One directory in the tool cache: made in another and renamed into place, so that what is there is complete. A lock keeps
 * two processes from making the same.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';

export interface MakeOptions {
  /** Path of the supervisor; absent while that is what is made, and then two may make it at once. */
  readonly supervise?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Runs a command to its end; rejects with what it wrote to standard error unless that is exit 0. */
export type Run = (command: string, args: readonly string[], options: RunOptions) => Promise<void>;

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** `make` fills the directory it is given. Nothing is left if it rejects; what it runs ends with us. */
export async function makeOnce(
  into: string,
  { supervise, signal }: MakeOptions,
  make: (dir: string, run: Run) => Promise<void>,
): Promise<void> {
  const lock = supervise === undefined ? undefined : await acquire(supervise, `${into}.lock`, signal);
  try {
    if (existsSync(into)) return;
    // Under the lock no other process uses this name; what a killed process left there is removed.
    const temporary = lock === undefined ? await mkdtemp(`${into}.`) : `${into}.part`;
    try {
      await rm(temporary, { recursive: true, force: true });
      await mkdir(temporary);
      const wrapper = supervise === undefined ? [] : [supervise, 'run', '--'];
      await make(temporary, (command, args, options) => runToEnd([...wrapper, command, ...args], options, signal));
      await rename(temporary, into).catch((error: unknown) => {
        if (!existsSync(into)) throw error;
      });
    } finally {
      await rm(temporary, { recursive: true, force: true });
    }
  } finally {
    lock?.release();
  }
}

/** Under the supervisor the pipe on its input is what ends the command with us. */
async function runToEnd(
  [command = '', ...args]: readonly string[],
  { cwd, env = {} }: RunOptions,
  signal: AbortSignal | undefined,
): Promise<void> {
  const child = spawn(command, args, {
    cwd,
    env: { ...process.env, ...env },
    stdio: ['pipe', 'ignore', 'pipe', 'ignore'],
    detached: true,
  });
  const { stdin, stderr } = child;
  const abort = (): void => void stdin?.end();
  signal?.addEventListener('abort', abort, { once: true });
  let output = '';
  stderr?.setEncoding('utf8').on('data', (chunk: string) => (output = `${output}${chunk}`.slice(-4000)));
  const [code] = (await once(child, 'close')) as [number | null];
  signal?.removeEventListener('abort', abort);
  stdin?.destroy();
  if (code !== 0) throw new Error(`exit code ${code}\n${output.trim()}`);
}

async function acquire(supervise: string, file: string, signal: AbortSignal | undefined): Promise<{ release(): void }> {
  const holder = spawn(supervise, ['lock', file], { stdio: ['pipe', 'pipe', 'inherit'], detached: true });
  try {
    await once(holder.stdout, 'data', signal === undefined ? {} : { signal });
  } catch (error) {
    holder.stdin.end();
    throw error;
  }
  return { release: () => void holder.stdin.end() };
}
