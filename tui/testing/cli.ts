/**
 * Runs the real command as a child process, bundled as it is shipped, in a home directory of its own that the test's end
 * removes.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ExecutionContext } from 'ava';
import { build } from 'esbuild';

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Where output goes instead of to the test: a file, or nowhere because the caller closed it. */
export interface Streams {
  /** The program that runs the command, with its arguments. */
  readonly wrapper?: readonly string[];
  readonly stdout?: '/dev/full' | 'closed';
  readonly stderr?: '/dev/full';
}

export interface Cli {
  readonly home: string;
  readonly kubeconfig: string;
  run(args: readonly string[], env?: Readonly<Record<string, string>>, streams?: Streams): Promise<Ran>;
  /** For a test that interferes; `ended` resolves when the process has. */
  start(
    args: readonly string[],
    env?: Readonly<Record<string, string>>,
    streams?: Streams,
  ): { readonly child: ChildProcess; readonly ended: Promise<Ran> };
}

/** Makes the command in a directory that the caller removes; resolves to its script. */
export async function buildCli(directory: string): Promise<string> {
  await build({
    entryPoints: { tka: fileURLToPath(new URL('../cli.ts', import.meta.url)) },
    outdir: directory,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    outExtension: { '.js': '.mjs' },
    jsx: 'automatic',
    define: { 'process.env.NODE_ENV': '"production"', 'process.env.DEV': '"false"' },
    external: ['react-devtools-core'],
    logLevel: 'warning',
    banner: {
      js: "import{createRequire as __createRequire}from'node:module';const require=__createRequire(import.meta.url);",
    },
  });
  return join(directory, 'tka.mjs');
}

export function createCli(t: ExecutionContext, script: string): Cli {
  const home = mkdtempSync(join(tmpdir(), 'tka-test-'));
  t.teardown(() => rmSync(home, { recursive: true, force: true }));
  const start: Cli['start'] = (args, env = {}, { stdout: out, stderr: err, wrapper = [] } = {}) => {
    const toOut = out === undefined ? '' : out === 'closed' ? ' >&-' : ` >${out}`;
    const redirect = `exec "$@"${toOut}${err === undefined ? '' : ` 2>${err}`}`;
    // Nothing of the developer's own environment: no proxy, no kubeconfig, no CI.
    const child = spawn('/bin/sh', ['-c', redirect, 'sh', ...wrapper, process.execPath, script, ...args], {
      env: { HOME: home, PATH: '/usr/bin:/bin', ...env },
    });
    t.teardown(() => child.kill('SIGKILL'));
    child.stdin.end();
    const collect = (stream: NodeJS.ReadableStream): { text: string } => {
      const collected = { text: '' };
      stream.on('data', (chunk: Buffer) => (collected.text += chunk.toString()));
      return collected;
    };
    const stdout = collect(child.stdout);
    const stderr = collect(child.stderr);
    const ended = new Promise<Ran>((resolve) => {
      child.on('close', (code) => resolve({ code, stdout: stdout.text, stderr: stderr.text }));
    });
    return { child, ended };
  };
  return { home, kubeconfig: join(home, '.kube', 'config'), start, run: (...given) => start(...given).ended };
}
