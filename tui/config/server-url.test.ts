import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { namedServer, parseServer } from './server-url.ts';
import { UserError } from '../errors.ts';
import { readSettings } from './settings.ts';

function environment(t: ExecutionContext, file?: string): Record<string, string> {
  const home = mkdtempSync(join(tmpdir(), 'tka-test-'));
  t.teardown(() => rmSync(home, { recursive: true, force: true }));
  if (file !== undefined) {
    mkdirSync(join(home, '.config', 'tka'), { recursive: true });
    writeFileSync(join(home, '.config', 'tka', 'config.yaml'), file);
  }
  return { HOME: home };
}

const servers: readonly [string, string][] = [
  ['tka', 'http://tka'],
  [' TKA ', 'http://tka'],
  ['tka:8080', 'http://tka:8080'],
  ['tka:443', 'https://tka'],
  ['tka.example.ts.net', 'http://tka.example.ts.net'],
  ['https://tka.example.ts.net/', 'https://tka.example.ts.net'],
  ['http://tka:80', 'http://tka'],
  ['100.64.0.1', 'http://100.64.0.1'],
  ['[fd7a::1]:8080', 'http://[fd7a::1]:8080'],
];
for (const [text, expected] of servers) {
  test(`the server ${JSON.stringify(text)} is ${expected}`, (t) => {
    t.is(parseServer(text, 'x'), expected);
  });
}

for (const text of [
  '',
  'ftp://tka',
  'http://',
  'http://u:p@tka',
  'http://tka/path',
  'tka?x',
  'http://tka#x',
  'a b',
  'file:///x',
]) {
  test(`${JSON.stringify(text)} is no server, which is a mistake of use`, (t) => {
    t.is(t.throws(() => parseServer(text, '--server'), { instanceOf: UserError })?.exitCode, 2);
  });
}

const files: readonly [string, string, string | undefined][] = [
  ['server', 'server: https://tka.example.ts.net', 'https://tka.example.ts.net'],
  ['a host name', 'tailscale: {hostname: auth}', 'http://auth'],
  ['a host name that is a URL', 'tailscale: {hostname: "http://auth"}', 'http://auth'],
  ['host, tailnet and port 443', 'tailscale: {hostname: auth, tailnet: x.ts.net, port: 443}', 'https://auth.x.ts.net'],
  ['a tailnet with a dot in front', 'tailscale: {tailnet: .x.ts.net, port: 8080}', 'http://tka.x.ts.net:8080'],
  ['a port beside it', 'server: auth\nport: 8080', 'http://auth:8080'],
  ['a port in it and beside it', 'server: auth:1\nport: 8080', 'http://auth:1'],
  ['other keys alone', 'output: {theme: dark}\ntailscale: {port: 443}', undefined],
  ['nothing', '', undefined],
];
for (const [what, file, expected] of files) {
  test(`a configuration file with ${what}`, async (t) => {
    t.is(await namedServer({ env: environment(t, file) }, {}), expected);
  });
}

test('--server goes before TKA_SERVER, that before the file', async (t) => {
  const env = environment(t, 'server: file');
  const named = { ...env, TKA_SERVER: 'variable' };
  t.is(await namedServer({ env: named }, { server: 'flag' }), 'http://flag');
  t.is(await namedServer({ env: named }, {}), 'http://variable');
  t.is(await namedServer({ env: { ...env, TKA_SERVER: '' } }, {}), 'http://file');
  t.is(await namedServer({ env: environment(t) }, {}), undefined);
});

test('--config names the only file that is read, and it must be there', async (t) => {
  const env = environment(t, 'server: usual');
  const config = join(env['HOME'] ?? '', 'mine.yaml');
  t.is((await t.throwsAsync(namedServer({ env }, { config }), { instanceOf: UserError }))?.exitCode, 2);
  writeFileSync(config, 'server: mine');
  t.is(await namedServer({ env }, { config }), 'http://mine');
  writeFileSync(config, '');
  t.is(await namedServer({ env }, { config }), undefined);
});

