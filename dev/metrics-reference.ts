/** Makes docs/metrics.md from node/observability/metrics/definitions.ts. */
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import type { MetricDefinition } from '../node/observability/metrics/definitions.ts';
import { definitions, metricNames } from '../node/observability/metrics/definitions.ts';

export const metricsReferencePath = fileURLToPath(new URL('../docs/metrics.md', import.meta.url));

const introduction = `\
<!-- Made by \`npm run docs\` from node/observability/metrics/definitions.ts: change that. -->

# Metrics of the server

\`/metrics\` of the health port (\`health.address\`, \`health.port\`) has them in Prometheus' text format. Gauges are read at each
scrape. No label ever names a user, a machine or an address. Until the server has reached the API server, gauges of the
reconciler have no sample; all others have one from the start.

Alerts on them, a ServiceMonitor and a dashboard are in \`manifests/monitoring\`; what to do about each alert: [runbooks](runbooks.md).
In addition there are \`process_*\` and \`nodejs_*\`, as prom-client makes them.
`;

/** The whole file, as prettier has it. */
export async function renderMetricsReference(): Promise<string> {
  const sections = metricNames.map((name) => section(name, definitions[name]));
  const style = await resolveConfig(metricsReferencePath);
  return format([introduction, ...sections].join('\n\n'), { ...style, parser: 'markdown' });
}

function section(name: string, { type, help, labels = {}, buckets, absent, note }: MetricDefinition): string {
  const facts = Object.entries(labels).map(
    ([label, values]) =>
      `- \`${label}\`: ${typeof values === 'string' ? values : values.map((value) => `\`${value}\``).join(', ')}`,
  );
  if (buckets !== undefined) facts.push(`- buckets: ${buckets.join(', ')}`);
  if (absent !== undefined) facts.push(`- no sample: ${absent}`);
  return [`## \`${name}\``, `${type}. ${help}${note === undefined ? '' : ` ${sentence(note)}`}`, facts.join('\n')]
    .filter((part) => part !== '')
    .join('\n\n');
}

/** A note may begin with a label's value, which keeps its spelling. */
function sentence(note: string): string {
  return note.endsWith('.') ? note : `${note}.`;
}
