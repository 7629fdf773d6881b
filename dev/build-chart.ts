/**
 * `npm run build:chart`: writes what of charts/tka comes from the manifests. What is there by hand (values, settings, notes) stays. With
 * `-- --check` it writes nothing and says whether there would be anything to write.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { chartFiles } from './chart/templates.ts';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const chart = join(root, 'charts/tka');

const { values } = parseArgs({ options: { check: { type: 'boolean', default: false } } });
for (const [file, text] of await chartFiles(root)) {
  const path = join(chart, file);
  const before = await readFile(path, 'utf8').catch(() => undefined);
  if (before === text) continue;
  process.stdout.write(`${values.check ? 'differs' : 'written'}: charts/tka/${file}\n`);
  if (values.check) process.exitCode = 1;
  else await writeFile(path, text);
}
