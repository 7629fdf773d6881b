/**
 * What a terminal does to the screens, with the real command in a real one: a paste, Ctrl-Z, no TERM, a locale without UTF-8. The
 * server is a stub: nothing here depends on a cluster.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { startStubServer } from '../tui/testing/stub-server.ts';
import { hasTerminals, Terminal } from './terminal.ts';

const bundle = fileURLToPath(new URL('../dist/tka.js', import.meta.url));

interface Options {
  /** Of `tka`; default: none. */
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly columns?: number;
  /** The command is run by this shell, interactively. */
  readonly shell?: string;
}

async function open(
  t: ExecutionContext,
  { args = [], env = {}, columns = 80, shell }: Options = {},
): Promise<Terminal> {
  const stub = await startStubServer();
  t.teardown(() => stub.close());
  const home = mkdtempSync(join(tmpdir(), 'tka-terminals-'));
  t.teardown(() => rmSync(home, { recursive: true, force: true }));
  const terminal = await Terminal.open({
    ...(shell === undefined
      ? { command: process.execPath, args: [bundle, ...args] }
      : { command: shell, args: ['--norc', '-i'] }),
    env: {
      HOME: home,
      PATH: process.env['PATH'] ?? '',
      LANG: 'C.UTF-8',
      PS1: 'prompt> ',
      TKA_SERVER: stub.url,
      ...env,
    },
    columns,
  });
  t.teardown(() => terminal.close());
  return terminal;
}

if (hasTerminals()) {
  test('a paste on the home screen is no key', async (t) => {
    const terminal = await open(t);
    await terminal.waitFor(/❯ prod +view 8h/);
    await terminal.paste('qo\n');
    await terminal.type('?');
    await terminal.waitFor(/Any key goes back/);
    await terminal.type('x');
    await terminal.waitFor(/❯ prod/);
    await terminal.type('/');
    await terminal.waitFor(/enter apply/);
    await terminal.paste('qo\n');
    t.regex(await terminal.waitFor(/\/qo /), /1 session/);
  });

  for (const [what, args, sight, back] of [
    ['the home screen', '', /❯ prod +view 8h/, /❯ prod +view 8h/],
    ['status --watch', 'status --watch', /alice-0123456789 +view/, / icanon\n[^]*alice-0123456789 +view/],
  ] as const) {
    test(`Ctrl-Z in ${what} gives the terminal back, and fg draws it again`, async (t) => {
      const terminal = await open(t, { shell: 'bash' });
      await terminal.waitFor(/prompt>/);
      await terminal.type(`${process.execPath} ${bundle} ${args}\n`);
      await terminal.waitFor(sight);
      await terminal.press('C-z');
      await terminal.waitFor(/Stopped[^]*prompt> *$/);
      t.deepEqual(await terminal.modes(), { cursor: true, alternateScreen: false });
      await terminal.type('stty -a | grep -o " -\\?icanon"; fg\n');
      await terminal.waitFor(back);
      t.false((await terminal.modes()).cursor);
      await terminal.press('C-c');
      await terminal.waitFor(/prompt> *$/);
      const after = await terminal.scrollback();
      t.regex(after, /^ icanon$/m);
    });
  }

  for (const TERM of ['', 'dumb']) {
    test(`with TERM=${TERM || 'nothing'} the home screen is refused, and login writes lines of ASCII`, async (t) => {
      const home = await open(t, { env: { TERM } });
      t.is(await home.exitCode(), 2);
      const login = await open(t, { args: ['login'], env: { TERM } });
      t.is(await login.exitCode(), 0);
      t.regex(await login.screen(), /Logged in/);
      t.notRegex(await login.screenWithColours(), /[^\x20-\x7e\n]/);
    });
  }

  test('without UTF-8 nothing beyond ASCII is drawn', async (t) => {
    const terminal = await open(t, { env: { LC_ALL: 'C' } });
    t.notRegex(await terminal.waitFor(/> prod +view 8h/), /[^\x20-\x7e\n]/);
    await terminal.type('?');
    t.notRegex(await terminal.waitFor(/Any key goes back/), /[^\x20-\x7e\n]/);
  });

  test('Ctrl-C on the home screen ends with 130', async (t) => {
    const terminal = await open(t);
    await terminal.waitFor(/❯ prod +view 8h/);
    await terminal.press('C-c');
    t.is(await terminal.exitCode(), 130);
  });

  test('a screen reader hears sentences', async (t) => {
    const terminal = await open(t, { env: { TKA_SCREEN_READER: '1' } });
    await terminal.waitFor(/Cluster prod, .* You may use view 8h/);
    t.false((await terminal.modes()).alternateScreen);
  });
} else {
  test.skip('terminals: no tmux', (t) => t.pass());
}
