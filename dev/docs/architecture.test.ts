/** What the pages for those who change tka name exists: files, folders, npm scripts; and no room and no promise is left out. */
import { access, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { readPage, readPages, root } from './markdown.ts';

const pathPattern = /^(?:\.github|bench|charts|crd|dev|docs|e2e|manifests|node|reconciler|tui)\/[\w./-]*$/;

async function missing(code: readonly string[]): Promise<readonly string[]> {
  const found: string[] = [];
  for (const path of new Set(code.filter((one) => pathPattern.test(one) && !one.includes('NAME')))) {
    const exists = await access(join(root, path)).then(
      () => true,
      () => false,
    );
    if (!exists) found.push(path);
  }
  return found;
}

test('every file and folder that the architecture, CONTRIBUTING and the decisions name exists', async (t) => {
  const pages = (await readPages()).filter(
    ({ path }) => path.startsWith('docs/decisions/') || ['docs/architecture.md', 'CONTRIBUTING.md'].includes(path),
  );
  t.true(pages.length > 5);
  for (const { path, code } of pages) t.deepEqual(await missing(code), [], path);
  t.true((pages.find(({ path }) => path === 'docs/architecture.md')?.code.length ?? 0) > 100);
});

test('a file that does not exist is found', async (t) => {
  t.deepEqual(await missing(['node/serve.ts', 'node/nothing.ts', 'tui/commands/NAME.ts', 'tka login']), ['node/nothing.ts']);
});

test('the architecture names every folder of the product', async (t) => {
  const { code } = await readPage('docs/architecture.md');
  for (const room of ['tui', 'node', 'reconciler']) {
    const folders = (await readdir(join(root, room), { withFileTypes: true })).filter((entry) => entry.isDirectory());
    const own = folders.map(({ name }) => `${room}/${name}/`).filter((path) => !path.endsWith('/testing/'));
    t.true(own.length > 4);
    t.deepEqual(
      own.filter((path) => !code.includes(path)),
      [],
    );
  }
});

test('each promise names a test that attacks it', async (t) => {
  const { text } = await readPage('docs/architecture.md');
  const [, promises = ''] = /^## What always holds$(.*?)^## /ms.exec(text) ?? [];
  const rows = [...promises.matchAll(/^\| (?!\||threat|---)(.+) \|$/gm)].map(([, row = '']) => row);
  t.true(rows.length > 30);
  t.deepEqual(
    rows.filter((row) => !/\| `(?:e2e\/|[\w/-]+[._]test\.(?:tsx?|go)`)/.test(row)),
    [],
  );
});

test('the npm scripts that CONTRIBUTING names exist', async (t) => {
  const { scripts } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { scripts: object }; // ours
  const { text } = await readPage('CONTRIBUTING.md');
  const named = [...text.matchAll(/npm run ([\w:-]+)/g)].map(([, name = '']) => name);
  t.true(named.length > 8);
  t.deepEqual(
    named.filter((name) => !(name in scripts)),
    [],
  );
});
