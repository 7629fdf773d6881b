import { execFile } from 'node:child_process';
import { chmodSync, cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { buildCli, type Ran } from '../testing/cli.ts';
import { homeDirectory } from './directories.ts';
import { makeDirectories } from './make-directory.ts';

/** It mounts a file system, or becomes another user. */
const [asRoot, why] = process.getuid?.() === 0 ? [test, ''] : [test.skip, ': needs root'];

const directory = mkdtempSync(join(tmpdir(), 'tka-test-'));
let script: string;
test.before(async () => {
  script = await buildCli(directory);
  // For a user that owns nothing here.
  chmodSync(directory, 0o755);
  cpSync(process.execPath, join(directory, 'node'));
});
test.after.always(() => rmSync(directory, { recursive: true, force: true }));

/** As a user without a passwd entry, where the test may become one. */
function run(args: readonly string[], env: NodeJS.ProcessEnv): Promise<Ran> {
  const user = process.getuid?.() === 0 ? { uid: 54_321, gid: 54_321 } : {};
  const options = { cwd: '/', env: { PATH: '/usr/bin:/bin', ...env }, timeout: 20_000, ...user };
  return new Promise((resolve) => {
    execFile(join(directory, 'node'), [script, ...args], options, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : null;
      resolve({ code, stdout, stderr });
    });
  });
}

test('a relative or empty HOME is not taken for a home directory', (t) => {
  t.is(homeDirectory({ HOME: '/home/a' }), '/home/a');
  for (const HOME of ['', 'relative', undefined]) t.true(homeDirectory({ HOME }).startsWith('/'));
});

test('a directory under /proc is refused by the system, not tried for ever', (t) => {
  t.throws(() => makeDirectories('/proc/tka/compiled'), { code: 'ENOENT' });
});

asRoot(
  `without HOME and a passwd entry, help and version work, and a command names HOME and --kubeconfig${why}`,
  async (t) => {
    for (const args of [
      ['--help'],
      ['login', '--help'],
      ['version', '--client'],
      ['--version'],
      ['completion', 'bash'],
    ]) {
      const { code, stdout, stderr } = await run(args, {});
      t.is(code, 0, stderr);
      t.is(stderr, '');
      t.not(stdout, '');
    }
    const login = await run(['login', '--server', 'http://127.0.0.1:1'], {});
    t.is(login.code, 1);
    t.regex(login.stderr, /^error: the home directory is unknown: HOME is not set/);
    t.regex(login.stderr, /--kubeconfig/);
    t.notRegex(login.stderr, /bug|at .*\.mjs/);
    const named = await run(['status', '--server', 'http://127.0.0.1:1', '--kubeconfig', '/tmp/none'], {});
    t.is(named.code, 4, named.stderr);
  },
);

for (const HOME of ['/proc', '/dev/null', '/nonexistent']) {
  test(`with HOME=${HOME} a login ends with an error that names the kubeconfig`, async (t) => {
    const { code, stderr } = await run(['login', '--server', 'http://127.0.0.1:1'], { HOME });
    t.is(code, 1, stderr);
    t.regex(stderr, /kubeconfig .*\.kube\/config cannot be written/);
  });
}
