/** What of an installation is in a cluster: after an uninstall, nothing may be. */
import type { ClusterStack } from '../../dev/stack/stack.ts';
import { until } from '../../dev/stack/until.ts';

type Cluster = Pick<ClusterStack, 'kubectl'>;

/**
 * `kind/name` of every object that the installation or a session made, in every kind that the API server lists; what the stack's
 * node is called, and what was said of objects in Events, is not of it. Waits for namespaces that are on their way out.
 */
export async function remains(cluster: Cluster): Promise<readonly string[]> {
  const isGoing = async (): Promise<boolean> => {
    const { stdout } = await cluster.kubectl(['get', 'namespaces', '-o', 'json']);
    // A List, says -o json.
    const { items } = JSON.parse(stdout) as { items: { metadata: { deletionTimestamp?: string } }[] };
    return items.every(({ metadata }) => metadata.deletionTimestamp === undefined);
  };
  await until(isGoing, { what: 'namespaces to be gone', timeoutMs: 60_000, everyMs: 200 });
  const [global, namespaced] = await Promise.all([kindsOf(cluster, false), kindsOf(cluster, true)]);
  const [wide, inside] = await Promise.all([
    names(cluster, ['get', global.join(','), '-o', 'name']),
    names(cluster, ['get', namespaced.join(','), '-A', '-o', 'name']),
  ]);
  return [...wide, ...inside].filter((name) => /\btka\b/.test(name) && !/^event|\btka-node-/.test(name)).toSorted();
}

async function kindsOf(cluster: Cluster, isNamespaced: boolean): Promise<readonly string[]> {
  const flags = ['--verbs=list', `--namespaced=${isNamespaced}`, '-o', 'name'];
  return names(cluster, ['api-resources', ...flags]);
}

async function names(cluster: Cluster, args: readonly string[]): Promise<readonly string[]> {
  const { code, stdout, stderr } = await cluster.kubectl(args);
  if (code !== 0) throw new Error(`kubectl ${args.slice(0, 2).join(' ')}: ${stderr}`);
  return stdout.split('\n').filter((line) => line !== '');
}
