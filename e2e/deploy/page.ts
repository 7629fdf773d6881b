/** What docs/deploy.md shows, so that tests try what is written there. */
import { readFile } from 'node:fs/promises';

const page = new URL('../../docs/deploy.md', import.meta.url);

/** The blocks of a language in the section, in their order. Throws where there is none: a test of nothing passes. */
export async function blocksOf(section: string, language: string): Promise<readonly string[]> {
  const [, text = ''] = (await readFile(page, 'utf8')).split(`\n## ${section}\n`);
  const [own = ''] = text.split('\n## ');
  const blocks = [...own.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, 'gms'))].map(
    ([, block = '']) => block,
  );
  if (blocks.length === 0) throw new Error(`docs/deploy.md has no ${language} in a section ${section}`);
  return blocks;
}
