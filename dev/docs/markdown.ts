/**
 * The documentation as tests see it: every Markdown file that people read, with its headings, links, code and tables. Read by
 * hand and not by a Markdown library, because of it all only these are needed.
 */
import { glob, readFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface Block {
  /** Empty where the fence names none. */
  readonly language: string;
  readonly text: string;
}

export interface Page {
  /** From the project's root, with forward slashes. */
  readonly path: string;
  readonly text: string;
  readonly blocks: readonly Block[];
  /** What stands between single backticks, outside of blocks. */
  readonly code: readonly string[];
  /** Targets of links, as written, outside of blocks and code. */
  readonly links: readonly string[];
  /** Fragments that its headings can be linked by, as GitHub makes them. */
  readonly anchors: ReadonlySet<string>;
}

export const root = join(import.meta.dirname, '../..');

export async function readPages(): Promise<readonly Page[]> {
  const paths: string[] = [];
  for await (const path of glob(['*.md', 'docs/**/*.md', '.github/**/*.md'], { cwd: root })) {
    // Pieces that docs/cli.md is made of.
    if (!path.startsWith(join('docs', 'cli/'))) paths.push(path);
  }
  return Promise.all(paths.toSorted().map(async (path) => parsePage(path, await readFile(join(root, path), 'utf8'))));
}

export async function readPage(path: string): Promise<Page> {
  return parsePage(path, await readFile(join(root, path), 'utf8'));
}

export function parsePage(path: string, text: string): Page {
  const fence = /^( *)```(\w*)[^\n]*\n(.*?)^ *```$/gms;
  const blocks = [...text.matchAll(fence)].map(([, indent = '', language = '', body = '']) => ({
    language,
    text: body.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
  }));
  const prose = text.replaceAll(fence, '').replaceAll(/<!--.*?-->/gs, '');
  const inline = /(?<!`)`([^`]+)`(?!`)/g;
  const plain = prose.replaceAll(inline, '');
  return {
    path,
    text,
    blocks,
    code: [...prose.matchAll(inline)].map(([, code = '']) => code.replaceAll(/\s+/g, ' ')),
    links: [...plain.matchAll(/\]\(([^()\s]+)\)/g)].map(([, target = '']) => target),
    anchors: anchorsOf(prose),
  };
}

/** Lower case, without punctuation, spaces as dashes; the second of the same name gets -1. */
function anchorsOf(prose: string): ReadonlySet<string> {
  const anchors = new Set<string>();
  for (const [, heading = ''] of prose.matchAll(/^#{1,6} +(.+?) *$/gm)) {
    const shown = heading.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1').replaceAll('`', '');
    const slug = shown
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}_ -]/gu, '')
      .replaceAll(' ', '-');
    let name = slug;
    for (let again = 1; anchors.has(name); again += 1) name = `${slug}-${again}`;
    anchors.add(name);
  }
  return anchors;
}
