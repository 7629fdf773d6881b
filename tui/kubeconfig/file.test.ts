import { spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { parse } from 'yaml';
import { UserError } from '../errors.ts';
import { withFileLocks } from '../files/lock.ts';
import { mergeEntries } from './entries.ts';
import { editKubeconfig, kubeconfigPaths, readKubeconfig } from './file.ts';

const signal = new AbortController().signal;

function temporary(t: ExecutionContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'tka-test-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

function merge(
  paths: readonly string[],
  session = 'alice-1',
  name = 'tka-prod',
): Promise<{ path: string; context: string }> {
  return editKubeconfig(
    paths,
    ({ files, destination }) =>
      mergeEntries(files, destination, {
        marker: { server: 'http://tka', session },
        name,
        cluster: { server: 'https://prod' },
        user: { token: 't' },
        use: false,
      }),
    { signal, create: true, lockWaitMs: 15_000 },
  );
}

test('the paths: a flag, else KUBECONFIG without repeats and gaps, else the home directory', (t) => {
  const env = { HOME: '/home/a', KUBECONFIG: '/a::/b:/a' };
  t.deepEqual(kubeconfigPaths(env, '/flag'), ['/flag']);
  t.deepEqual(kubeconfigPaths(env, undefined), ['/a', '/b']);
  t.deepEqual(kubeconfigPaths({ ...env, KUBECONFIG: '' }, undefined), ['/home/a/.kube/config']);
});

test('a new file and its directory are for the user alone', async (t) => {
  const path = join(temporary(t), 'new', 'config');
  await merge([path]);
  t.is(statSync(path).mode & 0o777, 0o600);
  t.is(statSync(join(path, '..')).mode & 0o777, 0o700);
  t.deepEqual(readdirSync(join(path, '..')), ['config']);
});

test('new entries go to the first file that exists, else to the last of the list', async (t) => {
  const directory = temporary(t);
  const [a, b, c] = ['a', 'b', 'c'].map((name) => join(directory, name)) as [string, string, string];
  t.is((await merge([a, b, c])).path, c);
  rmSync(c);
  writeFileSync(b, '');
  t.is((await merge([a, b, c])).path, b);
  t.false(existsSync(a));
});

test('an existing file keeps its mode', async (t) => {
  const path = join(temporary(t), 'config');
  writeFileSync(path, '{}');
  chmodSync(path, 0o640);
  await merge([path]);
  t.is(statSync(path).mode & 0o777, 0o640);
});

test('a symbolic link stays one, and what it leads to is changed', async (t) => {
  const directory = temporary(t);
  writeFileSync(join(directory, 'real'), 'current-context: old\n');
  symlinkSync('real', join(directory, 'link'));
  await merge([join(directory, 'link')]);
  t.true(lstatSync(join(directory, 'link')).isSymbolicLink());
  t.regex(readFileSync(join(directory, 'real'), 'utf8'), /tka-prod/);
});

test('a symbolic link to a file that is not there yet stays one, and the file is made for the user alone', async (t) => {
  const directory = temporary(t);
  mkdirSync(join(directory, 'dotfiles'));
  symlinkSync('dotfiles/second', join(directory, 'first'));
  symlinkSync('config', join(directory, 'dotfiles', 'second'));
  await merge([join(directory, 'first')]);
  t.true(lstatSync(join(directory, 'first')).isSymbolicLink());
  t.true(lstatSync(join(directory, 'dotfiles', 'second')).isSymbolicLink());
  t.is(statSync(join(directory, 'dotfiles', 'config')).mode & 0o777, 0o600);
  t.deepEqual(readdirSync(directory).toSorted(), ['dotfiles', 'first']);
});

test('a file with comments alone keeps them', async (t) => {
  const path = join(temporary(t), 'config');
  writeFileSync(path, '# my clusters\n');
  await merge([path]);
  t.regex(readFileSync(path, 'utf8'), /^# my clusters/);
});

test('numbers longer than a double come back whole', async (t) => {
  const path = join(temporary(t), 'config');
  writeFileSync(path, 'x-unknown: 12345678901234567890\n');
  await merge([path]);
  t.regex(readFileSync(path, 'utf8'), /^x-unknown: 12345678901234567890\n/);
});

test('lists that were indented stay so', async (t) => {
  const path = join(temporary(t), 'config');
  const before = 'users:\n  - name: a\n    user: {}\n';
  writeFileSync(path, before);
  await merge([path]);
  t.true(readFileSync(path, 'utf8').startsWith(before));
});

const broken: readonly [string, (path: string) => void, RegExp][] = [
  ['is no YAML', (path) => writeFileSync(path, 'a: [\n'), /not valid YAML/],
  ['has a key twice', (path) => writeFileSync(path, 'users: []\nusers: []\n'), /not valid YAML/],
  ['is a list', (path) => writeFileSync(path, '- a\n'), /not a kubeconfig/],
  ['is a manifest', (path) => writeFileSync(path, 'apiVersion: v1\nkind: Pod\n'), /not a kubeconfig: kind is "Pod"/],
  [
    'is of another version',
    (path) => writeFileSync(path, 'kind: Config\napiVersion: v2\n'),
    /not a kubeconfig: apiVersion is "v2"/,
  ],
  ['has users that are no list', (path) => writeFileSync(path, 'users: {a: b}\n'), /not a kubeconfig: users/],
  ['has an entry that is no map', (path) => writeFileSync(path, 'clusters: [a]\n'), /clusters\[0\]/],
  ['is a directory', (path) => mkdirSync(path), /is a directory/],
  ['is read-only', (path) => writeFileSync(path, '{}', { mode: 0o400 }), /cannot be written/],
  ['is a link into no directory', (path) => symlinkSync('/nowhere/at/all', path), /cannot be written/],
  ['is a link to itself', (path) => symlinkSync('config', path), /cannot be read|symbolic links lead in a circle/],
  ['is not UTF-8', (path) => writeFileSync(path, Buffer.from('contexts: [] # caf\xe9\n', 'latin1')), /not UTF-8/],
  ['has an alias without its anchor', (path) => writeFileSync(path, 'contexts: []\nx: *nothing\n'), /not valid YAML/],
  [
    'has aliases that multiply',
    (path) => {
      const lines = Array.from(
        { length: 9 },
        (_, n) => `${'abcdefghij'[n + 1]}: &${'abcdefghij'[n + 1]} [${`*${'abcdefghij'[n]},`.repeat(9)}]`,
      );
      writeFileSync(path, `a: &a [x]\n${lines.join('\n')}\n`);
    },
    /not valid YAML/,
  ],
  ['is nested without end', (path) => writeFileSync(path, `x: ${'['.repeat(100_000)}`), /not valid YAML/],
];
for (const [what, make, message] of broken) {
  test(`a file that ${what} stops the login with its name, and is left as it is`, async (t) => {
    const directory = temporary(t);
    const path = join(directory, 'config');
    make(path);
    const before = lstatSync(path).isFile() ? readFileSync(path, 'utf8') : '';
    const error = await t.throwsAsync(merge([path]), { instanceOf: UserError, message });
    t.true(error?.message.includes(path));
    t.true((error?.advice.length ?? 0) > 0);
    if (before !== '') t.is(readFileSync(path, 'utf8'), before);
    t.deepEqual(readdirSync(directory), ['config']);
  });
}

test('a lock that another program holds is waited for', async (t) => {
  const path = join(temporary(t), 'config');
  writeFileSync(`${path}.lock`, '');
  const waiting = merge([path]);
  // The first attempt is made before anything is awaited, so it has met the lock.
  t.false(existsSync(path));
  unlinkSync(`${path}.lock`);
  t.is((await waiting).context, 'tka-prod');
  t.false(existsSync(`${path}.lock`));
});

test('a lock that is never given back is named, with what to do', async (t) => {
  const path = join(temporary(t), 'config');
  writeFileSync(`${path}.lock`, '');
  const edit = editKubeconfig([path], () => t.fail(), { signal, lockWaitMs: 60 });
  const error = await t.throwsAsync(edit, { instanceOf: UserError });
  t.true(error?.message.includes(`${path}.lock`));
  t.is(error?.exitCode, 1);
  t.regex(error?.advice.join(' ') ?? '', /remove the lock/);
  t.true(existsSync(`${path}.lock`));
});

test('a lock that is waited for is told once, with its holder', async (t) => {
  const directory = temporary(t);
  const path = join(directory, 'config');
  for (const [content, holder] of [
    ['', /held by kubectl or another program since \d\d:\d\d:\d\d$/],
    ['tka 4711 laptop\n', /held by tka, process 4711 on laptop, since /],
  ] as const) {
    writeFileSync(`${path}.lock`, content);
    const told: string[] = [];
    await withFileLocks([path], () => t.pass(), {
      signal,
      waitMs: 10_000,
      noticeMs: 0,
      onWait: (line) => {
        told.push(line);
        unlinkSync(`${path}.lock`);
      },
    });
    t.is(told.length, 1);
    t.true(told[0]?.startsWith(`waiting for the lock ${path}.lock, `));
    t.regex(told[0] ?? '', holder);
  }
});

test('a lock that tka holds names tka, its process and the host', async (t) => {
  const path = join(temporary(t), 'config');
  let content = '';
  await withFileLocks([path], () => void (content = readFileSync(`${path}.lock`, 'utf8')), { signal, waitMs: 1000 });
  t.is(content, `tka ${process.pid} ${hostname()}\n`);
});

test('waiting for a lock ends with the signal', async (t) => {
  const path = join(temporary(t), 'config');
  writeFileSync(`${path}.lock`, '');
  const stop = new AbortController();
  const edit = editKubeconfig([path], () => t.fail(), { signal: stop.signal });
  stop.abort(new Error('stopped'));
  await t.throwsAsync(edit);
});

test('an edit that fails gives the lock back and leaves the file', async (t) => {
  const path = join(temporary(t), 'config');
  writeFileSync(path, 'current-context: old\n');
  const edit = editKubeconfig(
    [path],
    ({ destination }) => {
      destination.changed = true;
      throw new Error('no');
    },
    { signal },
  );
  await t.throwsAsync(edit, { message: 'no' });
  t.is(readFileSync(path, 'utf8'), 'current-context: old\n');
  t.false(existsSync(`${path}.lock`));
});

test('twenty logins in twenty processes all end up in the file', async (t) => {
  const path = join(temporary(t), 'config');
  const script = `
    const { editKubeconfig } = await import(process.argv[1] + '/file.ts');
    const { mergeEntries } = await import(process.argv[1] + '/entries.ts');
    process.stdout.write('ready');
    process.stdin.once('data', async (data) => {
      const n = String(data);
      const request = { marker: { server: 'http://tka', session: 's' + n }, name: 'tka-' + n, cluster: {}, user: {}, use: false };
      await editKubeconfig([process.argv[2]], ({ files, destination }) => mergeEntries(files, destination, request),
        { signal: new AbortController().signal, create: true, lockWaitMs: 30000 });
      process.exit(0);
    });`;
  const here = fileURLToPath(new URL('.', import.meta.url)).replace(/\/$/, '');
  const children = Array.from({ length: 20 }, () =>
    spawn(process.execPath, ['--input-type=module', '-e', script, here, path], { stdio: ['pipe', 'pipe', 'inherit'] }),
  );
  const ends = children.map((child) => new Promise<number | null>((resolve) => child.on('exit', resolve)));
  // All have loaded what they need before the first begins, so that they meet at the lock.
  await Promise.all(children.map((child) => new Promise((resolve) => child.stdout.once('data', resolve))));
  children.forEach((child, n) => child.stdin.write(String(n)));
  t.deepEqual(
    await Promise.all(ends),
    Array.from({ length: 20 }, () => 0),
  );
  const { contexts } = parse(readFileSync(path, 'utf8')) as { contexts: { name: string }[] };
  t.deepEqual(contexts.map(({ name }) => name).sort(), Array.from({ length: 20 }, (_, n) => `tka-${n}`).sort());
  t.is(readKubeconfig([path]).files.length, 1);
  t.deepEqual(readdirSync(join(path, '..')), ['config']);
});
