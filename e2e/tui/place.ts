/**
 * People at terminals of a stack: who opens one gets `tka` in it, on their own machine. Cases take it as an argument.
 */
import { existsSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ExecutionContext } from 'ava';
import type { Policy } from '../../dev/stack/policy.ts';
import { policyOf } from '../../dev/stack/policy.ts';
import { startStack } from '../../dev/stack/stack.ts';
import type { Stack } from '../../dev/stack/stack.ts';
import { until } from '../../dev/stack/until.ts';
import { Person } from '../person.ts';
import { Terminal } from '../terminal.ts';
import type { TerminalOptions } from '../terminal.ts';

const bundle = fileURLToPath(new URL('../../dist/tka.js', import.meta.url));

const grants = {
  'alice@example.com': [
    { role: 'cluster-admin', period: '8h', priority: 100 },
    { role: 'view', period: '1h', priority: 10 },
  ],
  'bob@example.com': [{ role: 'view', period: '1h', priority: 10 }],
};
export const policy: Policy = policyOf(grants);
/** Alice's two rules tie. */
export const tiedPolicy: Policy = policyOf({
  ...grants,
  'alice@example.com': [
    { role: 'edit', period: '1h', priority: 10, namespaces: ['default'] },
    { role: 'view', period: '1h', priority: 10 },
  ],
});

export class Place implements AsyncDisposable {
  readonly stack: Stack;

  static async start(): Promise<Place> {
    return new Place(
      await startStack({ users: ['alice@example.com', 'bob@example.com', 'carol@example.com'], policy }),
    );
  }

  private constructor(stack: Stack) {
    this.stack = stack;
  }

  as(name: string): Person {
    return new Person(this.stack, name);
  }

  /** `tka`, with the server named by hand; `env` may take that away. Closed when the test ends. */
  async open(
    t: ExecutionContext,
    name: string,
    args: readonly string[],
    { env = {}, ...size }: Partial<Pick<TerminalOptions, 'env' | 'columns' | 'rows'>> = {},
  ): Promise<Terminal> {
    const terminal = await Terminal.open({
      command: process.execPath,
      args: [bundle, ...args],
      cwd: this.stack.machine(name).home,
      env: { ...this.stack.userEnv(name), LANG: 'C.UTF-8', TKA_SERVER: this.stack.tka.url, ...env },
      ...size,
    });
    t.teardown(() => terminal.close());
    return terminal;
  }

  /** Names of the sessions that the cluster has. */
  async sessions(): Promise<readonly string[]> {
    const { stdout } = await this.stack.kubectl(['get', 'tkasignins', '-n', 'tka-sessions', '-o', 'name']);
    return stdout.split('\n').filter((line) => line !== '');
  }

  async sessionsAre(count: number): Promise<void> {
    await until(async () => (await this.sessions()).length === count, {
      what: `${count} sessions on the server`,
      timeoutMs: 15_000,
    });
  }

  /** The user's kubeconfig, empty where there is none. */
  kubeconfig(name: string): string {
    const { kubeconfig } = this.as(name);
    return existsSync(kubeconfig) ? readFileSync(kubeconfig, 'utf8') : '';
  }

  /** As on a machine where tka was never used. */
  async forget(name: string): Promise<void> {
    const { home } = this.stack.machine(name);
    await Promise.all(
      ['.config/tka', '.cache/tka', '.kube/config'].map((path) =>
        rm(join(home, path), { recursive: true, force: true }),
      ),
    );
  }

  async clear(): Promise<void> {
    this.stack.kubernetes.resume();
    await this.stack.kubectl(['delete', 'tkasignins', '--all', '-n', 'tka-sessions', '--wait']);
    await Promise.all(['alice@example.com', 'bob@example.com', 'carol@example.com'].map((name) => this.forget(name)));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stack.close();
  }
}

/** As a program must leave it: the cursor there, no other screen, lines edited and echoed by the terminal. */
export async function isClean(t: ExecutionContext, terminal: Terminal): Promise<void> {
  const settings = await terminal.settings();
  t.deepEqual(await terminal.modes(), { cursor: true, alternateScreen: false });
  for (const setting of ['icanon', 'echo', 'isig', 'icrnl', 'opost']) {
    t.regex(settings, new RegExp(`(?<![-\\w])${setting}\\b`), setting);
  }
}

/** Colours of text and background; capture-pane itself writes their resets, 39 and 49. */
export const colours = new RegExp(`${String.fromCodePoint(0x1b)}\\[(?:\\d+;)*(?:3[0-8]|4[0-8]|9\\d|10[0-7])[;m]`);
