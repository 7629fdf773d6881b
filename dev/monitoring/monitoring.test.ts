import { readFile } from 'node:fs/promises';
import test from 'ava';
import { parse } from 'yaml';
import * as z from 'zod';
import { createMetrics } from '../../node/observability/metrics/index.ts';
import type { MetricDefinition } from '../../node/observability/metrics/definitions.ts';
import { definitions } from '../../node/observability/metrics/definitions.ts';
import { parseExposition, sampleNames } from '../../node/testing/exposition.ts';
import { readQuery } from './promql.ts';

const file = (path: string): Promise<string> => readFile(new URL(`../../${path}`, import.meta.url), 'utf8');

const ruleSchema = z.strictObject({
  alert: z.string().regex(/^Tka[A-Z][A-Za-z]+$/),
  expr: z.string(),
  for: z.string().regex(/^\d+[smh]$/),
  labels: z.strictObject({ severity: z.enum(['critical', 'warning']) }),
  annotations: z.strictObject({
    summary: z.string().min(10).max(80),
    description: z.string().min(20),
    runbook_url: z.string(),
  }),
});
const alertsSchema = z.object({
  kind: z.literal('PrometheusRule'),
  spec: z.strictObject({ groups: z.array(z.strictObject({ name: z.string(), rules: z.array(ruleSchema) })) }),
});
const target = z.object({ expr: z.string(), legendFormat: z.string() });
const panelSchema = z.object({
  id: z.int(),
  type: z.string(),
  title: z.string().min(1),
  description: z.string().optional(),
  targets: z.array(target).default([]),
});
const dashboardSchema = z.object({
  panels: z.array(panelSchema),
  templating: z.object({ list: z.array(z.object({ name: z.string(), query: z.unknown() })) }),
  annotations: z.object({ list: z.array(z.object({ expr: z.string() })) }),
});

/** Labels that Prometheus adds to what it scrapes by the ServiceMonitor. */
const added: ReadonlySet<string> = new Set(['namespace', 'job', 'instance', 'pod', 'service', 'endpoint', 'container']);

const rules = alertsSchema
  .parse(parse(await file('manifests/monitoring/alerts.yaml')))
  .spec.groups.flatMap((group) => group.rules);
const dashboard = dashboardSchema.parse(JSON.parse(await file('manifests/monitoring/dashboard.json')));

/** By the name of a sample: its labels, with their values where those are a closed list. */
async function knownSamples(): Promise<ReadonlyMap<string, Readonly<Record<string, readonly string[] | string>>>> {
  const metrics = createMetrics(() => ({}), { version: '1', roles: [], now: () => 0 });
  const families = parseExposition((await metrics.scrape()).text);
  metrics.stop();
  return new Map(
    families.flatMap((family) => {
      const own: MetricDefinition | undefined = Object.entries(definitions).find(([name]) => name === family.name)?.[1];
      const labels =
        own?.labels ?? Object.fromEntries(Object.keys(family.samples[0]?.labels ?? {}).map((l) => [l, '']));
      const buckets = family.type === 'histogram' ? { le: 'bucket' } : {};
      return sampleNames(family).map((name) => [name, { ...labels, ...buckets }] as const);
    }),
  );
}

/** What a query asks for that no server of ours exposes. */
async function unknownIn(expr: string): Promise<readonly string[]> {
  const known = await knownSamples();
  // Grafana's own variable, a duration by the time it gets to Prometheus.
  const { selectors, grouping } = readQuery(expr.replaceAll('$__rate_interval', '5m'));
  if (selectors.length === 0) return ['nothing is asked for'];
  const problems: string[] = [];
  for (const { metric, matchers } of selectors) {
    const labels = known.get(metric);
    if (labels === undefined) {
      problems.push(`no metric ${metric}`);
      continue;
    }
    for (const { label, operator, value } of matchers) {
      const values = labels[label];
      if (values === undefined && !added.has(label)) problems.push(`${metric} has no label ${label}`);
      if (typeof values === 'object' && /^!?=$/.test(operator) && !values.includes(value))
        problems.push(`${metric} has no ${label} ${value}`);
    }
    for (const label of grouping) {
      if (labels[label] === undefined && !added.has(label)) problems.push(`${metric} has no label ${label}`);
    }
  }
  return problems;
}

for (const { alert, expr, annotations } of rules) {
  test(`the alert ${alert} asks for what there is`, async (t) => {
    t.deepEqual(await unknownIn(expr), []);
    t.is(annotations.runbook_url, `docs/runbooks.md#${alert.toLowerCase()}`);
    const { grouping } = readQuery(expr);
    const isAggregated = /^(?:absent|(?:sum|max|min) by|histogram_quantile)/.test(expr);
    for (const [, label = ''] of annotations.description.matchAll(/\$labels\.(\w+)/g)) {
      t.true(isAggregated ? grouping.includes(label) : added.has(label), `${label} is not in the result`);
    }
  });
}

