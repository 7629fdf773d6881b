/** Programs on PATH, run for what they say. */
import { execFile } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { Runtime } from '../runtime.ts';

/** The first of that name that may be run. */
export function findProgram(env: Runtime['env'], name: string): string | undefined {
  const directories = (env['PATH'] ?? '').split(delimiter).filter((directory) => directory !== '');
  return directories.map((directory) => join(directory, name)).find(isProgram);
}

export interface Ran {
  /** Null where it was stopped, because it took too long or we are to stop. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export function runProgram(
  { env, signal }: Pick<Runtime, 'env' | 'signal'>,
  path: string,
  args: readonly string[],
  { input = '', timeoutMs }: { readonly input?: string; readonly timeoutMs: number },
): Promise<Ran> {
  return new Promise((resolve) => {
    const options = { env: { ...env }, signal, timeout: timeoutMs, maxBuffer: 4 * 1024 * 1024 };
    const child = execFile(path, [...args], options, (error, stdout, stderr) => {
      const code = error === null ? 0 : child.exitCode;
      resolve({ code, stdout, stderr: stderr === '' && error !== null ? error.message : stderr });
    });
    // A program that does not read its input closes it.
    child.stdin?.on('error', () => {});
    child.stdin?.end(input);
  });
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
