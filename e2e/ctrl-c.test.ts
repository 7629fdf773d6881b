/**
 * Ctrl-C at each stage of `tka login` in a real terminal: the server stops answering at that stage, or the person is asked, or
 * the kubeconfig is locked. The terminal is as it was, nothing has been written, and shells hear that it was Ctrl-C.
 */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { sendJson, startStubServer, type StubServer } from '../tui/testing/stub-server.ts';
import { hasTerminals, Terminal } from './terminal.ts';

const bundle = fileURLToPath(new URL('../dist/tka.js', import.meta.url));
const view = { role: 'view', period: '8h', priority: 1 };

interface Ground {
  readonly stub: StubServer;
  readonly home: string;
}

interface Case {
  readonly stage: string;
  /** Default: the stage. */
  readonly title?: string;
  readonly arrange?: (ground: Ground) => void;
  /** Default: a spinner before the stage. */
  readonly sight?: RegExp;
}

const never = (): void => undefined;
const rules = (stub: StubServer, granted: readonly object[]): void => {
  const whoami = { subject: 'x|user:1', username: 'alice@example.com', node: 'laptop', tags: [], dropped: [] };
  stub.answer('GET /api/v1alpha1/whoami', (_, response) => sendJson(response, 200, { ...whoami, rules: granted }));
};

const cases: readonly Case[] = [
  { stage: 'Find the server', arrange: ({ stub }) => stub.answer('GET /.well-known/tka', never) },
  { stage: 'Identify', arrange: ({ stub }) => stub.answer('GET /api/v1alpha1/whoami', never) },
  {
    stage: 'Check grants',
    arrange: ({ stub }) => rules(stub, [view, { ...view, role: 'edit' }]),
    sight: /Which role\?[^]*select/,
  },
  { stage: 'Log in', arrange: ({ stub }) => stub.answer('POST /api/v1alpha1/login', never) },
  {
    stage: 'Provision access',
    arrange({ stub }) {
      const pending = {
        username: 'alice@example.com',
        role: 'view',
        until: '2099-01-01T00:00:00Z',
        session: 'a-0123456789',
      };
      for (const call of ['POST /api/v1alpha1/login', 'GET /api/v1alpha1/login']) {
        stub.answer(call, (_, response) => sendJson(response, 202, pending, { 'retry-after': '1' }));
      }
    },
  },
  { stage: 'Verify access', arrange: ({ stub }) => stub.answer('GET /api/v1alpha1/kubeconfig', never) },
  {
    // It is checked that the kubeconfig can be written before a session is opened.
    stage: 'Find the server',
    title: 'Find the server, the kubeconfig locked',
    sight: /waiting for the lock/,
    arrange({ home }) {
      mkdirSync(join(home, '.kube'));
      writeFileSync(join(home, '.kube', 'config.lock'), '');
    },
  },
];

const [inTerminal, why] = hasTerminals() ? [test, ''] : [test.skip, ': no tmux'];

for (const { stage, title = stage, arrange, sight } of cases) {
  inTerminal(`in "${title}"${why}`, async (t) => {
    const stub = await startStubServer();
    t.teardown(() => stub.close());
    const home = mkdtempSync(join(tmpdir(), 'tka-ctrl-c-'));
    t.teardown(() => rmSync(home, { recursive: true, force: true }));
    rules(stub, [view]);
    arrange?.({ stub, home });

    await using terminal = await Terminal.open({
      command: process.execPath,
      args: [bundle, 'login'],
      env: { HOME: home, PATH: process.env['PATH'] ?? '', LANG: 'C.UTF-8', TKA_SERVER: stub.url },
    });
    await terminal.waitFor(sight ?? new RegExp(`[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏] ${stage}`));
    t.false((await terminal.modes()).cursor, 'the cursor is hidden while something moves');
    await terminal.press('C-c');

    t.is(await terminal.exitCode(), 130);
    const last = await terminal.screen();
    t.regex(last, new RegExp(`✗ ${stage} .*stopped$`, 'm'));
    t.notRegex(last, /error|\n\s+at /);
    t.deepEqual(await terminal.modes(), { cursor: true, alternateScreen: false });
    t.regex(await terminal.settings(), /(?<!-)\bicanon\b[^]*(?<!-)\becho\b/);
    t.false(existsSync(join(home, '.kube', 'config')), 'no kubeconfig');
    t.deepEqual(credentials(home), []);
  });
}

/** What the cache has; bytecode that Node keeps is no credential. */
function credentials(home: string): readonly string[] {
  const cache = join(home, '.cache', 'tka');
  if (!existsSync(cache)) return [];
  const files = readdirSync(cache, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return files.map(({ parentPath, name }) => join(parentPath, name)).filter((path) => !path.includes('/compiled/'));
}
