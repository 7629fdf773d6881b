/** The real command with a server that remembers its sessions, and shells that stay until they are told to end. */
import { type ChildProcess, execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import anyTest, { type ExecutionContext } from 'ava';
import { buildCli, type Cli, createCli, type Ran } from './cli.ts';
import { keepSessions, type SessionStub } from './stub-sessions.ts';
import { startStubServer, type StubServer } from './stub-server.ts';

const directory = mkdtempSync(join(tmpdir(), 'tka-shell-'));
const script = await buildCli(directory);
anyTest.after.always(() => rmSync(directory, { recursive: true, force: true }));

export interface Fixture {
  readonly cli: Cli;
  readonly server: StubServer;
  readonly sessions: SessionStub;
  readonly exec: (...command: readonly string[]) => Promise<Ran>;
  /** Resolves when the child says that it is there; it stays until it is told to end. */
  readonly startShell: (...flags: readonly string[]) => Promise<RunningShell>;
}

export interface RunningShell {
  readonly child: ChildProcess;
  readonly ended: Promise<Ran>;
  /** Where its private files are. */
  readonly directory: string;
  /** Lets the child end with the code. */
  end(code?: number): Promise<Ran>;
}

export async function setup(t: ExecutionContext, options: { readonly lastsMs?: number } = {}): Promise<Fixture> {
  const server = await startStubServer();
  t.teardown(() => server.close());
  const sessions = keepSessions(server, options);
  const cli = createCli(t, script);
  let count = 0;
  return {
    cli,
    server,
    sessions,
    exec: (...command) => cli.run(['exec', '--server', server.url, '--', ...command]),
    async startShell(...flags) {
      const fifo = join(cli.home, `fifo-${(count += 1)}`);
      execFileSync('sh', ['-c', 'mkfifo "$0"', fifo]);
      const waits = `echo "$KUBECONFIG"; read code < ${fifo}; exit "$code"`;
      const command = ['sh', '-c', waits];
      const { child, ended } = cli.start(['shell', '--server', server.url, ...flags, '--', ...command]);
      const kubeconfig = await firstLine(child);
      const end = async (code = 0): Promise<Ran> => {
        await writeFile(fifo, `${code}\n`);
        return ended;
      };
      return { child, ended, end, directory: join(kubeconfig, '..') };
    },
  };
}

export function firstLine({ stdout }: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    stdout?.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      if (text.includes('\n')) resolve(text.slice(0, text.indexOf('\n')));
    });
    stdout?.on('end', () => reject(new Error('the child wrote no line')));
  });
}

export function runDirectory({ home }: Cli): string {
  return join(home, '.cache', 'tka', 'run', 'sessions');
}

/** Private directories that are there. */
export function left(cli: Cli): readonly string[] {
  return existsSync(runDirectory(cli)) ? readdirSync(runDirectory(cli)) : [];
}
