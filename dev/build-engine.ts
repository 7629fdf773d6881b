/**
 * Builds node/tsnet's engine into dist/engine: static, stripped, the same bytes from the same sources and the same Go wherever
 * and whenever that is done. For this machine, or for another that tka is published for. Go's own build cache decides what there is to do; with everything in it this takes about a second. Progress goes to stderr,
 * because a first build takes a minute and a silent minute looks like a hang. Run as a script it prints the binary's path.
 */
import { spawn } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '..');
const MODULE = join(ROOT, 'node/tsnet/engine');
/** What tailscale.com asks for in its go.mod. */
const MINIMUM_GO = [1, 26, 6] as const;
const SAY_SO_EVERY_MS = 5_000;

/** A kind of machine, in Node's words. */
export interface Platform {
  readonly os: 'linux' | 'darwin';
  readonly cpu: 'x64' | 'arm64';
}

export interface BuildEngineOptions {
  /** Default: this machine. */
  readonly platform?: Platform;
  /** Where the binary goes; default dist/engine/tka-engine. */
  readonly output?: string;
  readonly signal?: AbortSignal;
  /** One line of progress, without its newline; default stderr. */
  readonly progress?: (line: string) => void;
}

/** Returns the binary's path; the error of a build that fails says what to do. */
export async function buildEngine(options: BuildEngineOptions = {}): Promise<string> {
  const output = options.output ?? join(ROOT, 'dist/engine/tka-engine');
  const progress = options.progress ?? ((line: string) => void process.stderr.write(`${line}\n`));
  await checkGo(options.signal);
  await mkdir(join(output, '..'), { recursive: true });

  const startedMs = performance.now();
  const seconds = (): string => `${((performance.now() - startedMs) / 1000).toFixed(0)} s`;
  const timer = setInterval(
    () => progress(`building the tailnet engine: ${seconds()} so far (a first build takes a minute or two)`),
    SAY_SO_EVERY_MS,
  );
  try {
    const { code, output: text } = await run(
      ['build', '-trimpath', '-buildvcs=false', '-ldflags', '-s -w', '-o', output, '.'],
      options.signal,
      options.platform === undefined ? {} : targetOf(options.platform),
    );
    if (code !== 0) throw new Error(`the engine does not build:\n${text}`);
  } finally {
    clearInterval(timer);
  }
  if (performance.now() - startedMs > SAY_SO_EVERY_MS) progress(`built the tailnet engine in ${seconds()}`);
  return output;
}

/** The same in Go's words. */
export function targetOf({ os, cpu }: Platform): Readonly<Record<'GOOS' | 'GOARCH', string>> {
  return { GOOS: os, GOARCH: cpu === 'x64' ? 'amd64' : cpu };
}

async function checkGo(signal: AbortSignal | undefined): Promise<void> {
  const needed = MINIMUM_GO.join('.');
  let version: string;
  try {
    version = (await run(['env', 'GOVERSION'], signal)).output.trim();
  } catch (cause) {
    throw new Error(
      `Go ${needed} or newer is needed to build the tailnet engine, and there is no \`go\`: see https://go.dev/dl`,
      {
        cause,
      },
    );
  }
  if (!isGoRecentEnough(version)) {
    throw new Error(
      `Go ${needed} or newer is needed to build the tailnet engine, this one is ${version}: see https://go.dev/dl`,
    );
  }
}

/** `version` as `go env GOVERSION` has it: go1.26.8, or devel … for a build of Go's own sources, which is believed. */
export function isGoRecentEnough(version: string): boolean {
  const match = /^go(\d+)\.(\d+)(?:\.(\d+))?/.exec(version);
  if (!match) return version.startsWith('devel');
  const found = [match[1], match[2], match[3] ?? '0'].map(Number);
  for (const [i, needed] of MINIMUM_GO.entries()) {
    const part = found[i] ?? 0;
    if (part !== needed) return part > needed;
  }
  return true;
}

/** Rejects when there is no go. GOTOOLCHAIN=local: an older Go is to be told of, not replaced by a download. */
async function run(
  parameters: readonly string[],
  signal: AbortSignal | undefined,
  target: Readonly<Record<string, string>> = {},
): Promise<{ readonly code: number | null; readonly output: string }> {
  const child = spawn('go', parameters, {
    cwd: MODULE,
    env: { ...process.env, CGO_ENABLED: '0', GOTOOLCHAIN: 'local', GOWORK: 'off', ...target },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(signal ? { signal } : {}),
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  }
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, output }));
  });
}

if (import.meta.main) {
  try {
    process.stdout.write(`${await buildEngine()}\n`);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}
