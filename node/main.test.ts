import test from 'ava';
import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** It mounts a file system, or becomes another user. */
const [asRoot, why] = process.getuid?.() === 0 ? [test, ''] : [test.skip, ': needs root'];

const main = fileURLToPath(new URL('main.ts', import.meta.url));

interface Run {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `tka-server` with nothing of this machine's environment but PATH. `onLine` sees each line of standard output. */
function run(
  args: readonly string[],
  env: Record<string, string> = {},
  onLine: (line: string, kill: (signal: NodeJS.Signals) => void) => void = () => {},
): Promise<Run> {
  const child = spawn(process.execPath, [main, ...args], {
    env: { PATH: process.env['PATH'] ?? '', HOME: '/nonexistent', ...env },
  });
  const output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output.stdout += text;
    for (const line of text.split('\n')) if (line !== '') onLine(line, (signal) => child.kill(signal));
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output.stderr += text));
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, ...output })));
}

async function directory(t: { teardown(fn: () => Promise<void>): void }): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'tka-main-'));
  t.teardown(() => rm(path, { recursive: true }));
  return path;
}

async function kubeconfig(t: { teardown(fn: () => Promise<void>): void }, server: string): Promise<string> {
  const file = join(await directory(t), 'kubeconfig');
  const named = {
    clusters: [{ name: 'c', cluster: { server, 'insecure-skip-tls-verify': true } }],
    users: [{ name: 'u', user: { token: 'secret-token' } }],
  };
  await writeFile(
    file,
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      ...named,
      contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
      'current-context': 'x',
    }),
  );
  return file;
}

