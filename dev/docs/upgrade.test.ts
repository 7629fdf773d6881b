/** The tables of docs/upgrade.md name what exists: metrics by their definitions, Helm values by the chart. */
import { readFile } from 'node:fs/promises';
import test from 'ava';
import { parse } from 'yaml';
import { definitions } from '../../node/observability/metrics/definitions.ts';

const text = async (path: string): Promise<string> => readFile(new URL(`../../${path}`, import.meta.url), 'utf8');
const page = await text('docs/upgrade.md');

/** The right-hand cells of the table under a heading. */
function newNames(heading: string): readonly string[] {
  const section = new RegExp(`^## ${heading}$(.*?)^## `, 'ms').exec(page)?.[1] ?? '';
  const cells = [...section.matchAll(/^\|[^|]*\|([^|]*)\|$/gm)].slice(2).map(([, cell = '']) => cell);
  return cells.flatMap((cell) => [...cell.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name));
}

test('every metric that replaces one of the Go tka exists, with the labels named', (t) => {
  const names = newNames('Metrics');
  t.true(names.length >= 6);
  for (const name of names) {
    const [, metric = '', labels = ''] = /^(\w+)(?:\{(.*)\})?$/.exec(name) ?? [];
    const definition = Object.entries(definitions).find(([key]) => key === metric)?.[1];
    t.truthy(definition, name);
    const known = Object.keys(definition !== undefined && 'labels' in definition ? definition.labels : {});
    for (const label of labels.split(',').filter((one) => one !== '')) t.true(known.includes(label.replace(/=.*/, '')), name);
  }
});

test('every Helm value that replaces one of the Go chart exists', async (t) => {
  const values: unknown = parse(await text('charts/tka/values.yaml'));
  const names = newNames('Helm values').filter((name) => !name.includes(': ') && !name.startsWith('tracing.'));
  t.true(names.length >= 12);
  for (const name of names) {
    const found = name.split('.').reduce<unknown>(
      (at, key) => (typeof at === 'object' && at !== null ? (at as Record<string, unknown>)[key] : undefined),
      values,
    );
    t.not(found, undefined, name);
  }
});
