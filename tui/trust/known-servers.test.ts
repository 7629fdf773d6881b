import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import { UserError } from '../errors.ts';
import { forgetServer, knownServersPath, readKnownServers, rememberServer } from './known-servers.ts';
import { createTestRuntime } from '../testing/tailscaled.ts';

const tka = { server: 'http://tka', nodeId: 'n1', tags: ['tag:tka'], cluster: 'prod' };

test('what is remembered is known again, for the user alone, and forgotten', (t) => {
  const { env } = createTestRuntime(t);
  t.deepEqual(readKnownServers(env), []);
  rememberServer(env, tka);
  rememberServer(env, { server: 'https://other:8443', nodeId: 'n2', tags: [] });
  t.deepEqual(readKnownServers(env), [tka, { server: 'https://other:8443', nodeId: 'n2', tags: [] }]);
  t.is(statSync(knownServersPath(env)).mode & 0o777, 0o600);
  t.is(statSync(dirname(knownServersPath(env))).mode & 0o777, 0o700);
  t.true(forgetServer(env, 'http://tka'));
  t.false(forgetServer(env, 'http://tka'));
  t.deepEqual(
    readKnownServers(env).map(({ server }) => server),
    ['https://other:8443'],
  );
});

test('a server that is remembered again is replaced', (t) => {
  const { env } = createTestRuntime(t);
  rememberServer(env, tka);
  rememberServer(env, { server: 'http://tka', nodeId: 'n9', tags: [] });
  t.deepEqual(readKnownServers(env), [{ server: 'http://tka', nodeId: 'n9', tags: [] }]);
});

test('a server is remembered for each tailnet; what does not say of which it is, is replaced', (t) => {
  const { env } = createTestRuntime(t);
  const here = { ...tka, tailnet: 'a.example', control: 'control.example' };
  rememberServer(env, tka);
  rememberServer(env, here);
  t.deepEqual(readKnownServers(env), [here]);
  const there = { ...tka, nodeId: 'n9', tailnet: 'b.example' };
  const other = { ...here, control: 'other.example' };
  for (const one of [there, other]) rememberServer(env, one);
  t.deepEqual(readKnownServers(env), [here, there, other]);
  rememberServer(env, { ...there, nodeId: 'n10' });
  t.deepEqual(readKnownServers(env), [here, other, { ...there, nodeId: 'n10' }]);
  t.true(forgetServer(env, 'http://tka'));
  t.deepEqual(readKnownServers(env), []);
});

const broken = [
  '{',
  'null',
  '[]',
  '{"servers":{}}',
  '{"servers":[{"server":"http://tka"}]}',
  '{"servers":[{"server":"http://tka/path","nodeId":"n","tags":[]}]}',
  '{"servers":[{"server":"http://tka","nodeId":"","tags":[]}]}',
  '{"servers":[{"server":"http://tka","nodeId":"n","tags":[1]}]}',
  '{"servers":[{"server":"http://tka","nodeId":"n","tags":[],"tailnet":1}]}',
];
for (const text of broken) {
  test(`a file with ${text} is reported, and neither used nor overwritten`, (t) => {
    const { env } = createTestRuntime(t);
    const path = knownServersPath(env);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    const error = t.throws(() => readKnownServers(env), { instanceOf: UserError });
    t.true(error?.message.includes(path));
    t.throws(() => rememberServer(env, tka), { instanceOf: UserError });
    t.is(readFileSync(path, 'utf8'), text);
  });
}

test('a name that is not a cluster name is left out, and the pin stays', (t) => {
  const { env } = createTestRuntime(t);
  mkdirSync(dirname(knownServersPath(env)), { recursive: true });
  writeFileSync(knownServersPath(env), JSON.stringify({ servers: [{ ...tka, cluster: '../x' }] }));
  t.deepEqual(readKnownServers(env), [{ server: 'http://tka', nodeId: 'n1', tags: ['tag:tka'] }]);
});

test('a lock that is never released is reported after a second', (t) => {
  const { env } = createTestRuntime(t);
  mkdirSync(dirname(knownServersPath(env)), { recursive: true });
  writeFileSync(`${knownServersPath(env)}.lock`, '');
  t.throws(() => rememberServer(env, tka), { instanceOf: UserError, message: /another program holds .*\.lock/ });
});

test('a directory that cannot be written is named', (t) => {
  const { env } = createTestRuntime(t, { env: { XDG_CONFIG_HOME: '/dev/null' } });
  t.throws(() => rememberServer(env, tka), { instanceOf: UserError, message: /known-servers\.json cannot be written/ });
});

test('processes that write at once lose nothing of each other', async (t) => {
  const { env } = createTestRuntime(t);
  const module = new URL('known-servers.ts', import.meta.url).href;
  const script = `
    import { rememberServer } from ${JSON.stringify(module)};
    for (let i = 0; i < 10; i += 1) {
      rememberServer(process.env, { server: 'http://' + process.argv[1] + '-' + i, nodeId: 'n', tags: [] });
    }`;
  const run = promisify(execFile);
  const names = ['a', 'b', 'c', 'd'];
  const options = { env: { HOME: env['HOME'] ?? '' } };
  await Promise.all(names.map((name) => run(process.execPath, ['--input-type=module', '-e', script, name], options)));
  t.is(readKnownServers(env).length, 40);
});
