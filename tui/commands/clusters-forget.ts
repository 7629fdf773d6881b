/** `tka clusters forget NAME`: removes a server's pin, so that the next login asks again. */
import { parseServer } from '../config/server-url.ts';
import { UserError } from '../errors.ts';
import type { ClustersForgetFlags } from '../flags.ts';
import { forgetServer, type KnownServer, readKnownServers } from '../trust/known-servers.ts';
import { createWords, printable } from '../terminal/output.ts';
import type { Runtime } from '../runtime.ts';
import { sameServersAmong } from '../trust/same-server.ts';
import { describeNode } from '../trust/trust.ts';

export async function clustersForget(runtime: Runtime, { name, quiet }: ClustersForgetFlags): Promise<void> {
  const known = readKnownServers(runtime.env);
  const byName = known.filter(({ cluster }) => cluster === name).map(({ server }) => server);
  const origin = originOf(name);
  const meant = byName.length > 0 || origin === undefined ? byName : [origin];
  // Its other names, and its replicas, are known on its word, and go with it.
  const isSame = sameServersAmong(known);
  const matching = known.filter(({ server, replicaOf }) =>
    meant.some((one) => isSame(server, one) || replicaOf === one),
  );
  if (matching.length === 0) {
    const advice =
      known.length === 0 ? ['No servers are known.'] : [`Known servers: ${known.map(titleOf).slice(0, 20).join(', ')}`];
    throw new UserError(`no cluster or server ${JSON.stringify(printable(name, 80))} is known`, advice);
  }
  const words = createWords(runtime, quiet === true);
  for (const one of matching) {
    forgetServer(runtime.env, one.server);
    words.say(`Forgot ${titleOf(one)}, which was ${describeNode({ id: one.nodeId, tags: one.tags })}.`);
  }
}

function originOf(name: string): string | undefined {
  try {
    return parseServer(name, 'the name');
  } catch {
    return undefined;
  }
}

function titleOf({ server, cluster }: KnownServer): string {
  return cluster === undefined ? server : `${cluster} (${server})`;
}
