import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { repetitions, setVersion } from './set-version.ts';

const root = join(import.meta.dirname, '..');

test('every file that says the version again says that of package.json', async (t) => {
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string };
  const files = await repetitions(root);
  t.true(files.some(({ file }) => file === 'manifests/kustomization.yaml'));
  for (const { file, found } of files) {
    t.true(found.length > 0, file);
    t.deepEqual(
      found,
      Array.from(found, () => version),
      file,
    );
  }
});

test('`npm version` changes those lines, and nothing else', async (t) => {
  const copy = await mkdtemp(join(tmpdir(), 'tka-version-'));
  t.teardown(() => rm(copy, { recursive: true, force: true }));
  const before = await repetitions(root);
  for (const { file } of before) await cp(join(root, file), join(copy, file), { recursive: true });
  t.deepEqual(
    await setVersion(copy, '9.8.7'),
    before.map(({ file }) => file),
  );
  for (const { file, text, found } of await repetitions(copy)) {
    t.true(found.length > 0 && found.every((version) => version === '9.8.7'), file);
    const original = before.find((one) => one.file === file)?.text.split('\n') ?? [];
    const changed = text.split('\n').filter((line, index) => line !== original[index]);
    t.is(changed.length, found.length, file);
  }
});
