/** What docs/deploy.md shows, so that tests try what is written there. */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import type { Stack } from '../../dev/stack/stack.ts';

const page = new URL('../../docs/deploy.md', import.meta.url);

/** The blocks of shell commands in the section, in their order. */
export async function commandsOf(section: string): Promise<readonly string[]> {
  return blocksOf(section, 'sh');
}

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

/** As an administrator types them, with kubectl on the PATH; rejects with what the first failing command said. */
export async function runAsAdmin(stack: Pick<Stack, 'binDir' | 'kubeconfig' | 'dir'>, script: string): Promise<void> {
  const env = { HOME: stack.dir, KUBECONFIG: stack.kubeconfig, PATH: `${stack.binDir}:/usr/bin:/bin` };
  await promisify(execFile)('bash', ['-euo', 'pipefail', '-c', script.trim()], { env, cwd: stack.dir });
}
