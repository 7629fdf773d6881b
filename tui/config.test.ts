import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { chooseServer, parseServer } from './config.ts';
import { UserError } from './errors.ts';

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

const files: readonly [string, string, string][] = [
  ['server', 'server: https://tka.example.ts.net', 'https://tka.example.ts.net'],
  ['a host name', 'tailscale: {hostname: auth}', 'http://auth'],
  ['a host name that is a URL', 'tailscale: {hostname: "http://auth"}', 'http://auth'],
  ['host, tailnet and port 443', 'tailscale: {hostname: auth, tailnet: x.ts.net, port: 443}', 'https://auth.x.ts.net'],
  ['a tailnet with a dot in front', 'tailscale: {tailnet: .x.ts.net, port: 8080}', 'http://tka.x.ts.net:8080'],
  ['other keys alone', 'output: {theme: dark}\ntailscale: {port: 443}', 'http://tka'],
  ['nothing', '', 'http://tka'],
];
for (const [what, file, expected] of files) {
  test(`a configuration file with ${what}`, async (t) => {
    t.is(await chooseServer({ env: environment(t, file) }, undefined), expected);
  });
}

test('--server goes before TKA_SERVER, that before the file, that before a login, that before the default', async (t) => {
  const env = environment(t, 'server: file');
  t.is(await chooseServer({ env: { ...env, TKA_SERVER: 'variable' } }, 'flag', 'http://login'), 'http://flag');
  t.is(await chooseServer({ env: { ...env, TKA_SERVER: 'variable' } }, undefined, 'http://login'), 'http://variable');
  t.is(await chooseServer({ env: { ...env, TKA_SERVER: '' } }, undefined, 'http://login'), 'http://file');
  t.is(await chooseServer({ env: environment(t) }, undefined, 'http://login'), 'http://login');
  t.is(await chooseServer({ env: environment(t) }, undefined), 'http://tka');
});

const broken: readonly [string, string, RegExp][] = [
  ['YAML that is none', 'a: [', /not valid YAML/],
  ['a wrong type', 'tailscale: {port: many}', /tailscale\.port/],
  ['a list', '- a', /config\.yaml: /],
  ['a server that is none', 'server: "ftp://tka"', /config\.yaml: a server is reached by/],
];
for (const [what, file, message] of broken) {
  test(`a configuration file with ${what} is named, with the key`, async (t) => {
    const env = environment(t, file);
    const error = await t.throwsAsync(chooseServer({ env }, undefined), { instanceOf: UserError, message });
    t.true(error?.message.includes(join(env['HOME'] ?? '', '.config', 'tka', 'config.yaml')));
  });
}

test('a file in the working directory is not looked at', async (t) => {
  const env = environment(t);
  writeFileSync(join(env['HOME'] ?? '', 'config.yaml'), 'server: evil');
  const before = process.cwd();
  process.chdir(env['HOME'] ?? '');
  t.teardown(() => process.chdir(before));
  t.is(await chooseServer({ env }, undefined), 'http://tka');
});
