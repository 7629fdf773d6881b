/**
 * What the image's digest follows from, and what is in it. A small program of the system stands for Node: it too needs glibc,
 * and e2e/pod.test.ts runs the real one.
 */
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import anyTest from 'ava';
import type { ExecutionContext } from 'ava';
import { unpackTar } from 'modern-tar';
import { buildImage } from '../build-image.ts';
import { systemPackages } from './bill.ts';
import { places } from './contents.ts';
import { makeLayer } from './layer.ts';
import { wholeName } from './layout.ts';
import { sharedLibraries } from './shared-libraries.ts';
import type { Architecture } from './shared-libraries.ts';

const architecture: Architecture = process.arch === 'arm64' ? 'arm64' : 'amd64';
const test = process.platform === 'linux' ? anyTest : anyTest.skip;
if (process.platform !== 'linux') anyTest.skip('an image is made on Linux', (t) => t.pass());

/** A place with everything an image is made of. */
function parts(t: ExecutionContext, server = 'the server'): string {
  const dir = mkdtempSync(join(tmpdir(), 'tka-image-'));
  t.teardown(() => rmSync(dir, { recursive: true }));
  mkdirSync(join(dir, 'chunks/tka-server'), { recursive: true });
  writeFileSync(join(dir, 'tka-engine'), 'the engine');
  writeFileSync(join(dir, 'tka-server.js'), server);
  return dir;
}

const build = async (dir: string): Promise<string> => {
  const node = realpathSync('/bin/sh');
  const sources = [{ architecture, node, engine: join(dir, 'tka-engine'), root: '/' }];
  return (await buildImage({ sources, bundles: dir, directory: join(dir, 'image') })).digest;
};

test('the same parts make the same image, wherever they are, however old and in whichever order they were written', async (t) => {
  const [one, other] = [parts(t), parts(t)];
  for (const name of ['b', 'a']) writeFileSync(join(one, 'chunks/tka-server', name), name);
  for (const name of ['a', 'b']) writeFileSync(join(other, 'chunks/tka-server', name), name);
  utimesSync(join(other, 'tka-server.js'), 1, 1);
  const digest = await build(one);
  t.regex(digest, /^sha256:[0-9a-f]{64}$/);
  t.is(await build(other), digest);
});

test('another part makes another image, and nothing is left of the one before', async (t) => {
  const dir = parts(t);
  const digest = await build(dir);
  writeFileSync(join(dir, 'tka-server.js'), 'another server');
  t.not(await build(dir), digest);
  const manifest = join(dir, 'image/blobs/sha256', digest.replace('sha256:', ''));
  t.throws(() => readFileSync(manifest), { code: 'ENOENT' });
});

test('a layer says nothing of when, where and by whom it was made', async (t) => {
  const entry = { path: '/a/b', mode: 0o644, content: Buffer.from('b') };
  const { compressed } = await makeLayer([{ path: '/tmp', mode: 0o1777 }, entry]);
  // Flags, time and system of RFC 1952.
  t.deepEqual([...compressed.subarray(3, 10)], [0, 0, 0, 0, 0, 0, 0xff]);
  const found = await unpackTar(gunzipSync(compressed));
  t.deepEqual(
    found.map(({ header: { name, mode, uid, gid, mtime } }) => [name, mode, uid, gid, mtime?.getTime()]),
    [
      ['a/', 0o755, 0, 0, 0],
      ['a/b', 0o644, 0, 0, 0],
      ['tmp/', 0o1777, 0, 0, 0],
    ],
  );
});

test('a program brings its loader, its libraries and theirs', (t) => {
  const found = sharedLibraries(process.execPath, architecture, '/').map((path) => path.split('/').at(-1) ?? '');
  t.true(
    found.some((name) => name.startsWith('ld-linux')),
    found.join(' '),
  );
  for (const name of ['libc.so.6', 'libstdc++.so.6', 'libgcc_s.so.1', 'libm.so.6']) t.true(found.includes(name), name);
  t.is(new Set(found).size, found.length);
});

test('what is no program for the processor is refused, and a root without a library is named', (t) => {
  t.throws(() => sharedLibraries(join(import.meta.dirname, 'layer.ts'), architecture, '/'), {
    message: /no 64-bit program/,
  });
  const other = architecture === 'arm64' ? 'amd64' : 'arm64';
  t.throws(() => sharedLibraries(process.execPath, other, '/'), { message: /another processor/ });
  t.throws(() => sharedLibraries(process.execPath, architecture, parts(t)), { message: /needs lib.* has nowhere/ });
});

test('the engine and the server are executable for everyone, and writable for no one', async (t) => {
  const dir = parts(t);
  await build(dir);
  const index = JSON.parse(readFileSync(join(dir, 'image/index.json'), 'utf8'));
  const blob = (digest: string): Buffer => readFileSync(join(dir, 'image/blobs', digest.replace(':', '/')));
  const { layers } = JSON.parse(blob(index.manifests[0].digest).toString());
  const entries = await unpackTar(gunzipSync(blob(layers[1].digest)));
  for (const place of [places.engine, places.server]) {
    t.is(entries.find(({ header }) => `/${header.name}` === place)?.header.mode, 0o755, place);
  }
});

const names: readonly (readonly [given: string, whole: string])[] = [
  ['tka-server:0.1.0', 'docker.io/library/tka-server:0.1.0'],
  ['spechtlabs/tka-server:0.1.0', 'docker.io/spechtlabs/tka-server:0.1.0'],
  ['ghcr.io/spechtlabs/tka-server:0.1.0', 'ghcr.io/spechtlabs/tka-server:0.1.0'],
  ['localhost/tka-server:0.1.0', 'localhost/tka-server:0.1.0'],
  ['registry:5000/tka-server:0.1.0', 'registry:5000/tka-server:0.1.0'],
];
for (const [given, whole] of names) {
  test(`an image named ${given} is imported as ${whole}`, (t) => {
    t.is(wholeName(given), whole);
  });
}

test("the archive's image has its whole name", async (t) => {
  const dir = parts(t);
  await build(dir);
  const index = JSON.parse(readFileSync(join(dir, 'image/index.json'), 'utf8'));
  t.regex(index.manifests[0].annotations['io.containerd.image.name'], /^docker\.io\/library\/tka-server:\d/);
});

test('a library is named in the bill of materials by its package, and by itself where it is of none', async (t) => {
  const root = mkdtempSync(join(tmpdir(), 'tka-bill-'));
  t.teardown(() => rmSync(root, { recursive: true }));
  mkdirSync(join(root, 'var/lib/dpkg/info'), { recursive: true });
  writeFileSync(
    join(root, 'var/lib/dpkg/status'),
    'Package: libc6\nStatus: install ok\nVersion: 2.36-9+deb12u14\n\nPackage: x\nVersion: 1\n',
  );
  writeFileSync(join(root, 'var/lib/dpkg/info/libc6:amd64.list'), '/usr/lib/libc.so.6\n/usr/lib/libm.so.6\n');
  t.deepEqual(await systemPackages(['/lib/libc.so.6', '/lib/libm.so.6', '/opt/libown.so'], root), [
    { name: 'libc6', version: '2.36-9+deb12u14', purl: 'pkg:deb/debian/libc6@2.36-9%2Bdeb12u14' },
    { name: 'libown.so', version: 'unknown', purl: 'pkg:generic/libown.so' },
  ]);
});
