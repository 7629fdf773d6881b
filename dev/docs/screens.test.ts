/** The pictures of the README are what the screens draw today, and a page that forbids everything but an image shows them. */
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import { readPage, root } from './markdown.ts';
import { terminalSvg } from './terminal-svg.ts';

const committed = join(root, 'docs/images');

test('docs/images is what the screens draw', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'tka-screens-'));
  t.teardown(() => rm(folder, { recursive: true }));
  const args = [`--import=${join(root, 'dev/load-tsx.ts')}`, join(root, 'dev/build-screens.ts'), folder];
  await promisify(execFile)(process.execPath, args);
  const names = await readdir(folder);
  t.deepEqual((await readdir(committed)).toSorted(), names.toSorted());
  for (const name of names) {
    t.is(await readFile(join(committed, name), 'utf8'), await readFile(join(folder, name), 'utf8'), 'write it again: npm run docs');
  }
});

test('every picture is in the README, and loads nothing', async (t) => {
  const { text } = await readPage('README.md');
  for (const name of await readdir(committed)) {
    t.true(text.includes(`docs/images/${name}`), name);
    t.notRegex(await readFile(join(committed, name), 'utf8'), /<script|<foreignObject|href|url\(|@import|@font-face/);
  }
});

test('a style changes what follows it, and words keep their columns', (t) => {
  const svg = terminalSvg({ title: 'a <b>', text: '\u001B[32m\u001B[1m✓\u001B[22m ok\u001B[39m  &  x', columns: 10 });
  t.true(svg.includes('aria-label="a &lt;b&gt;"'));
  const texts = [...svg.matchAll(/<text x="([\d.]+)"[^>]*?textLength="[\d.]+" lengthAdjust="\w+"([^>]*)>(.*?)<\/text>/g)];
  t.deepEqual(
    texts.map(([, x, style, text]) => [x, style, text]),
    [
      ['16', ' font-weight="bold" fill="#56d364"', '✓'],
      ['32.8', ' fill="#56d364"', 'ok'],
      ['66.4', '', '&amp;'],
      ['91.6', '', 'x'],
    ],
  );
});

test('a style that the picture does not know is an error', (t) => {
  t.throws(() => terminalSvg({ title: '', text: '\u001B[4munderlined', columns: 10 }), { message: /no style 4/ });
});
