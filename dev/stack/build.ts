/**
 * Compiles the Go programs of the stack, each once: the results are kept outside the checkout, by version.
 *
 * One after another: two at once only slow each other. An interrupted compiler dies with us; what it had compiled stays in
 * Go's own cache.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { makeOnce } from './cache-entry.ts';
import type { MakeOptions } from './cache-entry.ts';
import { systemPrograms } from './node/system-programs.ts';
import type { SystemPrograms } from './node/system-programs.ts';
import { silent } from './progress.ts';
import type { Progress } from './progress.ts';
import { buildArguments, cacheDir, cacheKey, goDir, toolVersion, tools } from './tools.ts';
import type { Tool } from './tools.ts';

/** Paths of what only a Kubernetes node needs. */
export interface NodeTools extends SystemPrograms {
  readonly node: string;
  readonly toolbox: string;
  /** Holds containerd, its shim, `ctr` and the network plugins. */
  readonly containerdDir: string;
  readonly coredns: string;
}

/** Paths of the programs. */
export interface ToolPaths {
  readonly supervise: string;
  readonly pki: string;
  readonly tailscale: string;
  readonly tailscaled: string;
  readonly headscale: string;
  readonly kube: string;
  readonly kubectl: string;
  readonly standin: string;
  /** Where a node was asked for. */
  readonly node: NodeTools | undefined;
  /** Where it was asked for. */
  readonly helm: string | undefined;
}

/** The oldest Go that compiles all of them: tailscale.com asks for it. */
const oldestGo = '1.26.6';

export interface BuildOptions {
  readonly progress?: Progress;
  readonly signal?: AbortSignal | undefined;
  /** Those of a Kubernetes node too. */
  readonly node?: boolean | undefined;
  /** Helm too. */
  readonly helm?: boolean | undefined;
}

export async function buildTools(options: BuildOptions = {}): Promise<ToolPaths> {
  const { progress = silent, signal, node = false, helm = false } = options;
  const cache = cacheDir();
  const wanted = tools.filter(({ only }) => only === undefined || (only === 'node' ? node : helm));
  const dirs = new Map(wanted.map((tool) => [tool.name, join(cache, cacheKey(tool))]));
  const dir = (name: Tool['name']): string => dirs.get(name) ?? '';
  const missing = wanted.filter((tool) => !existsSync(dir(tool.name)));
  if (missing.length > 0) {
    await checkGo();
    await mkdir(cache, { recursive: true });
    if (missing.some((tool) => tool.about !== undefined)) {
      progress.note(`Compiling ${missing.map((tool) => tool.name).join(', ')} into ${cache}: once, then it is kept.`);
    }
  }
  const supervise = join(dir('supervise'), 'supervise');
  for (const tool of missing) {
    // The supervisor itself is compiled without one; twice at once does no harm, the second finds it done.
    const by = tool.name === 'supervise' ? undefined : supervise;
    await compile(tool, { into: dir(tool.name), supervise: by, progress, signal });
  }
  return {
    supervise,
    pki: join(dir('pki'), 'pki'),
    tailscale: join(dir('tailscale'), 'tailscale'),
    tailscaled: join(dir('tailscale'), 'tailscaled'),
    headscale: join(dir('headscale'), 'headscale'),
    kube: join(dir('kube'), 'kube'),
    kubectl: join(dir('kube'), 'kubectl'),
    standin: join(dir('standin'), 'standin'),
    node: node
      ? {
          node: join(dir('node'), 'node'),
          toolbox: join(dir('toolbox'), 'toolbox'),
          containerdDir: dir('containerd'),
          coredns: join(dir('coredns'), 'coredns'),
          ...(await systemPrograms({ cache, supervise, progress, signal })),
        }
      : undefined,
    helm: helm ? join(dir('helm'), 'helm') : undefined,
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

interface CompileOptions extends MakeOptions {
  readonly into: string;
  readonly progress: Progress;
}

async function compile(tool: Tool, { into, supervise, progress, signal }: CompileOptions): Promise<void> {
  const title = `compiling ${tool.name} ${toolVersion(tool)} (${tool.about})`;
  const done = tool.about === undefined ? (): void => undefined : progress.start(title);
  let ok = false;
  try {
    await makeOnce(into, { supervise, signal }, async (dir, run) => {
      const env = { CGO_ENABLED: '0', GOWORK: 'off' };
      await run('go', buildArguments(tool, dir), { cwd: join(goDir, tool.name), env });
      for (const [link, target] of Object.entries(tool.links ?? {})) await symlink(target, join(dir, link));
    });
    ok = true;
  } catch (error) {
    signal?.throwIfAborted();
    throw new Error(`Compiling ${tool.name} failed: ${(error as Error).message}`, { cause: error });
  } finally {
    done(ok);
  }
}
