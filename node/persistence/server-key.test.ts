import test from 'ava';
import type { ExecutionContext } from 'ava';
import { spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { keyPath, loadServerKey, rotateServerKey, ServerKeyError, watchServerKey } from './server-key.ts';

function directory(t: ExecutionContext): string {
  const path = mkdtempSync(join(tmpdir(), 'tka-key-'));
  t.teardown(() => rmSync(path, { recursive: true }));
  return join(path, 'state');
}

test('a key is made once, of 32 bytes, for its owner alone, and nothing else is left behind', (t) => {
  const dir = directory(t);
  const key = loadServerKey(dir);
  t.is(key.length, 32);
  t.false(key.equals(Buffer.alloc(32)));
  t.deepEqual(loadServerKey(dir), key);
  t.is(statSync(keyPath(dir)).mode & 0o777, 0o600);
  t.is(statSync(dir).mode & 0o777, 0o700);
  t.deepEqual(readdirSync(dir), ['server-key']);
});

test('starts at once agree on one key', async (t) => {
  const dir = directory(t);
  const code = `import { loadServerKey } from ${JSON.stringify(new URL('server-key.ts', import.meta.url).href)};
    process.stdout.write(loadServerKey(${JSON.stringify(dir)}).toString('hex'));`;
  const keys = await Promise.all(
    Array.from({ length: 4 }, async () => {
      const child = spawn(process.execPath, ['--input-type=module', '-e', code]);
      let text = '';
      child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      await new Promise((resolve) => child.once('close', resolve));
      return text;
    }),
  );
  t.is(new Set(keys).size, 1);
  t.regex(keys[0] ?? '', /^[0-9a-f]{64}$/);
  t.deepEqual(readdirSync(dir), ['server-key']);
});

const broken: readonly [title: string, content: string][] = [
  ['empty', ''],
  ['short', 'ab'.repeat(31)],
  ['long', 'ab'.repeat(33)],
  ['no hexadecimal', 'xy'.repeat(32)],
];
for (const [title, content] of broken) {
  test(`a key file that is ${title} is refused with a remedy, left as it is, and not quoted`, (t) => {
    const dir = directory(t);
    loadServerKey(dir);
    writeFileSync(keyPath(dir), content);
    const error = t.throws(() => loadServerKey(dir), { instanceOf: ServerKeyError, message: /rotate-key/ });
    if (content !== '') t.false(error.message.includes(content));
    t.is(readFileSync(keyPath(dir), 'utf8'), content);
    rotateServerKey(dir);
    t.is(loadServerKey(dir).length, 32);
  });
}

test('a rotation is noticed, at most a second later, and a file that is gone or broken leaves the last key', (t) => {
  const dir = directory(t);
  let now = 0;
  const troubles: string[] = [];
  const watched = watchServerKey(dir, { now: () => now, onTrouble: ({ message }) => troubles.push(message) });
  const first = watched.current();
  rotateServerKey(dir);
  t.is(statSync(keyPath(dir)).mode & 0o777, 0o600);
  t.deepEqual(readdirSync(dir), ['server-key']);
  now = 999;
  t.deepEqual(watched.current(), first);
  now = 1000;
  const second = watched.current();
  t.notDeepEqual(second, first);
  writeFileSync(keyPath(dir), 'broken');
  for (now of [2000, 3000]) t.deepEqual(watched.current(), second);
  t.is(troubles.length, 1);
  rmSync(keyPath(dir));
  now = 4000;
  t.deepEqual(watched.current(), second);
  t.is(troubles.length, 2);
  t.regex(
    watched.problem() ?? '',
    /server-key holds no server key, though this server has one in memory: it was lost\. Restore it/,
  );
  rotateServerKey(dir);
  now = 5000;
  t.is(watched.problem(), undefined);
});

test('a directory whose node has joined and whose key is gone is refused, until a key is put there', (t) => {
  const dir = directory(t);
  loadServerKey(dir);
  writeFileSync(join(dir, 'own-ca.pem'), 'PEM');
  writeFileSync(join(dir, 'tailscaled.state'), '{"_machinekey":"eA=="}');
  rmSync(keyPath(dir));
  t.is(loadServerKey(dir).length, 32, 'a first join that was interrupted');
  writeFileSync(join(dir, 'tailscaled.state'), '{"_current-profile":"eA=="}');
  rmSync(keyPath(dir));
  t.throws(() => loadServerKey(dir), { instanceOf: ServerKeyError, message: /joined the tailnet before.*rotate-key/ });
  t.deepEqual(readdirSync(dir).sort(), ['own-ca.pem', 'tailscaled.state']);
  rotateServerKey(dir);
  t.is(loadServerKey(dir).length, 32);
});

test('a directory of the Go tka, which had no key, gets one', (t) => {
  const dir = directory(t);
  rotateServerKey(dir);
  rmSync(keyPath(dir));
  writeFileSync(join(dir, 'tailscaled.state'), '{"_current-profile":"eA=="}');
  t.is(loadServerKey(dir).length, 32);
});

test('a rotation creates a missing key', (t) => {
  const dir = directory(t);
  rotateServerKey(dir);
  t.is(loadServerKey(dir).length, 32);
});

test('a key that others may read is for its owner alone after a rotation', (t) => {
  const dir = directory(t);
  loadServerKey(dir);
  chmodSync(keyPath(dir), 0o644);
  rotateServerKey(dir);
  t.is(statSync(keyPath(dir)).mode & 0o777, 0o600);
});

test('a key that cannot be read names the path and the reason', (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'tka-key-'));
  t.teardown(() => rmSync(dir, { recursive: true }));
  writeFileSync(join(dir, 'file'), '');
  t.throws(() => loadServerKey(join(dir, 'file', 'state')), {
    instanceOf: ServerKeyError,
    message: /^cannot read the server key .*file\/state\/server-key: a file is in the place of a directory$/,
  });
});
