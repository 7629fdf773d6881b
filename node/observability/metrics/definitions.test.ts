import test from 'ava';
import { createMetrics } from './index.ts';
import type { MetricDefinition } from './definitions.ts';
import { bounded, definitions, metricNames } from './definitions.ts';
import { lintExposition, parseExposition } from '../../testing/exposition.ts';

async function exposed() {
  const metrics = createMetrics(() => ({}), { version: '1.2.3', roles: ['view'], now: () => 0 });
  const { text } = await metrics.scrape();
  metrics.stop();
  return parseExposition(text);
}

test('the exposed metrics are the defined ones, with help, type and labels', async (t) => {
  const own = (await exposed()).filter(({ name }) => name.startsWith('tka_'));
  t.deepEqual(own.map(({ name }) => name).sort(), metricNames.toSorted());
  for (const { name, type, help, samples } of own) {
    const definition: MetricDefinition = definitions[name as keyof typeof definitions];
    t.is(type, definition.type, name);
    t.is(help, definition.help, name);
    for (const { labels } of samples) {
      t.deepEqual(
        Object.keys(labels)
          .filter((label) => label !== 'le')
          .sort(),
        Object.keys(definition.labels ?? {}).sort(),
        name,
      );
      for (const [label, value] of Object.entries(labels)) {
        const values = definition.labels?.[label];
        if (typeof values === 'object') t.true(values.includes(value), `${name} ${label}=${value}`);
      }
    }
  }
});

test('a linter has nothing to say of the metrics of our own', async (t) => {
  t.deepEqual(lintExposition((await exposed()).filter(({ name }) => name.startsWith('tka_'))), []);
});

const faults: readonly [what: string, text: string][] = [
  ['a counter without _total', '# HELP a x\n# TYPE a counter\na 1\n'],
  ['a gauge with _total', '# HELP a_total x\n# TYPE a_total gauge\na_total 1\n'],
  ['a metric twice', '# HELP a x\n# TYPE a gauge\na 1\n# HELP a x\n# TYPE a gauge\na 1\n'],
  ['a series twice', '# HELP a x\n# TYPE a gauge\na{b="c"} 1\na{b="c"} 2\n'],
  ['milliseconds', '# HELP a_milliseconds x\n# TYPE a_milliseconds gauge\na_milliseconds 1\n'],
  ['a unit that is not said', '# HELP a_seconds Time.\n# TYPE a_seconds gauge\na_seconds 1\n'],
  ['no help', '# HELP a  \n# TYPE a gauge\na 1\n'],
  ['a counter that falls below nothing', '# HELP a_total x\n# TYPE a_total counter\na_total -1\n'],
];
for (const [what, text] of faults) {
  test(`the linter sees ${what}`, (t) => {
    t.is(lintExposition(parseExposition(text)).length, 1);
  });
}

for (const text of [
  'a 1\n',
  '# HELP a x\n# TYPE a gauge\na{b=c} 1\n',
  '# HELP a x\n# TYPE a gauge\nb 1\n',
  '# HELP a x',
]) {
  test(`what no scrape would read is refused: ${JSON.stringify(text)}`, (t) => {
    t.throws(() => parseExposition(text));
  });
}

test('what a label may not say is counted under another value', (t) => {
  t.is(bounded('get', ['get', 'other'], 'other'), 'get');
  t.is(bounded('__proto__', ['get', 'other'], 'other'), 'other');
});