test('alerts have names of their own, and each has its paragraph in the runbooks, in their order', async (t) => {
  const runbooks = await file('docs/runbooks.md');
  const paragraphs = [...runbooks.matchAll(/^## (\w+)\n\n(.+)/gm)].map(([, name = '', text = '']) => ({ name, text }));
  t.deepEqual(
    paragraphs.map(({ name }) => name),
    rules.map(({ alert }) => alert),
  );
  for (const { name, text } of paragraphs) t.true(text.length > 40, name);
});

for (const { title, targets } of dashboard.panels) {
  if (targets.length === 0) continue;
  test(`the panel ${title} asks for what there is`, async (t) => {
    for (const { expr, legendFormat } of targets) {
      t.deepEqual(await unknownIn(expr), [], expr);
      t.regex(expr, /namespace="\$namespace"/);
      const { grouping } = readQuery(expr.replaceAll('$__rate_interval', '5m'));
      const isAggregated = /\b(?:sum|max|count|min)\b/.test(expr);
      for (const [, label = ''] of legendFormat.matchAll(/\{\{(\w+)\}\}/g)) {
        t.true(isAggregated ? grouping.includes(label) : added.has(label), `${label} is not in ${expr}`);
      }
    }
  });
}

test('the dashboard has its rows, and every other panel shows something and says what', (t) => {
  const rows = dashboard.panels.filter(({ type }) => type === 'row').map(({ title }) => title);
  t.deepEqual(rows, ['Now', 'Logins', 'Sessions', 'Reconciler', 'Tailnet node', 'Proxy', 'Process']);
  const shown = dashboard.panels.filter(({ type }) => type !== 'row');
  for (const { title, targets, description = '' } of shown) t.true(targets.length > 0 && description !== '', title);
  t.is(new Set(dashboard.panels.map(({ id }) => id)).size, dashboard.panels.length);
});

test('the dashboard’s variables and annotations ask for what there is', async (t) => {
  for (const { expr } of dashboard.annotations.list) t.deepEqual(await unknownIn(expr), []);
  const [, metric = '', label = ''] = /label_values\((\w+), (\w+)\)/.exec(JSON.stringify(dashboard.templating)) ?? [];
  t.deepEqual(await unknownIn(`${metric}{${label}="x"}`), []);
});

test('every metric of our own is on the dashboard', (t) => {
  const shown = JSON.stringify(dashboard);
  t.deepEqual(
    Object.keys(definitions).filter((name) => !shown.includes(name)),
    [],
  );
});

const monitorSchema = z.object({
  spec: z.object({
    selector: z.object({ matchLabels: z.record(z.string(), z.string()) }),
    endpoints: z.tuple([z.object({ port: z.string(), path: z.literal('/metrics') })]),
  }),
});
const serviceSchema = z.object({
  metadata: z.object({ labels: z.record(z.string(), z.string()) }),
  spec: z.object({ ports: z.array(z.object({ name: z.string() })) }),
});

test("the ServiceMonitor finds the server's Service and a port of it", async (t) => {
  const { selector, endpoints } = monitorSchema.parse(
    parse(await file('manifests/monitoring/service-monitor.yaml')),
  ).spec;
  const { metadata, spec } = serviceSchema.parse(parse(await file('manifests/server/service.yaml')));
  t.like(metadata.labels, selector.matchLabels);
  t.true(spec.ports.some(({ name }) => name === endpoints[0].port));
});

const wrong: readonly [expr: string, problem: RegExp][] = [
  ['sum(tka_made_up)', /no metric tka_made_up/],
  ['tka_login_total{outcome="failed"}', /no label outcome/],
  ['tka_login_total{result="lost"}', /no result lost/],
  ['sum by (user) (tka_login_total)', /no label user/],
  ['rate(tka_login_seconds_total[5m])', /no metric/],
  ['1 + 1', /nothing is asked for/],
];
for (const [expr, problem] of wrong) {
  test(`a query that asks for what is not there is seen: ${expr}`, async (t) => {
    t.regex((await unknownIn(expr)).join(), problem);
  });
}

test('what is no PromQL is seen', (t) => {
  for (const text of ['sum(', 'rate(tka_login_total[5m]', 'tka_login_total{a=1}', 'tka up']) {
    t.throws(() => readQuery(text), undefined, text);
  }
});
