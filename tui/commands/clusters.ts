/**
 * `tka clusters`: the servers on this tailnet and in the configuration file, whether they are trusted, and which roles
 * they grant you. Asks each of them; trusts none.
 */
import { type Cluster, findClusters } from '../discovery/index.ts';
import { writeData } from '../terminal/structured-output.ts';
import type { ClustersFlags } from '../flags.ts';
import { createWords, printable, renderTableWithin, widthOf } from '../terminal/output.ts';
import type { Runtime } from '../runtime.ts';

export async function clusters(runtime: Runtime, flags: ClustersFlags): Promise<void> {
  const { signal } = runtime;
  const { clusters: found, tailnet, problem } = await findClusters(runtime, { signal, config: flags.config });
  const { askRoles } = await import('../discovery/ask.ts');
  const rows = await Promise.all(
    found.map(async (cluster) => ({
      cluster,
      roles: cluster.answer.state === 'here' ? await askRoles(runtime, cluster, { tailnet, signal }) : undefined,
    })),
  );
  const words = createWords(runtime, flags.quiet === true);
  if (flags.output !== undefined) {
    const names = found.map(({ name }) => name);
    await writeData(runtime, flags.output, { clusters: rows.map(toRecord) }, names);
  } else if (rows.length > 0) {
    const fit = { width: widthOf(runtime.stdout), expendable: ['MODES', 'VERSION', 'TRUST'] };
    runtime.stdout.write(renderTableWithin([head, ...rows.map(toCells)], fit));
  }
  if (problem !== undefined && found.length === 0) throw problem;
  if (problem !== undefined) words.warn(`the tailnet was not searched: ${problem.message}`);
  else if (found.length === 0) words.say(`No tka server was found. ${howFound}`);
}

const head = ['NAME', 'SERVER', 'TRUST', 'VERSION', 'MODES', 'ROLES'];
const howFound = 'Looked for: machines tagged tag:tka* or named tka*, or as `tka config get discovery.tags` says.';

interface Row {
  readonly cluster: Cluster;
  /** Undefined where the server did not say. */
  readonly roles: readonly string[] | undefined;
}

function toRecord({ cluster, roles }: Row): object {
  const { name, server, source, trust, peer, answer } = cluster;
  const { id, name: node, addresses, tags } = peer ?? {};
  return {
    name,
    server,
    source,
    trust,
    ...(id === undefined ? {} : { node: { id, name: node, addresses, tags } }),
    ...answer,
    ...(roles === undefined ? {} : { roles }),
  };
}

function toCells({ cluster, roles }: Row): readonly string[] {
  const { name, server, trust, answer } = cluster;
  if (answer.state !== 'here') {
    return [name, server, trust, '-', '-', answer.state === 'away' ? `(${answer.reason})` : ''];
  }
  const may = roles === undefined ? '?' : roles.length === 0 ? 'none' : roles.join(',');
  return [name, server, trust, answer.version, answer.modes.join(',') || '-', printable(may, 60)];
}
