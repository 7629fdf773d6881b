import { readdir, readFile } from 'node:fs/promises';
import test from 'ava';
import { declareForHelp, pathOf, visibleCommands } from '../tui/testing/help-text.ts';
import { cliReferencePath, renderCliReference } from './build-docs.ts';
import { metricsReferencePath, renderMetricsReference } from './metrics-reference.ts';

test('docs/cli.md is what the commands say of themselves', async (t) => {
  const made = await renderCliReference();
  t.is(await readFile(cliReferencePath, 'utf8'), made, 'write it again: npm run docs');
});

test('docs/metrics.md is what the metrics are defined as', async (t) => {
  t.is(await readFile(metricsReferencePath, 'utf8'), await renderMetricsReference(), 'write it again: npm run docs');
});

test('every piece of prose belongs to a command, or begins or ends the file', async (t) => {
  const { root } = declareForHelp();
  const names = visibleCommands(root).flatMap((command) => [command, ...visibleCommands(command)]);
  const known = new Set(['introduction', 'closing', ...names.map((one) => pathOf(one).slice(4).replaceAll(' ', '-'))]);
  const files = await readdir(new URL('../docs/cli/', import.meta.url));
  t.deepEqual(
    files.filter((file) => !known.has(file.replace(/\.md$/, ''))),
    [],
  );
});
