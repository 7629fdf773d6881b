/** The whole screen, on a terminal that only records. */
import { EventEmitter } from 'node:events';
import test, { type ExecutionContext } from 'ava';
import { Interrupted, Shown, UserError } from '../../errors.ts';
import type { OutputStream, Runtime, Terminal } from '../../runtime.ts';
import { aliceLoggedIn, stagedLogIn, testRuntime } from '../../testing/login.ts';
import { type LoginScreenOptions, runLoginScreen } from './login.tsx';

class Stdin extends EventEmitter {
  readonly isTTY: boolean;
  rawMode = false;
  #pressed: string | null = null;
  constructor(isTTY: boolean) {
    super();
    this.isTTY = isTTY;
  }
  press(key: string): void {
    this.#pressed = key;
    this.emit('readable');
  }
  read(): string | null {
    const pressed = this.#pressed;
    this.#pressed = null;
    return pressed;
  }
  setRawMode(isRaw: boolean): void {
    this.rawMode = isRaw;
  }
  setEncoding(): void {}
  ref(): void {}
  unref(): void {}
}

class Screen extends EventEmitter {
  readonly isTTY = true;
  readonly columns = 80;
  readonly rows = 24;
  written = '';
  write = (text: string, written?: () => void): boolean => {
    this.written += text;
    written?.();
    return true;
  };
}

interface TestTerminal {
  readonly runtime: Runtime;
  readonly stdin: Stdin;
  readonly screen: Screen;
  readonly stdout: Screen;
}

function testTerminal({
  env = {},
  isTTY = true,
}: { env?: Record<string, string>; isTTY?: boolean } = {}): TestTerminal {
  const stdin = new Stdin(isTTY);
  const screen = new Screen();
  const stdout = new Screen();
  // As much of a terminal as Ink touches.
  const terminal = { stdin, stdout, stderr: screen } as unknown as Terminal;
  const runtime = testRuntime({
    env: { LANG: 'C.UTF-8', TERM: 'xterm', NO_COLOR: '1', HOME: '/nonexistent', ...env },
    terminal: () => terminal,
    // Of the two forms of `write`, the one that is used here.
    stderr: screen as OutputStream,
    stdout: stdout as OutputStream,
  });
  return { runtime, stdin, screen, stdout };
}

const options: LoginScreenOptions = { flags: {} };
const until = async (condition: () => boolean): Promise<void> => {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
};
const isAsItWas = (t: ExecutionContext, { stdin, screen, stdout }: TestTerminal): void => {
  t.false(stdin.rawMode);
  t.true(screen.written.lastIndexOf('\u001B[?25h') > screen.written.lastIndexOf('\u001B[?25l'), 'the cursor is shown');
  t.false(screen.written.includes('\u001B[?1049h'), 'the alternate screen is left alone');
  t.is(stdout.written, '');
};

test('a login that succeeds leaves its summary on the screen and the terminal as it was', async (t) => {
  const terminal = testTerminal();
  const login = stagedLogIn();
  const done = runLoginScreen(terminal.runtime, options, login);
  await until(() => terminal.stdin.rawMode);
  login.begin('server');
  login.done('server', 'prod at http://tka');
  login.succeed();
  t.is(await done, aliceLoggedIn);
  t.regex(terminal.screen.written, /Logged in/);
  isAsItWas(t, terminal);
});

test('a login that is over before the screen has loaded is drawn all the same', async (t) => {
  const terminal = testTerminal();
  t.is(await runLoginScreen(terminal.runtime, options, { logIn: () => Promise.resolve(aliceLoggedIn) }), aliceLoggedIn);
  t.regex(terminal.screen.written, /Logged in/);
  isAsItWas(t, terminal);
});

test('what has been drawn as an error is marked, and keeps its exit code and cause', async (t) => {
  const terminal = testTerminal();
  const cause = new UserError('the policy grants you nothing', ['Ask your admin.'], 3);
  const error = await t.throwsAsync(runLoginScreen(terminal.runtime, options, { logIn: () => Promise.reject(cause) }), {
    instanceOf: Shown,
  });
  t.like(error, { exitCode: 3, cause });
  t.regex(terminal.screen.written, /the policy grants you nothing/);
  isAsItWas(t, terminal);
});

test('a fault of ours comes as it is', async (t) => {
  const terminal = testTerminal();
  const fault = new TypeError('x is not a function');
  t.is(await t.throwsAsync(runLoginScreen(terminal.runtime, options, { logIn: () => Promise.reject(fault) })), fault);
  isAsItWas(t, terminal);
});

test('Ctrl-C stops the login, and the terminal is as it was', async (t) => {
  const terminal = testTerminal();
  const login = stagedLogIn();
  const done = runLoginScreen(terminal.runtime, options, login);
  await until(() => terminal.stdin.rawMode);
  login.begin('sign-in');
  terminal.stdin.press('\u0003');
  const error = await t.throwsAsync(done, { instanceOf: Interrupted });
  t.is(error?.exitCode, 130);
  t.true(login.signal.aborted);
  t.regex(terminal.screen.written, /Log in .*stopped/);
  isAsItWas(t, terminal);
});

test('a theme that does not exist is said before anything begins', async (t) => {
  const { runtime, screen } = testTerminal();
  const error = await t.throwsAsync(
    runLoginScreen(runtime, { flags: { theme: 'solarised' } }, { logIn: () => Promise.reject(new Error('it began')) }),
  );
  t.like(error, { name: 'UserError', exitCode: 2 });
  t.is(screen.written, '');
});

test('without a terminal as input no question is asked, and the screen is still drawn', async (t) => {
  const terminal = testTerminal({ isTTY: false });
  const login = stagedLogIn();
  const done = runLoginScreen(terminal.runtime, options, login);
  await until(() => terminal.screen.written.includes('Find the server'));
  t.is(login.interaction, undefined);
  login.succeed();
  await done;
  t.regex(terminal.screen.written, /Logged in/);
});

test('on a dumb terminal each line is written once, in ASCII and without an escape', async (t) => {
  const { runtime, screen } = testTerminal({ env: { TERM: 'dumb' }, isTTY: false });
  const login = stagedLogIn();
  const done = runLoginScreen(runtime, options, login);
  await new Promise((resolve) => setImmediate(resolve));
  login.begin('server');
  login.done('server', 'prod at http://tka');
  login.warn('the clock is wrong');
  login.begin('sign-in');
  await until(() => screen.written.includes('warning'));
  t.is(screen.written, '+ Find the server (0 ms): prod at http://tka\nwarning: the clock is wrong\n');
  login.done('sign-in');
  login.succeed();
  await done;
  t.regex(screen.written, /\+ Log in \(0 ms\)\n\nLogged in\.\n {2}who {6}alice@example\.com\n/);
  t.regex(screen.written, /^[ -~\n]*$/);
});

test('a failure in plain lines is said once, with its remedy', async (t) => {
  const { runtime, screen } = testTerminal({ env: { TERM: 'dumb' }, isTTY: false });
  const login = stagedLogIn();
  const done = runLoginScreen(runtime, options, login);
  await new Promise((resolve) => setImmediate(resolve));
  login.begin('grant');
  login.fail(new UserError('the policy grants you nothing', ['Ask your admin.'], 3));
  await t.throwsAsync(done, { instanceOf: Shown });
  t.is(screen.written, 'x Check grants (0 ms): failed\n\nerror: the policy grants you nothing\n  Ask your admin.\n');
});
