/**
 * A terminal with a program in it, as a person sees and types: a pane of a private tmux server.
 *
 * The program gets exactly the environment that it is given. When it has ended, the state that it left the terminal in is
 * kept (`settings`), and the screen stays. The server and its directory go with the terminal's disposal, and also if this
 * process dies first.
 */
import { execFile, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { GiveUpError, until } from '../dev/stack/until.ts';

export interface TerminalOptions {
  readonly command: string;
  readonly args?: readonly string[];
  /** Beside TERM, which is tmux's own if not given. */
  readonly env: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Default: 80. */
  readonly columns?: number;
  /** Default: 24. */
  readonly rows?: number;
}

/** What programs change of a terminal, and must change back. */
export interface Modes {
  readonly cursor: boolean;
  readonly alternateScreen: boolean;
}

const run = promisify(execFile);
const paneFormat = '#{cursor_flag} #{alternate_on}';

/** False where there is no tmux on this machine: nothing here works then. */
export function hasTerminals(): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((dir) => dir !== '' && existsSync(join(dir, 'tmux')));
}

export class Terminal implements AsyncDisposable {
  readonly #dir: string;
  readonly #janitor: ChildProcess;

  /** Resolves when the program has been started, not when it has drawn anything. */
  static async open(options: TerminalOptions): Promise<Terminal> {
    const dir = mkdtempSync(join(tmpdir(), 'tka-terminal-'));
    const terminal = new Terminal(dir);
    try {
      const { columns = 80, rows = 24 } = options;
      writeFileSync(join(dir, 'tmux.conf'), configuration);
      writeFileSync(join(dir, 'run'), script(dir, options), { mode: 0o700 });
      const size = ['-x', String(columns), '-y', String(rows)];
      await terminal.#tmux('-f', join(dir, 'tmux.conf'), 'new-session', '-d', ...size, join(dir, 'run'));
      return terminal;
    } catch (error) {
      await terminal.close();
      throw error;
    }
  }

  private constructor(dir: string) {
    this.#dir = dir;
    // Acts when its input ends: because we close it, or because we are gone. A shell writes its history, and a command its
    // state, on the hang-up: the terminal is closed when the last process of its session has ended (a zombie has).
    const cleanUp = `cat >/dev/null
session=$(tmux -S "$1/tmux" list-panes -F '#{pane_pid}' 2>/dev/null)
tmux -S "$1/tmux" kill-server 2>/dev/null
tries=0
while [ -n "$session" ] && pgrep -r D,R,S,T -s "$session" >/dev/null; do
  [ $tries -lt 200 ] || pkill -KILL -s "$session"
  tries=$((tries + 1))
  sleep 0.05
done
rm -rf "$1"`;
    this.#janitor = spawn('sh', ['-c', cleanUp, 'sh', dir], { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
  }

  /** What is on the screen, line by line, without trailing spaces and empty lines at the end. */
  async screen(): Promise<string> {
    return trimmed(await this.#tmux('capture-pane', '-p'));
  }

  /** The same with the escape sequences of colours and other attributes. */
  async screenWithColours(): Promise<string> {
    return trimmed(await this.#tmux('capture-pane', '-p', '-e'));
  }

  /** The screen and all that has scrolled off it. */
  async scrollback(): Promise<string> {
    return trimmed(await this.#tmux('capture-pane', '-p', '-S', '-'));
  }

  /** Resolves with the screen that matches; rejects with the last one. */
  async waitFor(pattern: RegExp, timeoutMs = 20_000): Promise<string> {
    let last = '';
    const matching = async (): Promise<string | false> => {
      last = await this.screen();
      return pattern.test(last) && last;
    };
    try {
      return await until(matching, { what: `${String(pattern)} on the screen`, timeoutMs, everyMs: 25 });
    } catch (error) {
      throw new Error(`${String(pattern)} did not come on the screen:\n${last}`, { cause: error });
    }
  }

  /** By tmux's names: `Enter`, `Escape`, `Up`, `C-c`. */
  async press(...keys: readonly string[]): Promise<void> {
    await this.#tmux('send-keys', '--', ...keys);
  }

  async type(text: string): Promise<void> {
    await this.#tmux('send-keys', '-l', '--', text);
  }

  /** Marked as a paste where the program has asked for that. */
  async paste(text: string): Promise<void> {
    await this.#tmux('set-buffer', '--', text);
    await this.#tmux('paste-buffer', '-p', '-r');
  }

  async resize(columns: number, rows: number): Promise<void> {
    await this.#tmux('resize-window', '-x', String(columns), '-y', String(rows));
  }

  async modes(): Promise<Modes> {
    const [cursor, alternate] = (await this.#tmux('display-message', '-p', paneFormat)).trim().split(' ');
    return { cursor: cursor === '1', alternateScreen: alternate === '1' };
  }

  /** Of the program, once it has ended; 128+N after signal N. */
  async exitCode(timeoutMs = 20_000): Promise<number> {
    const code = await this.#left('code', timeoutMs);
    return Number(code);
  }

  /** `stty -a` as the program left it. */
  async settings(timeoutMs = 20_000): Promise<string> {
    await this.exitCode(timeoutMs);
    return readFileSync(join(this.#dir, 'stty'), 'utf8');
  }

  async close(): Promise<void> {
    if (this.#janitor.exitCode !== null) return;
    const gone = once(this.#janitor, 'exit');
    this.#janitor.stdin?.end();
    await gone;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #left(file: string, timeoutMs: number): Promise<string> {
    const path = join(this.#dir, file);
    try {
      return await until(() => existsSync(path) && readFileSync(path, 'utf8').trim(), {
        what: 'the program in the terminal to end',
        timeoutMs,
      });
    } catch (error) {
      throw new Error(`the program did not end; on its screen:\n${await this.screen()}`, { cause: error });
    }
  }

  async #tmux(...args: readonly string[]): Promise<string> {
    try {
      const env = { PATH: process.env['PATH'], HOME: this.#dir, LANG: 'C.UTF-8', TERM: 'screen-256color' };
      const { stdout } = await run('tmux', ['-u', '-S', join(this.#dir, 'tmux'), ...args], { env });
      return stdout;
    } catch (error) {
      throw new GiveUpError(`tmux ${args[0] ?? ''} failed`, { cause: error });
    }
  }
}

// An escape is an escape at once, and nothing but the program is on the screen.
const configuration = `
set -g default-terminal screen-256color
set -g escape-time 0
set -g status off
set -g history-limit 5000
set -g remain-on-exit on
`;

/**
 * Runs the program, and keeps what it left. The shell must outlive a Ctrl-C that reaches the whole foreground; a trap,
 * unlike an ignored signal, is not inherited.
 */
function script(dir: string, { command, args = [], env, cwd = dir }: TerminalOptions): string {
  const exports = Object.entries({ TERM: 'screen-256color', ...env }).map(
    ([name, value]) => `${name}=${quoted(value)}`,
  );
  const tools = quoted(process.env['PATH'] ?? '');
  return `#!/bin/sh
trap : INT QUIT
cd ${quoted(cwd)}
env -i ${[...exports, command, ...args].map((word, i) => (i < exports.length ? word : quoted(word))).join(' ')}
code=$?
PATH=${tools}
stty -a > ${quoted(join(dir, 'stty'))}
echo $code > ${quoted(join(dir, 'code.new'))}
mv ${quoted(join(dir, 'code.new'))} ${quoted(join(dir, 'code'))}
trap '' INT QUIT
exec sleep 100000
`;
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

function trimmed(screen: string): string {
  return screen
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n')
    .trimEnd();
}
