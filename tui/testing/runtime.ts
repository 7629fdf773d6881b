/** A fake process: its output can be read, and it has a home of its own. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import type { Runtime } from '../runtime.ts';

export interface TestRuntime extends Runtime {
  readonly home: string;
  readonly written: { stdout: string; stderr: string };
}

export function createRuntime(
  t: ExecutionContext,
  changes: Partial<Runtime> & { readonly isTerminal?: boolean; readonly columns?: number } = {},
): TestRuntime {
  const { isTerminal = false, columns = 80, ...rest } = changes;
  const home = mkdtempSync(join(tmpdir(), 'tka-runtime-'));
  t.teardown(() => rmSync(home, { recursive: true, force: true }));
  const written = { stdout: '', stderr: '' };
  const stream = (name: 'stdout' | 'stderr') => ({
    isTTY: isTerminal,
    columns,
    rows: 24,
    write: (text: string | Uint8Array) => {
      written[name] += String(text);
      return true;
    },
  });
  const stdout = stream('stdout');
  const stderr = stream('stderr');
  return {
    home,
    written,
    env: { HOME: home, PATH: '/usr/bin:/bin' },
    stdout,
    stderr,
    // Only what commands look at: sizes.
    terminal: () => ({ stdin: { isTTY: false }, stdout, stderr }) as unknown as ReturnType<Runtime['terminal']>,
    platform: process.platform,
    pid: process.pid,
    execPath: process.execPath,
    script: '/usr/bin/tka',
    now: () => new Date(),
    signal: AbortSignal.timeout(30_000),
    holdSignals: () => () => {},
    ...rest,
  };
}
