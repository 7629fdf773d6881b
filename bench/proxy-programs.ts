/**
 * The Go programs of `bench/go`, as children: compiled once, told their settings over stdin, and gone when stdin ends.
 */
import { spawn } from 'node:child_process';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

export interface ProgramSettings {
  readonly hostname: string;
  readonly stateDir: string;
  readonly controlUrl: string;
  readonly authKey: string;
  readonly server?: string;
  readonly caFile?: string;
  readonly token?: string;
  readonly kubeconfig?: string;
  readonly caller?: string;
}

export interface Program extends AsyncDisposable {
  /** On the tailnet. */
  readonly address: string;
  readonly pid: number;
  /** One order, one answer. */
  ask<T>(order: object): Promise<T>;
}

const source = fileURLToPath(new URL('go', import.meta.url));

/** Resolves to the binary. */
export async function buildPrograms(dir: string): Promise<string> {
  const binary = join(dir, 'proxybench');
  const env = { ...process.env, CGO_ENABLED: '0' };
  await promisify(execFile)('go', ['build', '-trimpath', '-o', binary, '.'], { cwd: source, env });
  return binary;
}

export async function startProgram(
  binary: string,
  what: 'load' | 'reverse' | 'peer' | 'static',
  settings: ProgramSettings,
  env: Readonly<Record<string, string>>,
): Promise<Program> {
  const child = spawn(binary, [what], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...env, TS_NO_LOGS_NO_SUPPORT: 'true', HOME: settings.stateDir, GOMEMLIMIT: '256MiB' },
  });
  const ended = once(child, 'exit');
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async <T>(): Promise<T> => {
    const { value, done } = await lines.next();
    if (done === true) throw new Error(`proxybench ${what} has ended`);
    // Our own program's answer.
    return JSON.parse(value) as T;
  };
  child.stdin.write(`${JSON.stringify(settings)}\n`);
  const { address } = await next<{ address: string }>();
  return {
    address,
    pid: child.pid ?? 0,
    ask<T>(order: object) {
      child.stdin.write(`${JSON.stringify(order)}\n`);
      return next<T>();
    },
    async [Symbol.asyncDispose]() {
      child.stdin.end();
      await ended;
    },
  };
}
