/** The chart's README: how to install it, and a table of its values made from values.yaml and the comments in it. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { format, resolveConfig } from 'prettier';
import { isMap, isScalar, parseDocument } from 'yaml';
import type { Node, Pair } from 'yaml';

interface Row {
  readonly key: string;
  readonly value: unknown;
  readonly meaning: string;
}

/** Values that are set as a whole. */
const whole: ReadonlySet<string> = new Set(['resources']);

/** The whole file, as prettier has it; `chart` is the chart's folder. */
export async function valuesReadme(chart: string): Promise<string> {
  const rows = readValues(await readFile(join(chart, 'values.yaml'), 'utf8')).map(
    ({ key, value, meaning }) =>
      `| \`${key}\` | \`${JSON.stringify(value)}\` | ${meaning.replaceAll('|', String.raw`\|`)} |`,
  );
  const text = `<!-- Made by \`npm run build:chart\` from values.yaml: change that. -->
# Helm chart for tka

The server of tka, with the CRD, rights and admission policies that it needs, in the namespaces \`tka-system\` and \`tka-sessions\`. With its default
values it installs what \`kubectl apply -k manifests/\` does. Needs Kubernetes 1.30 or newer.

\`\`\`sh
helm install tka charts/tka --namespace default
kubectl create secret generic tka-auth -n tka-system --from-literal=TS_AUTHKEY=tskey-auth-...
kubectl rollout status statefulset/tka -n tka-system
\`\`\`

The release is recorded in another namespace, because the chart creates its own. Everything else: [Deploying tka](../../docs/deploy.md).

## Values

| value | default | meaning |
|---|---|---|
${rows.join('\n')}
`;
  return format(text, { ...(await resolveConfig(join(chart, 'README.md'))), parser: 'markdown' });
}

/** Each value with the comment before it; throws if one has none. */
export function readValues(text: string): readonly Row[] {
  const { contents } = parseDocument(text);
  if (!isMap(contents)) throw new Error('values.yaml is not a mapping');
  return rowsOf(contents.items, [], {});
}

function rowsOf(
  items: readonly Pair<Node, Node | null>[],
  above: readonly string[],
  firstOf: { comment?: string },
): readonly Row[] {
  return items.flatMap((pair, index): readonly Row[] => {
    const name = isScalar(pair.key) ? String(pair.key.value) : '';
    const path = [...above, name];
    const key = path.join('.');
    // The comment before the first key of a mapping belongs to the mapping, for this parser.
    const comment = pair.key.commentBefore ?? (index === 0 ? firstOf.comment : undefined);
    const { value } = pair;
    if (isMap(value) && value.items.length > 0 && !whole.has(key)) {
      const inner = value.commentBefore;
      return rowsOf(
        value.items as readonly Pair<Node, Node | null>[],
        path,
        inner === undefined || inner === null ? {} : { comment: inner },
      );
    }
    const meaning =
      (comment ?? '')
        .split('\n\n')
        .at(-1)
        ?.replaceAll(/\s*\n\s*/g, ' ')
        .trim() ?? '';
    if (meaning === '') throw new Error(`values.yaml has no comment before ${key}`);
    return [{ key, value: value?.toJSON() as unknown, meaning }];
  });
}
