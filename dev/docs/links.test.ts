import { access } from 'node:fs/promises';
import { basename, dirname, join, normalize } from 'node:path';
import test from 'ava';
import { parsePage, readPage, readPages, root } from './markdown.ts';

test('every relative link leads to a file of the project, and every fragment to a heading in it', async (t) => {
  const pages = new Map((await readPages()).map((page) => [page.path, page]));
  t.true(pages.has('README.md') && pages.has('docs/README.md'));
  const broken: string[] = [];
  for (const page of pages.values()) {
    for (const link of page.links.filter((target) => !/^[a-z]+:/.test(target))) {
      const [file = '', fragment] = link.split('#');
      const path = file === '' ? page.path : normalize(join(dirname(page.path), decodeURIComponent(file)));
      const exists = await access(join(root, path)).then(
        () => true,
        () => false,
      );
      const isThere = exists && (fragment === undefined || pages.get(path)?.anchors.has(fragment) === true);
      if (!isThere) broken.push(`${page.path}: ${link}`);
    }
  }
  t.deepEqual(broken, []);
});

for (const folder of ['docs', 'docs/decisions']) {
  test(`the index of ${folder} names every page in it`, async (t) => {
    const index = await readPage(`${folder}/README.md`);
    const pages = (await readPages()).map(({ path }) => path).filter((path) => dirname(path) === folder);
    t.true(pages.length > 5);
    const missing = pages.filter((path) => path !== index.path && !index.links.includes(basename(path)));
    t.deepEqual(missing, []);
  });
}

test('a record of a decision has at most 60 lines, a status and the sections of the others', async (t) => {
  const records = (await readPages()).filter(
    ({ path }) => dirname(path) === 'docs/decisions' && basename(path) !== 'README.md',
  );
  for (const { path, text, anchors } of records) {
    t.true(text.split('\n').length <= 61, path);
    t.regex(text, /^# .+\n\nStatus: /, path);
    for (const section of ['context', 'decision', 'consequences', 'figures']) t.true(anchors.has(section), `${path}: ${section}`);
  }
});

test('headings are linked as GitHub links them, links in code do not count', (t) => {
  const page = parsePage('x.md', '# `tka exec` (also)\n## It’s *so*: 1.5\n## Two\n## Two\n`[a](b)` [c](d#e)\n```\n[f](g)\n```\n');
  t.deepEqual([...page.anchors], ['tka-exec-also', 'its-so-15', 'two', 'two-1']);
  t.deepEqual(page.links, ['d#e']);
  t.deepEqual(page.code, ['tka exec', '[a](b)']);
  t.deepEqual(page.blocks, [{ language: '', text: '[f](g)\n' }]);
});