const ports: readonly [string, number, string | undefined][] = [
  ['tka', 8080, 'http://tka:8080'],
  ['tka', 443, 'https://tka'],
  ['https://tka', 8443, 'https://tka:8443'],
  ['http://tka/', 8080, 'http://tka:8080'],
  ['[fd7a::1]', 8080, 'http://[fd7a::1]:8080'],
  ['tka:80', 8080, undefined],
  ['http://tka:80/', 8080, undefined],
  ['[fd7a::1]:80', 8080, undefined],
];
for (const [server, port, expected] of ports) {
  test(`--server ${server} --port ${port} is ${expected ?? 'a mistake of use'}`, async (t) => {
    const named = namedServer({ env: environment(t) }, { server, port });
    if (expected === undefined) t.is((await t.throwsAsync(named, { instanceOf: UserError }))?.exitCode, 2);
    else t.is(await named, expected);
  });
}

const goVariables: readonly [variables: Record<string, string>, file: string, expected: string][] = [
  [{ TKA_TAILSCALE_HOSTNAME: 'auth' }, '', 'http://auth'],
  [{ TKA_TAILSCALE_HOSTNAME: 'auth', TKA_TAILSCALE_PORT: '443' }, '', 'https://auth'],
  [{ TKA_TAILSCALE_TAILNET: 'x.ts.net' }, '', 'http://tka.x.ts.net'],
  [
    { TKA_TAILSCALE_TAILNET: 'x.ts.net', TKA_TAILSCALE_HOSTNAME: 'auth', TKA_TAILSCALE_PORT: '8080' },
    '',
    'http://auth.x.ts.net:8080',
  ],
  [{ TKA_TAILSCALE_HOSTNAME: 'auth' }, 'tailscale: {hostname: other}', 'http://auth'],
  [{ TKA_TAILSCALE_HOSTNAME: 'auth', TKA_TAILSCALE_PORT: 'tcp://10.0.0.1:80' }, '', 'http://auth'],
  [{ TKA_TAILSCALE_HOSTNAME: 'auth', TKA_SERVER: 'mine' }, '', 'http://mine'],
  [{ TKA_TAILSCALE_HOSTNAME: '' }, 'server: other', 'http://other'],
];
for (const [variables, file, expected] of goVariables) {
  test(`${JSON.stringify(variables)} over ${JSON.stringify(file)} names ${expected}`, async (t) => {
    t.is(await namedServer({ env: { ...environment(t, file), ...variables } }, {}), expected);
  });
}

test('TKA_TAILSCALE_PORT that is not a port is a usage error that names it', async (t) => {
  for (const port of ['many', '0', '65536', '80.5']) {
    const env = { ...environment(t), TKA_TAILSCALE_HOSTNAME: 'auth', TKA_TAILSCALE_PORT: port };
    const error = await t.throwsAsync(namedServer({ env }, {}), {
      instanceOf: UserError,
      message: /TKA_TAILSCALE_PORT/,
    });
    t.is(error?.exitCode, 2);
  }
});

test('TKA_OUTPUT_THEME takes precedence over the theme of the file', async (t) => {
  const env = { ...environment(t, 'theme: light'), TKA_OUTPUT_THEME: 'dracula' };
  t.is((await readSettings({ env })).theme, 'dracula');
});

const broken: readonly [string, string, RegExp][] = [
  ['invalid YAML', 'a: [', /not valid YAML/],
  ['a wrong type', 'tailscale: {port: many}', /tailscale\.port/],
  ['a list', '- a', /config\.yaml: /],
  ['an invalid server', 'server: "ftp://tka"', /config\.yaml: unsupported scheme/],
];
for (const [what, file, message] of broken) {
  test(`a configuration file with ${what} is named, with the key`, async (t) => {
    const env = environment(t, file);
    const error = await t.throwsAsync(namedServer({ env }, {}), { instanceOf: UserError, message });
    t.true(error?.message.includes(join(env['HOME'] ?? '', '.config', 'tka', 'config.yaml')));
  });
}

test('a file in the working directory is not looked at', async (t) => {
  const env = environment(t);
  writeFileSync(join(env['HOME'] ?? '', 'config.yaml'), 'server: evil');
  const before = process.cwd();
  process.chdir(env['HOME'] ?? '');
  t.teardown(() => process.chdir(before));
  t.is(await namedServer({ env }, {}), undefined);
});
