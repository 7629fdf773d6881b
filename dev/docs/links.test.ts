import { access } from 'node:fs/promises';
import { dirname, join, normalize } from 'node:path';
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

test('the index names every page', async (t) => {
  const index = await readPage('docs/README.md');
  const pages = (await readPages()).map(({ path }) => path);
  const missing = pages.filter(
    (path) => /^docs\/[^/]+\.md$/.test(path) && path !== index.path && !index.links.includes(path.slice(5)),
  );
  t.deepEqual(missing, []);
});

test('headings are linked as GitHub links them, links in code are none', (t) => {
  const page = parsePage('x.md', '# `tka exec` (also)\n## It’s *so*: 1.5\n## Two\n## Two\n`[a](b)` [c](d#e)\n```\n[f](g)\n```\n');
  t.deepEqual([...page.anchors], ['tka-exec-also', 'its-so-15', 'two', 'two-1']);
  t.deepEqual(page.links, ['d#e']);
  t.deepEqual(page.code, ['tka exec', '[a](b)']);
  t.deepEqual(page.blocks, [{ language: '', text: '[f](g)\n' }]);
});
