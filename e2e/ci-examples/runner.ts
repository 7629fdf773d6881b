/**
 * A CI runner: a machine with `tka` and kubectl and nothing of Tailscale, whose home and temporary directory are made anew for
 * each job. `leftovers` tells what a job has not tidied up.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Stack } from '../../dev/stack/stack.ts';

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Job {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  /** Resolves when the text has been written to stdout or stderr. */
  readonly says: (text: string) => Promise<void>;
}

export class Runner implements Disposable {
  readonly #stack: Stack;
  readonly #dir = mkdtempSync(join(tmpdir(), 'tka-runner-'));
  readonly home = join(this.#dir, 'home');
  readonly temporary = join(this.#dir, 'tmp');

  constructor(stack: Stack) {
    this.#stack = stack;
    mkdirSync(this.home);
    mkdirSync(this.temporary);
  }

  /** Nothing of the developer's environment, and no way into the tailnet. */
  get env(): Record<string, string> {
    return {
      CI: 'true',
      HOME: this.home,
      TMPDIR: this.temporary,
      PATH: [this.#stack.binDir, dirname(process.execPath), process.env['PATH'] ?? ''].join(delimiter),
      // The stack's control server is signed by the stack's own authority.
      SSL_CERT_FILE: this.#stack.caFile,
    };
  }

  /** In a process group of its own, whose checkout is the folder of this file. */
  start(script: string, env: Readonly<Record<string, string>> = {}): Job {
    const child = spawn('bash', ['--noprofile', '--norc', '-c', script], {
      cwd: fileURLToPath(new URL('.', import.meta.url)),
      env: { ...this.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    let [stdout, stderr] = ['', ''];
    const { promise: ended, resolve, reject } = Promise.withResolvers<Ended>();
    const waiting = new Map<string, () => void>();
    const look = (): void => {
      for (const [text, heard] of waiting) if (stdout.includes(text) || stderr.includes(text)) heard();
    };
    child.stdout.on('data', (chunk: Buffer) => ((stdout += chunk.toString()), look()));
    child.stderr.on('data', (chunk: Buffer) => ((stderr += chunk.toString()), look()));
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, stdout, stderr }));
    const says = async (text: string): Promise<void> => {
      const heard = Promise.withResolvers<void>();
      waiting.set(text, heard.resolve);
      look();
      const end = await Promise.race([heard.promise, ended]);
      if (end !== undefined) throw new Error(`ended (${end.code}) before it said ${text}: ${end.stdout}${end.stderr}`);
    };
    return { child, ended, says };
  }

  run(script: string, env: Readonly<Record<string, string>> = {}): Promise<Ended> {
    return this.start(script, env).ended;
  }

  /** Files in the temporary directory and the places of private kubeconfigs. */
  leftovers(): string[] {
    return (
      readdirSync(this.#dir, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile() || entry.isSocket())
        .map(({ parentPath, name }) => join(parentPath, name).slice(this.#dir.length + 1))
        // Ours to run faster, and kubectl's own.
        .filter((path) => !path.includes('/compiled/') && !path.startsWith('home/.kube/cache/'))
    );
  }

  [Symbol.dispose](): void {
    rmSync(this.#dir, { recursive: true, force: true });
  }
}
