/**
 * What docs/troubleshooting.md says that the product says, it says: every heading that is a message, and every message in the
 * text below it, is in the sources, with `…` for what varies.
 */
import { glob, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { exitCodes } from '../../tui/errors.ts';
import { readPage, root } from './markdown.ts';

const page = await readPage('docs/troubleshooting.md');
const sources = await readSources();

/** As one text, in which a string that is written in two pieces is whole. */
async function readSources(): Promise<string> {
  const texts: string[] = [];
  for await (const path of glob('{crd,reconciler,node,tui}/**/*.{ts,tsx,go}', { cwd: root })) {
    if (!/\.test\.tsx?$|_test\.go$|fixture|fake|\/testing\//.test(path)) texts.push(await readFile(join(root, path), 'utf8'));
  }
  return texts.join('\n').replaceAll(/['"`]\s*\+\s*['"`]/g, '').replaceAll(String.raw`\'`, "'");
}

/** What stands between two pieces is one expression in one string. */
const isSaid = (message: string): boolean => {
  const pieces = message.split('…').map((piece) => piece.trim().replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`));
  return new RegExp(pieces.join(String.raw`[^\n]{0,120}?`)).test(sources);
};

test('every message that is quoted is in the sources', (t) => {
  const headings = [...page.text.matchAll(/^### `([^`]+)`$/gm)].map(([, message = '']) => message);
  t.true(headings.length > 25);
  // In the text only what reads like a sentence: names of settings, files and commands have tests of their own.
  const quoted = page.code.filter(
    (code) => code.includes(' ') && !/^(tka|kubectl|npm|tailscale|headscale)\b|^--|^"/.test(code),
  );
  const missing = [...new Set([...headings, ...quoted])].filter((message) => !isSaid(message));
  t.deepEqual(missing, []);
});

test('a message that is in no source is found', (t) => {
  t.true(isSaid('… is online, but nothing answers there'));
  t.false(isSaid('… is online, and nothing answers there'));
  // Both are said, by different messages.
  t.true(isSaid('the ClusterRole …') && isSaid('… is offline') && !isSaid('the ClusterRole … is offline'));
});

test('the exit codes are those of the command', (t) => {
  const rows = [...page.text.matchAll(/^\| (\d+) \| (.+?) \|/gm)].map(([, code, meaning = '']) => [Number(code), meaning]);
  t.deepEqual(
    rows.map(([code]) => code),
    Object.values(exitCodes),
  );
  t.regex(String(rows[exitCodes.denied]?.[1]), /^denied/);
  t.regex(String(rows[exitCodes.unreachable]?.[1]), /could be reached/);
});
