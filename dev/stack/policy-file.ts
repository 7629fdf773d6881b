/**
 * The policy file of a stack: applied at the start and whenever it changes on disk, by whomever. Applications run one
 * after another; a file that headscale refuses is reported and leaves the policy before in force.
 */
import { watch } from 'node:fs';
import type { FSWatcher } from 'node:fs';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { policyText } from './policy.ts';
import type { Policy } from './policy.ts';

export interface PolicyFileDependencies {
  /** Puts the file in force; rejects with why not. */
  readonly apply: (file: string) => Promise<void>;
  /** Called with refusals that no caller waits for. */
  readonly onRefused: (reason: Error) => void;
  /** Ends the watch. */
  readonly signal: AbortSignal;
}

export class PolicyFile {
  readonly path: string;
  readonly #deps: PolicyFileDependencies;
  readonly #watcher: FSWatcher;
  #applied: string | undefined;
  #queue: Promise<unknown> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;

  private constructor(path: string, deps: PolicyFileDependencies) {
    this.path = path;
    this.#deps = deps;
    // The folder, because editors replace a file and a watch on the old one would see no more.
    this.#watcher = watch(dirname(path), (_event, name) => {
      if (name !== null && name !== basename(path)) return;
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => void this.reload().catch(deps.onRefused), settleMs);
    });
    this.#watcher.on('error', deps.onRefused);
    deps.signal.addEventListener('abort', () => this.#close(), { once: true });
  }

  /** Resolves when the file's policy is in force. */
  static async open(path: string, deps: PolicyFileDependencies): Promise<PolicyFile> {
    const file = new PolicyFile(path, deps);
    await file.reload();
    return file;
  }

  /** Replaces the file; resolves when it is in force, rejects when it is refused. */
  async write(policy: Policy): Promise<void> {
    const next = `${this.path}.next`;
    await writeFile(next, policyText(policy));
    await rename(next, this.path);
    await this.reload();
  }

  /** Applies what the file holds now, unless that was the last thing tried. */
  reload(): Promise<void> {
    const run = this.#queue.then(async () => {
      const text = await readFile(this.path, 'utf8');
      if (text === this.#applied) return;
      this.#applied = text;
      await this.#deps.apply(this.path);
    });
    this.#queue = run.catch(() => undefined);
    return run;
  }

  #close(): void {
    clearTimeout(this.#timer);
    this.#watcher.close();
  }
}

/** Writers truncate first and write then: look when they are through. */
const settleMs = 50;
