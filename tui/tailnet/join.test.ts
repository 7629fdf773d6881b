import { chmodSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { Interrupted, UserError } from '../errors.ts';
import type { ExecFlags } from '../flags.ts';
import { joinTailnet } from './join.ts';
import type { Runtime } from '../runtime.ts';

const fakeEngine = fileURLToPath(new URL('../../node/tsnet/testing/fake-engine.ts', import.meta.url));

interface Machine {
  readonly runtime: Runtime;
  readonly stop: (reason: Error) => void;
  readonly said: () => string;
  readonly onSaid: (listener: () => void) => void;
  /** What lies in the machine's temporary directory. */
  readonly left: () => string[];
  readonly directory: string;
}

/** A fake machine, whose engine speaks the protocol and joins nothing. */
function machine(t: ExecutionContext, env: Record<string, string> = {}, fault = ''): Machine {
  const directory = mkdtempSync(join(tmpdir(), 'tka-test-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const engine = join(directory, 'engine');
  writeFileSync(engine, `#!/bin/sh\nexec '${process.execPath}' '${fakeEngine}' ${fault}\n`);
  chmodSync(engine, 0o700);
  const temporary = mkdtempSync(join(directory, 'tmp-'));
  const abort = new AbortController();
  let said = '';
  const listeners: (() => void)[] = [];
  const stderr = {
    write: (text: string) => {
      said += text;
      for (const listener of listeners) listener();
      return true;
    },
  };
  return {
    directory,
    runtime: {
      env: { HOME: directory, TMPDIR: temporary, TKA_ENGINE: engine, TS_AUTHKEY: 'tskey-secret', ...env },
      stdout: { write: () => t.fail('nothing belongs on stdout') },
      stderr,
      terminal: () => t.fail('no terminal is needed'),
      platform: 'linux',
      pid: process.pid,
      execPath: process.execPath,
      script: '/tka.js',
      now: () => new Date(),
      signal: abort.signal,
    },
    stop: (reason) => abort.abort(reason),
    said: () => said,
    onSaid: (listener) => void listeners.push(listener),
    left: () => readdirSync(temporary).filter((name) => name.startsWith('tka-join-')),
  };
}

const command = ['kubectl', 'version'];

/** `isOver`: whether so many milliseconds are; asked whenever the command has said something, and now. */
async function refused(
  t: ExecutionContext,
  machine: Machine,
  flags: Partial<ExecFlags> = {},
  isOver: (ms: number) => boolean = () => false,
): Promise<UserError> {
  const after = (ms: number): AbortSignal => {
    const over = new AbortController();
    const look = (): void => {
      if (isOver(ms)) over.abort();
    };
    machine.onSaid(look);
    look();
    return over.signal;
  };
  const joining = joinTailnet(machine.runtime, { command, ...flags }, { after });
  const error = await t.throwsAsync(joining, { instanceOf: UserError });
  t.deepEqual(machine.left(), []);
  t.false(`${error?.message} ${error?.advice.join(' ')} ${machine.said()}`.includes('tskey-secret'));
  t.true((error?.advice.length ?? 0) > 0, 'says what to do');
  return error ?? new UserError('none');
}

test.serial(
  'a joined process is on the tailnet through a proxy, without the key, until it is disposed of',
  async (t) => {
    const here = machine(t, {
      TS_AUTH_KEY: 'tskey-secret-too',
      http_proxy: 'http://corporate:3128',
      NO_PROXY: 'intra, .corp',
    });
    const joined = await joinTailnet(here.runtime, { command });
    const { env } = joined.runtime;
    const proxy = new URL(env['HTTP_PROXY'] ?? '');
    t.is(proxy.hostname, '127.0.0.1');
    t.true(proxy.password.length >= 32);
    for (const name of ['HTTPS_PROXY', 'http_proxy', 'https_proxy']) t.is(env[name], env['HTTP_PROXY']);
    t.is(env['NO_PROXY'], 'localhost,127.0.0.1,::1,intra,.corp');
    t.is(env['no_proxy'], env['NO_PROXY']);
    t.false('TS_AUTHKEY' in env || 'TS_AUTH_KEY' in env);
    t.is(env['HOME'], here.directory);
    t.is(env['TKA_SERVER'], 'http://tka');
    t.like({ ...joined.runtime }, { env, platform: 'linux', pid: process.pid });
    for (const [name, value] of Object.entries(joined.env)) t.is(env[name], value);
    t.is(here.left().length, 1);
    t.regex(
      here.said(),
      /^Joining the tailnet as tka-exec-[0-9a-f]{6} \.\.\.\nJoined as tka\.tail\.test in \d\.\d s\.\n$/,
    );
    t.false(here.said().includes(proxy.password));

    await joined[Symbol.asyncDispose]();
    await joined[Symbol.asyncDispose]();
    t.deepEqual(here.left(), []);
    t.regex(here.said(), /\nLeft the tailnet\.\n$/);
  },
);

test.serial('the local tailscaled is not asked: it may be on another tailnet', async (t) => {
  const here = machine(t, { TKA_TAILSCALE_SOCKET: '/run/tailscale/tailscaled.sock' });
  await using joined = await joinTailnet(here.runtime, { command, quiet: true });
  t.regex(joined.runtime.env['TKA_TAILSCALE_SOCKET'] ?? '', /tka-join-.*\/no-tailscaled$/);
  t.is(here.said(), '');
});

test.serial('a key in a file does as well', async (t) => {
  const here = machine(t, { TS_AUTHKEY: '' });
  const file = join(here.directory, 'key');
  writeFileSync(file, 'tskey-secret\n');
  await using joined = await joinTailnet(here.runtime, { command, authKeyFile: file, tags: ['ci', 'tag:deploy'] });
  t.false('TS_AUTHKEY' in joined.runtime.env);
});

test.serial('a server that is named by hand stays named as it was', async (t) => {
  const here = machine(t, { TKA_SERVER: 'laptop:8080' });
  await using joined = await joinTailnet(here.runtime, { command });
  t.is(joined.runtime.env['TKA_SERVER'], 'laptop:8080');
});

const mistakes: readonly [string, Record<string, string>, Partial<ExecFlags>, RegExp, RegExp][] = [
  ['no key', { TS_AUTHKEY: ' ' }, {}, /needs an auth key/, /TS_AUTHKEY.*--auth-key-file/],
  ['a key of two words', { TS_AUTHKEY: 'tskey secret' }, {}, /^TS_AUTHKEY does not hold an auth key/, /whole key/],
  ['an invalid host name', {}, { hostname: 'a_b' }, /--hostname "a_b"/, /letters, digits and hyphens/],
  ['an invalid tag', {}, { tags: ['tag:'] }, /--tags: "tag:"/, /tag:ci/],
  ['an invalid control server', {}, { controlUrl: 'headscale' }, /--control-url.*"headscale"/, /https:\/\//],
  ['the same by variable', { TS_CONTROL_URL: 'ftp://x' }, {}, /^TS_CONTROL_URL/, /https:\/\//],
  ['a cluster', {}, { cluster: 'prod' }, /--cluster/, /--server/],
  [
    'NO_PROXY for the server',
    { NO_PROXY: '.ts.net' },
    { server: 'tka.x.ts.net' },
    /NO_PROXY names tka\.x/,
    /Take it out/,
  ],
];
for (const [what, env, flags, message, advice] of mistakes) {
  test.serial(`before anything is joined: ${what}`, async (t) => {
    const error = await refused(t, machine(t, env), flags);
    t.is(error.exitCode, 2);
    t.regex(error.message, message);
    t.regex(error.advice.join(' '), advice);
  });
}

test.serial('a key file that is not there', async (t) => {
  const error = await refused(t, machine(t), { authKeyFile: '/nowhere/key' });
  t.is(error.exitCode, 1);
  t.is(error.message, 'cannot read the auth key in /nowhere/key: ENOENT');
});

test.serial('a refused key: denied, and how to get another', async (t) => {
  const error = await refused(t, machine(t, {}, 'refused'));
  t.is(error.exitCode, 3);
  t.is(error.message, 'the auth key was refused by X');
  t.regex(error.advice.join(' '), /Make a new auth key/);
});

test.serial('a rejected key: it does not wait for a person to open a page', async (t) => {
  const error = await refused(t, machine(t, {}, 'login'));
  t.is(error.exitCode, 3);
  t.regex(error.message, /rejected the auth key/);
  t.regex(error.advice.join(' '), /pre-approved/);
});

test.serial('a node that waits for approval says so, and is denied when the time is over', async (t) => {
  const here = machine(t, {}, 'approval');
  const error = await refused(t, here, { timeoutMs: 5000 }, () => here.said().includes('Waiting'));
  t.is(error.exitCode, 3);
  t.regex(error.message, /^tka-exec-\w{6} was not on the tailnet within 5 s: an administrator must approve/);
  t.regex(here.said(), /^Waiting: an administrator must approve$/m);
});

test.serial('an engine that never joins: unreachable when the time is over', async (t) => {
  const error = await refused(
    t,
    machine(t, {}, 'mute'),
    { timeoutMs: 300, controlUrl: 'https://control.test' },
    () => true,
  );
  t.is(error.exitCode, 4);
  t.regex(error.advice.join(' '), /reach https:\/\/control\.test.*--timeout/);
});

test.serial('an engine that cannot start', async (t) => {
  const error = await refused(t, machine(t, {}, 'no-start'));
  t.is(error.exitCode, 1);
  t.regex(error.message, /the state directory is read-only/);
});

test.serial('no engine', async (t) => {
  const error = await refused(t, machine(t, { TKA_ENGINE: '/nowhere/tka-engine' }));
  t.is(error.exitCode, 1);
  t.regex(error.message, /TKA_ENGINE is \/nowhere\/tka-engine: no executable file/);
});

test.serial('a server that is no machine of the tailnet', async (t) => {
  const error = await refused(t, machine(t), { server: 'nobody', tags: ['ci'] }, (ms) => ms === 5000);
  t.is(error.exitCode, 4);
  t.is(error.message, 'no machine of the joined tailnet has the name nobody');
  t.regex(error.advice.join(' '), /--server.*tag:ci/s);
});

test.serial('a server that arrives a moment after the node', async (t) => {
  const here = machine(t, {}, 'late-peer');
  await using joined = await joinTailnet(here.runtime, { command });
  t.is(joined.runtime.env['TKA_SERVER'], 'http://tka');
  t.regex(here.said(), /Joined as/);
});

for (const [what, fault] of [
  ["a person's machine", 'untagged'],
  ["another job's runner", 'other-tag'],
] as const) {
  test.serial(`the default name is not trusted for ${what}, an explicit one is`, async (t) => {
    const error = await refused(t, machine(t, {}, fault));
    t.is(error.exitCode, 3);
    t.regex(error.advice.join(' '), /--server http:\/\/tka/);
    const here = machine(t, {}, fault);
    await using joined = await joinTailnet(here.runtime, { command, server: 'tka' });
    t.false('TKA_SERVER' in joined.env);
  });
}

test.serial('an interruption while it joins leaves nothing, and is told as one', async (t) => {
  const here = machine(t, {}, 'mute');
  const joining = joinTailnet(here.runtime, { command });
  while (here.left().length === 0) await new Promise((resolve) => setImmediate(resolve));
  here.stop(new Interrupted('SIGTERM'));
  await t.throwsAsync(joining, { instanceOf: Interrupted });
  t.deepEqual(here.left(), []);
});
