import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { chartFiles } from './templates.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const read = (file: string): Promise<string> => readFile(`${root}/${file}`, 'utf8');

test('the chart is made from the manifests as they are: npm run build:chart', async (t) => {
  for (const [file, text] of await chartFiles(root)) {
    t.is(await read(`charts/tka/${file}`), text, file);
  }
});
