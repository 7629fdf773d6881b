import { existsSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { parse } from 'yaml';
import { UserError } from '../errors.ts';
import type { ConfigFlags } from '../flags.ts';
import { settingsTable } from '../config/table.ts';
import { createTestRuntime, type TestRuntime } from '../testing/tailscaled.ts';
import { config } from './config.ts';

const fileOf = ({ home }: TestRuntime): string => join(home, '.config', 'tka', 'config.yaml');
const set = (runtime: TestRuntime, key: string, value: string, more: Partial<ConfigFlags> = {}): Promise<void> =>
  config(runtime, { action: 'set', key, value, ...more });

test('what is set is read, and the file is for the user alone', async (t) => {
  const runtime = createTestRuntime(t);
  await set(runtime, 'server', 'tka.example.ts.net');
  t.is(runtime.out.text, '');
  t.regex(runtime.err.text, /^Set server in .*config\.yaml\.\n$/);
  t.is(statSync(fileOf(runtime)).mode & 0o777, 0o600);
  await config(runtime, { action: 'get', key: 'server' });
  t.is(runtime.out.text, 'tka.example.ts.net\n');
});

const commented = `# mine
server: tka # the old one
# of another program
health: {port: 8080}
discovery:
  # ours
  tags: [tag:gate]
`;

test('comments, order and keys of others stay', async (t) => {
  const runtime = createTestRuntime(t, { config: commented });
  await set(runtime, 'server', 'https://tka.example.com');
  await set(runtime, 'output.theme', 'dracula', { quiet: true });
  await set(runtime, 'discovery.names', 'tka*, *-gate');
  const text = readFileSync(fileOf(runtime), 'utf8');
  t.is(
    text,
    `# mine
server: https://tka.example.com # the old one
# of another program
health: { port: 8080 }
discovery:
  # ours
  tags: [ tag:gate ]
  names:
    - tka*
    - "*-gate"
output:
  theme: dracula
`,
  );
});

test('unset removes the key, and a map that is empty then', async (t) => {
  const runtime = createTestRuntime(t, { config: 'output: {long: true}\nserver: tka\n' });
  await config(runtime, { action: 'unset', key: 'output.long' });
  t.deepEqual(parse(readFileSync(fileOf(runtime), 'utf8')), { server: 'tka' });
  await config(runtime, { action: 'unset', key: 'output.long' });
  t.regex(runtime.err.text, /output\.long was not set/);
});

test('discovery: false gives way to patterns, and they to it', async (t) => {
  const runtime = createTestRuntime(t, { config: 'discovery: false\n' });
  await set(runtime, 'discovery.tags', 'tag:gate');
  t.deepEqual(parse(readFileSync(fileOf(runtime), 'utf8')), { discovery: { tags: ['tag:gate'] } });
  await set(runtime, 'discovery', 'no');
  t.deepEqual(parse(readFileSync(fileOf(runtime), 'utf8')), { discovery: false });
});

test('the list has every key, the forms have those that are set', async (t) => {
  const runtime = createTestRuntime(t, {
    config: 'server: tka\nservers: [a, b]\ndiscovery: {tags: [tag:x]}\nhealth: 1\n',
  });
  await config(runtime, { action: 'list' });
  for (const { key } of settingsTable) t.true(runtime.out.text.includes(`\n${key} `), key);
  t.regex(runtime.out.text, /\nservers +a,b +/);
  t.regex(runtime.out.text, /\nmode +\(proxy where it is offered\) +/);
  const json = createTestRuntime(t, { config: readFileSync(fileOf(runtime), 'utf8') });
  await config(json, { action: 'list', output: 'json' });
  t.deepEqual(JSON.parse(json.out.text), { server: 'tka', servers: ['a', 'b'], 'discovery.tags': ['tag:x'] });
  const names = createTestRuntime(t, { config: readFileSync(fileOf(runtime), 'utf8') });
  await config(names, { action: 'list', output: 'name' });
  t.is(names.out.text, 'server\nservers\ndiscovery.tags\n');
});

test('a list comes out one a line, or as JSON', async (t) => {
  const runtime = createTestRuntime(t, { config: 'servers: [a, b]\n' });
  await config(runtime, { action: 'get', key: 'servers' });
  await config(runtime, { action: 'get', key: 'servers', output: 'json' });
  t.is(runtime.out.text, 'a\nb\n[\n  "a",\n  "b"\n]\n');
});

test('a key that is not set is an error, and the path is where it would be', async (t) => {
  const runtime = createTestRuntime(t);
  const error = await t.throwsAsync(config(runtime, { action: 'get', key: 'theme' }), { instanceOf: UserError });
  t.is(error?.exitCode, 1);
  await config(runtime, { action: 'path' });
  t.is(runtime.out.text, `${fileOf(runtime)}\n`);
});

test('--config names the file, which `set` makes', async (t) => {
  const runtime = createTestRuntime(t, { config: 'server: usual\n' });
  const file = join(runtime.home, 'mine.yaml');
  const missing = config(runtime, { action: 'get', key: 'server', config: file });
  t.is((await t.throwsAsync(missing, { instanceOf: UserError }))?.exitCode, 2);
  await set(runtime, 'server', 'mine', { config: file });
  await config(runtime, { action: 'get', key: 'server', config: file });
  t.is(runtime.out.text, 'mine\n');
  t.is(readFileSync(fileOf(runtime), 'utf8'), 'server: usual\n');
});

test('a link stays a link', async (t) => {
  const runtime = createTestRuntime(t);
  mkdirSync(join(runtime.home, '.config', 'tka'), { recursive: true });
  writeFileSync(join(runtime.home, 'dotfile'), 'server: a\n');
  symlinkSync(join(runtime.home, 'dotfile'), fileOf(runtime));
  await set(runtime, 'server', 'b');
  t.is(readFileSync(join(runtime.home, 'dotfile'), 'utf8'), 'server: b\n');
});

const mistakes: readonly [string, string, RegExp][] = [
  ['servr', 'x', /Did you mean server\?/],
  ['contextname', 'x', /Did you mean contextName\?/],
  ['__proto__.x', 'x', /tka config list/],
  ['server', 'ftp://tka', /http or https/],
  ['server', 'http://u:p@tka', /only a host/],
  ['servers', 'a,,b', /invalid/],
  ['port', '0', /1 to 65535/],
  ['port', 'many', /1 to 65535/],
  ['mode', 'magic', /direct, proxy/],
  ['theme', 'pink', /auto, dark/],
  ['discovery', 'maybe', /true or false/],
  ['tailscale.socket', 'relative/path', /absolute/],
  ['contextName', '{clustr}', /\{cluster\}/],
  ['contextName', 'a\nb', /letters/],
  ['output.long', '1', /true or false/],
];
for (const [key, value, said] of mistakes) {
  test(`tka config set ${key} ${JSON.stringify(value)} is a mistake of use, and writes nothing`, async (t) => {
    const runtime = createTestRuntime(t);
    const error = await t.throwsAsync(set(runtime, key, value), { instanceOf: UserError });
    t.is(error?.exitCode, 2);
    t.regex([error?.message, ...(error?.advice ?? [])].join('\n'), said);
    t.false(existsSync(fileOf(runtime)));
  });
}

for (const [what, text] of [
  ['is no YAML', 'a: ['],
  ['has a wrong type', 'port: many\n'],
  ['is a list', '- a\n'],
] as const) {
  test(`a file that ${what} is named and stays as it is`, async (t) => {
    const runtime = createTestRuntime(t, { config: text });
    const error = await t.throwsAsync(set(runtime, 'server', 'x'), { instanceOf: UserError });
    t.true(error?.message.includes(fileOf(runtime)), error?.message);
    t.is(readFileSync(fileOf(runtime), 'utf8'), text);
  });
}

test('a file that is wrong can be put right', async (t) => {
  const runtime = createTestRuntime(t, { config: 'port: many\n' });
  await set(runtime, 'port', '8080');
  t.is(readFileSync(fileOf(runtime), 'utf8'), 'port: 8080\n');
});

test('a directory that cannot be written is named', async (t) => {
  const runtime = createTestRuntime(t, { env: { XDG_CONFIG_HOME: '/dev/null' } });
  await t.throwsAsync(set(runtime, 'server', 'x'), {
    instanceOf: UserError,
    message: /config\.yaml cannot be written/,
  });
});