/** An unused port: opened for a moment, and closed. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

test('version prints the version', async (t) => {
  const { code, stdout } = await run(['version']);
  t.is(code, 0);
  t.regex(stdout, /^tka-server \S+\n$/);
});

for (const args of [['version'], ['--help'], ['serve', '--help'], ['config'], ['config', '-o', 'json'], ['serve']]) {
  test(`tka-server ${args.join(' ')}, stdout full: the last line on stderr says so, exit code 1`, async (t) => {
    const child = spawn('/bin/sh', ['-c', 'exec "$@" >/dev/full', 'sh', process.execPath, main, ...args], {
      env: { PATH: process.env['PATH'] ?? '', HOME: '/nonexistent' },
    });
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    const code = await new Promise((resolve) => child.once('close', resolve));
    t.is(code, 1);
    const lines = stderr
      .trimEnd()
      .split('\n')
      .filter((line) => !line.startsWith('warning: '));
    t.deepEqual(lines, ['tka-server: cannot write to standard output (ENOSPC)']);
  });
}

test('config prints every value with its source, and no secret', async (t) => {
  const { code, stdout } = await run(['config', '--health-port', '9090'], {
    TS_AUTHKEY: 'tskey-secret',
    TS_HOSTNAME: 'gate',
  });
  t.is(code, 0);
  t.regex(stdout, /^tailscale\.hostname +"gate" +environment TS_HOSTNAME$/m);
  t.regex(stdout, /^health\.port +9090 +flag --health-port$/m);
  t.regex(stdout, /^health\.address +"127\.0\.0\.1" +default$/m);
  t.notRegex(stdout, /tskey/);
});

for (const command of ['config', 'serve']) {
  test(`${command} refuses settings that do not fit together, all at once, with exit code 2`, async (t) => {
    const { code, stdout, stderr } = await run([command, '--tailscale-state-secret', 'tka-0-state'], {
      TS_AUTHKEY: 'tskey-auth-1',
      TS_CLIENT_SECRET: 'tskey-client-1',
    });
    t.is(code, 2);
    t.is(stdout, '');
    t.regex(
      stderr,
      /^tka-server: the configuration has 3 problems:\n {2}- tailscale\.authKey .*\n {2}- tailscale\.clientSecret .*\n {2}- tailscale\.stateSecret .*\n$/,
    );
    t.notRegex(stderr, /tskey/);
  });
}

test('a reader that closes standard output early ends config without a word', async (t) => {
  const child = spawn(process.execPath, [main, 'config'], {
    env: { PATH: process.env['PATH'] ?? '', HOME: '/nonexistent' },
  });
  // Closed before the process has begun to write.
  child.stdout.destroy();
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  t.is(await new Promise((resolve) => child.once('close', resolve)), 0);
  t.notRegex(stderr, /EPIPE|^\s+at /m);
});

test('standard output on a full disk is one line and exit code 1', async (t) => {
  const full = openSync('/dev/full', 'w');
  t.teardown(() => closeSync(full));
  const child = spawn(process.execPath, [main, 'config', '--roles-cluster-wide', 'view'], {
    env: { PATH: process.env['PATH'] ?? '', HOME: '/nonexistent' },
    stdio: ['ignore', full, 'pipe'],
  });
  let stderr = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  t.is(await new Promise((resolve) => child.once('close', resolve)), 1);
  t.is(stderr, 'tka-server: cannot write to standard output (ENOSPC)\n');
});

test('rotate-key puts another key in the place of the one before, and prints none', async (t) => {
  const dir = join(await directory(t), 'state');
  const keys = [];
  for (let i = 0; i < 2; i += 1) {
    const { code, stdout } = await run(['rotate-key', '--tailscale-state-dir', dir]);
    t.is(code, 0);
    t.regex(stdout, /server-key is another key now/);
    const file = join(dir, 'server-key');
    const key = (await readFile(file, 'utf8')).trim();
    t.regex(key, /^[0-9a-f]{64}$/);
    t.false(stdout.includes(key));
    t.is((await stat(file)).mode & 0o777, 0o600);
    keys.push(key);
  }
  t.not(keys[0], keys[1]);
});

test('rotate-key where nothing can be written is one sentence with path and remedy, exit code 1', async (t) => {
  const file = join(await directory(t), 'file');
  await writeFile(file, '');
  const { code, stderr } = await run(['rotate-key', '--tailscale-state-dir', join(file, 'state')]);
  t.is(code, 1);
  t.is(
    stderr,
    `tka-server: cannot write ${file}/state/server-key: a file is in the place of a directory; free space or make it writable, or set another path with --tailscale-state-dir, TKA_TAILSCALE_STATE_DIR or tailscale.stateDir in the file\n`,
  );
});

asRoot(
  `a state directory on a full disk is one sentence with path and remedy, and leaves no file behind${why}`,
  async (t) => {
    const state = await directory(t);
    const script =
      'mount -t tmpfs -o size=64k none "$1" && { head -c 1M /dev/zero >"$1/rest" 2>/dev/null; "$2" "$3" rotate-key -d "$1"; echo $?; ls "$1"; }';
    const child = spawn('unshare', ['--mount', 'sh', '-c', script, 'sh', state, process.execPath, main]);
    const output = { stdout: '', stderr: '' };
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output.stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (output.stderr += text));
    await new Promise((resolve) => child.once('close', resolve));
    t.is(output.stdout, '1\nrest\n');
    t.true(
      output.stderr.startsWith(`tka-server: cannot write ${state}/server-key: no space left on its file system; `),
      output.stderr,
    );
  },
);

test('config warns of roles that amount to cluster-admin', async (t) => {
  const { stderr } = await run(['config']);
  t.regex(stderr, /tka may bind edit, admin, cluster-admin in the whole cluster/);
});

const usage: readonly [title: string, args: readonly string[], env: Record<string, string>, says: RegExp][] = [
  ['an unknown flag', ['serve', '--nope'], {}, /unknown option '--nope'/],
  ['an unknown flag without a subcommand', ['--nope'], {}, /unknown option '--nope'/],
  ['a stray argument', ['version', 'x'], {}, /too many arguments/],
  ['a bad value', ['serve'], { TKA_HEALTH_PORT: 'x' }, /health\.port \(environment TKA_HEALTH_PORT\)/],
  [
    'a file that is not there',
    ['serve', '-c', '/nonexistent/tka.yaml'],
    {},
    /cannot read the configuration file \/nonexistent\/tka\.yaml \(ENOENT\)/,
  ],
];

for (const [title, args, env, says] of usage) {
  test(`${title} is exit code 2 with one sentence`, async (t) => {
    const { code, stderr } = await run(args, env);
    t.is(code, 2);
    t.regex(stderr, says);
    t.notRegex(stderr, /^\s+at /m);
  });
}

test('a key that is wrong in the file is named', async (t) => {
  const file = join(await directory(t), 'config.yaml');
  await writeFile(file, 'tailscale:\n  hostnam: x\n');
  const { code, stderr } = await run(['serve'], { TKA_CONFIG: file });
  t.is(code, 2);
  t.is(stderr, `tka-server: ${file}: unknown key tailscale.hostnam; did you mean tailscale.hostname?\n`);
});

test('a health port that is taken ends the server with a sentence', async (t) => {
  const taken = createServer();
  t.teardown(() => void taken.close());
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
  const { port } = taken.address() as AddressInfo;
  const { code, stdout } = await run(['serve', '--health-port', String(port)]);
  t.is(code, 1);
  t.regex(
    stdout,
    new RegExp(`cannot listen on 127\\.0\\.0\\.1:${port}: another program has it; choose another health\\.port`),
  );
  t.notRegex(stdout, /"stack"/);
});

test('no kubeconfig at all ends the server with the keys to set', async (t) => {
  const { code, stdout } = await run(['serve', '--health-port', String(await freePort())]);
  t.is(code, 1);
  t.regex(stdout, /"level":"fatal".*kubernetes\.kubeconfig/);
});

test('an API server that is away is waited for, visibly and unready, until the server is stopped', async (t) => {
  const file = await kubeconfig(t, `https://127.0.0.1:${await freePort()}`);
  const health = await freePort();
  let ready: Promise<Response> | undefined;
  const { code, stdout } = await run(
    ['serve', '--kubernetes-kubeconfig', file, '--health-port', String(health)],
    {},
    (line, kill) => {
      if (!line.includes('asking again') || ready !== undefined) return;
      ready = fetch(`http://127.0.0.1:${health}/readyz`);
      void ready.then(() => kill('SIGTERM'));
    },
  );
  t.is(code, 0);
  const answer = await ready;
  t.is(answer?.status, 503);
  t.regex((await answer?.text()) ?? '', /the API server https:\/\/127\.0\.0\.1:\d+ is away/);
  t.regex(stdout, /"msg":"stopped"/);
  t.notRegex(stdout, /secret-token/);
});
