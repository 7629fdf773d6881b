import test from 'ava';
import type { ExecutionContext } from 'ava';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError, loadConfig } from '../config/index.ts';
import { joining } from './join.ts';
import { listeningLog } from '../testing/secret.ts';

const tags = { TS_TAGS: 'tag:tka' };

function fileOf(t: ExecutionContext, content: string): string {
  const directory = mkdtempSync(join(tmpdir(), 'tka-join-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const path = join(directory, 'content');
  writeFileSync(path, content);
  return path;
}

const by = (env: Readonly<Record<string, string>>, log = listeningLog().log) => joining(loadConfig({ env }), log);

const asked: readonly (readonly [string, Readonly<Record<string, string>>, object])[] = [
  ['nothing, so that a person approves', {}, {}],
  ['an auth key', { TS_AUTHKEY: ' tskey-auth-1\n' }, { authKey: 'tskey-auth-1' }],
  [
    'a client secret, for a machine that stays and needs no approval',
    { TS_CLIENT_SECRET: 'tskey-client-1', ...tags },
    { clientSecret: 'tskey-client-1?ephemeral=false&preauthorized=true' },
  ],
  [
    'a client secret with wishes of its own',
    { TS_CLIENT_SECRET: 'tskey-client-1?preauthorized=false&baseURL=http://127.0.0.1:1', ...tags },
    { clientSecret: 'tskey-client-1?preauthorized=false&baseURL=http%3A%2F%2F127.0.0.1%3A1&ephemeral=false' },
  ],
  [
    'a client secret, for a machine that leaves',
    { TS_CLIENT_SECRET: 'tskey-client-1', TKA_TAILSCALE_EPHEMERAL: 'true', ...tags },
    { clientSecret: 'tskey-client-1?ephemeral=true&preauthorized=true' },
  ],
];
for (const [title, env, credential] of asked) {
  test(`joins by ${title}`, async (t) => {
    t.deepEqual(await by(env)(), credential);
  });
}

test('a workload identity is the client ID and the token in the file', async (t) => {
  const join = by({ TS_CLIENT_ID: 'k1', TKA_TAILSCALE_ID_TOKEN_FILE: fileOf(t, 'a.b.c\n'), ...tags });
  t.deepEqual(await join(), { clientId: 'k1?ephemeral=false&preauthorized=true', idToken: 'a.b.c' });
});

test('a file is read again each time, and its last content serves while it cannot be read', async (t) => {
  const path = fileOf(t, 'tskey-auth-1');
  const { log, lines } = listeningLog();
  const join = by({ TKA_TAILSCALE_AUTH_KEY_FILE: path }, log);
  t.deepEqual(await join(), { authKey: 'tskey-auth-1' });
  writeFileSync(path, 'tskey-auth-2');
  t.deepEqual(await join(), { authKey: 'tskey-auth-2' });
  rmSync(path);
  t.deepEqual(await join(), { authKey: 'tskey-auth-2' });
  t.is(lines.length, 1);
  t.false(lines.some((line) => line.includes('tskey-')));
});

const refused: readonly (readonly [string, Readonly<Record<string, string>>, RegExp])[] = [
  [
    'two ways at once',
    { TS_AUTHKEY: 'tskey-auth-1', TS_CLIENT_SECRET: 'tskey-client-1', ...tags },
    /^tailscale\.authKey \(environment TS_AUTHKEY\) and tailscale\.clientSecret \(environment TS_CLIENT_SECRET\) are two ways to join the tailnet: remove all but one/,
  ],
  [
    'a key and its file',
    { TS_AUTHKEY: 'tskey-auth-1', TKA_TAILSCALE_AUTH_KEY_FILE: '/key' },
    /authKey .* and tailscale\.authKeyFile/,
  ],
  ['a client secret without tags', { TS_CLIENT_SECRET: 'tskey-client-1' }, /clientSecret .*needs tailscale\.tags/],
  [
    'a client ID without tags',
    { TS_CLIENT_ID: 'k1', TKA_TAILSCALE_ID_TOKEN_FILE: '/token' },
    /clientId .*needs tailscale\.tags/,
  ],
  ['a client ID without a token', { TS_CLIENT_ID: 'k1', ...tags }, /clientId .*needs tailscale\.idTokenFile/],
  [
    'a token without a client ID',
    { TKA_TAILSCALE_ID_TOKEN_FILE: '/token', ...tags },
    /idTokenFile .*needs tailscale\.clientId/,
  ],
  [
    'a token beside a key',
    { TKA_TAILSCALE_ID_TOKEN_FILE: '/token', TS_AUTHKEY: 'tskey-auth-1' },
    /idTokenFile .*needs tailscale\.clientId, and no other way/,
  ],
];
for (const [title, env, message] of refused) {
  test(`${title}: a mistake of the configuration, with its remedy and without the secret`, (t) => {
    const error = t.throws(() => by(env), { instanceOf: ConfigError, message });
    t.notRegex(error.message, /tskey-\w+-1/);
  });
}

const unusable: typeof refused = [
  [
    'a client secret in place of a key',
    { TS_AUTHKEY: 'tskey-client-1' },
    /authKey \(environment TS_AUTHKEY\) holds the secret of an OAuth client, not an auth key: set tailscale\.clientSecret/,
  ],
  [
    'a key in place of a client secret',
    { TS_CLIENT_SECRET: 'tskey-auth-1', ...tags },
    /clientSecret \(.*\) holds no secret of an OAuth client, which begins with tskey-client-/,
  ],
  [
    'a file that is not there',
    { TKA_TAILSCALE_CLIENT_SECRET_FILE: '/nowhere/secret', ...tags },
    /clientSecretFile \(.*\): cannot read \/nowhere\/secret \(ENOENT\)/,
  ],
];
for (const [title, env, message] of unusable) {
  test(`${title}: the start continues, and joining fails with the remedy and without the secret`, async (t) => {
    const join = by(env);
    const error = await t.throwsAsync(join(), { instanceOf: ConfigError, message });
    t.notRegex(error.message, /tskey-\w+-1/);
  });
}

test('a credential that appears later is taken', async (t) => {
  const path = fileOf(t, '');
  rmSync(path);
  const join = by({ TKA_TAILSCALE_AUTH_KEY_FILE: path });
  await t.throwsAsync(join(), { instanceOf: ConfigError });
  writeFileSync(path, 'tskey-auth-1');
  t.deepEqual(await join(), { authKey: 'tskey-auth-1' });
});
