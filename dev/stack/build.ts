/**
 * Compiles the Go programs of the stack, each once: the results are kept outside the checkout, by version.
 *
 * One after another (two at once only slow each other), each into a directory of its own that is then renamed into
 * place, so that what is in the cache is complete. A lock keeps two processes from compiling the same. An interrupted
 * compiler dies with us; what it had compiled stays in Go's own cache.
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { silent } from './progress.ts';
import type { Progress } from './progress.ts';
import { buildArguments, cacheDir, cacheKey, goDir, toolVersion, tools } from './tools.ts';
import type { Tool } from './tools.ts';

/** Paths of the programs. */
export interface ToolPaths {
  readonly supervise: string;
  readonly pki: string;
  readonly tailscale: string;
  readonly tailscaled: string;
  readonly headscale: string;
  readonly kube: string;
  readonly kubectl: string;
}

/** The oldest Go that compiles all of them: tailscale.com asks for it. */
const oldestGo = '1.26.6';

export async function buildTools(
  options: { readonly progress?: Progress; readonly signal?: AbortSignal | undefined } = {},
): Promise<ToolPaths> {
  const { progress = silent, signal } = options;
  const cache = cacheDir();
  const dirs = new Map(tools.map((tool) => [tool.name, join(cache, cacheKey(tool))]));
  const dir = (name: Tool['name']): string => dirs.get(name) ?? '';
  const missing = tools.filter((tool) => !existsSync(dir(tool.name)));
  if (missing.length > 0) {
    await checkGo();
    await mkdir(cache, { recursive: true });
    if (missing.some((tool) => tool.about !== undefined)) {
      progress.note(`Compiling ${missing.map((tool) => tool.name).join(', ')} into ${cache}: once, then it is kept.`);
    }
  }
  const supervise = join(dir('supervise'), 'supervise');
  for (const tool of missing) await compile(tool, { into: dir(tool.name), supervise, progress, signal });
  return {
    supervise,
    pki: join(dir('pki'), 'pki'),
    tailscale: join(dir('tailscale'), 'tailscale'),
    tailscaled: join(dir('tailscale'), 'tailscaled'),
    headscale: join(dir('headscale'), 'headscale'),
    kube: join(dir('kube'), 'kube'),
    kubectl: join(dir('kube'), 'kubectl'),
  };
}

/** Says what to install where Go is missing or too old. */
async function checkGo(): Promise<void> {
  const remedy = `tka compiles its development stack with Go ${oldestGo} or newer: https://go.dev/dl/`;
  let found: string;
  try {
    const { stdout } = await promisify(execFile)('go', ['env', 'GOVERSION'], { cwd: join(goDir, 'tailscale') });
    found = stdout.trim();
  } catch (error) {
    const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    throw new Error(isMissing ? `There is no go command. ${remedy}` : `The go command does not work. ${remedy}`, {
      cause: error,
    });
  }
  if (!isRecent(found)) throw new Error(`The go command is ${found}, too old. ${remedy}`);
}

/** `go1.26.8` against the oldest that will do; what is no release (a build of Go's own tree) is believed. */
export function isRecent(goVersion: string, oldest: string = oldestGo): boolean {
  const found = /^go(\d+)\.(\d+)(?:\.(\d+))?/.exec(goVersion);
  if (found === null) return true;
  const wanted = oldest.split('.').map(Number);
  for (const [index, part] of found.slice(1).entries()) {
    const difference = Number(part ?? 0) - (wanted[index] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return true;
}

interface CompileOptions {
  readonly into: string;
  readonly supervise: string;
  readonly progress: Progress;
  readonly signal: AbortSignal | undefined;
}

async function compile(tool: Tool, options: CompileOptions): Promise<void> {
  const { into, supervise, progress, signal } = options;
  const isSmall = tool.about === undefined;
  const version = toolVersion(tool);
  const done = isSmall ? (): void => undefined : progress.start(`compiling ${tool.name} ${version} (${tool.about})`);
  // The supervisor itself is compiled without one; twice at once does no harm, the second rename finds it done.
  const lock = tool.name === 'supervise' ? undefined : await acquire(supervise, `${into}.lock`, signal);
  let ok = false;
  try {
    if (!existsSync(into)) await compileInto(tool, options, lock === undefined ? [] : [supervise, 'run', '--']);
    ok = true;
  } finally {
    lock?.release();
    done(ok);
  }
}

async function compileInto(tool: Tool, { into, signal }: CompileOptions, wrapper: readonly string[]): Promise<void> {
  // Under the lock nobody else uses this name, and what a killed process left there goes.
  const temporary = wrapper.length === 0 ? await mkdtemp(`${into}.`) : `${into}.part`;
  try {
    await rm(temporary, { recursive: true, force: true });
    await mkdir(temporary);
    const [command = 'go', ...args] = [...wrapper, 'go', ...buildArguments(tool, temporary)];
    await runToEnd(command, args, { cwd: join(goDir, tool.name), signal });
    for (const [link, target] of Object.entries(tool.links ?? {})) await symlink(target, join(temporary, link));
    await rename(temporary, into).catch((error: unknown) => {
      if (!existsSync(into)) throw error;
    });
  } catch (error) {
    signal?.throwIfAborted();
    throw new Error(`Compiling ${tool.name} failed: ${(error as Error).message}`, { cause: error });
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

/** Resolves at exit 0. Under the supervisor the pipe on its input is what ends the compiler with us. */
async function runToEnd(
  command: string,
  args: readonly string[],
  { cwd, signal }: { readonly cwd: string; readonly signal: AbortSignal | undefined },
): Promise<void> {
  const env = { ...process.env, CGO_ENABLED: '0', GOWORK: 'off' };
  const child = spawn(command, args, { cwd, env, stdio: ['pipe', 'ignore', 'pipe', 'ignore'], detached: true });
  const { stdin, stderr } = child;
  const abort = (): void => void stdin?.end();
  signal?.addEventListener('abort', abort, { once: true });
  let output = '';
  stderr?.setEncoding('utf8').on('data', (chunk: string) => (output = `${output}${chunk}`.slice(-4000)));
  const [code] = (await once(child, 'close')) as [number | null];
  signal?.removeEventListener('abort', abort);
  stdin?.destroy();
  if (code !== 0) throw new Error(`go ended with exit code ${code}\n${output.trim()}`);
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
