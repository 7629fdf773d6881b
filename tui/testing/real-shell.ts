/** Runs code in a real shell, for tests: without the files that a person's shell reads, and with nothing of this environment. */
import { execFile } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import process from 'node:process';
import type { ExecutionContext, SerialFn, TestFn } from 'ava';
import type { Shell } from '../flags.ts';

export interface ShellRun {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const starts: Readonly<Record<Shell, { readonly program: string; readonly args: readonly string[] }>> = {
  bash: { program: 'bash', args: ['--noprofile', '--norc', '-c'] },
  zsh: { program: 'zsh', args: ['-f', '-c'] },
  fish: { program: 'fish', args: ['--no-config', '-c'] },
  powershell: { program: 'pwsh', args: ['-NoProfile', '-NonInteractive', '-Command'] },
};

/** `test` where this machine has the shell; where it does not, tests are skipped, with the reason in their titles. */
export function withShell(
  test: TestFn | SerialFn,
  shell: Shell,
): (title: string, run: (t: ExecutionContext) => Promise<void>) => void {
  const { program } = starts[shell];
  if (programPath(program) !== undefined) return (title, run) => test(title, run);
  return (title, run) => test.skip(`${title}: no ${program}`, run);
}

export function runShellCode(
  shell: Shell,
  code: string,
  env: Readonly<Record<string, string>> = {},
  before: readonly string[] = [],
): Promise<ShellRun> {
  const { program, args } = starts[shell];
  const path = programPath(program) ?? program;
  const options = {
    env: { PATH: '/usr/bin:/bin', LANG: 'C.UTF-8', ...env },
    encoding: 'utf8',
    timeout: 30_000,
  } as const;
  return new Promise((resolve) => {
    execFile(path, [...before, ...args, code], options, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? -1), stdout, stderr });
    });
  });
}

function programPath(name: string): string | undefined {
  const directories = (process.env['PATH'] ?? '').split(delimiter).filter((entry) => entry !== '');
  return directories
    .map((directory) => join(directory, name))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}
