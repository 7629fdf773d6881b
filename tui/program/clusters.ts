/** The commands about clusters and the caller's rights there. */
import type { Command } from 'commander';
import type { GlobalFlags } from '../flags.ts';
import { example, lazily, type Program } from './action.ts';
import { outputOption } from './options.ts';

export function declareClusters(program: Command, { act }: Program): void {
  program.commandsGroup('Clusters:');

  const clusters = example(
    program
      .command('clusters')
      .description('list the clusters on this tailnet')
      .addOption(outputOption())
      .action(act(lazily(async () => (await import('../commands/clusters.ts')).clusters))),
    'tka clusters',
  );
  example(
    clusters
      .command('forget')
      .argument('<name>', "a cluster's name or a server's URL")
      .description('forget the pinned identity of a server')
      .action(
        act<GlobalFlags>(async (runtime, flags, [name = '']) =>
          (await import('../commands/clusters-forget.ts')).clustersForget(runtime, { ...flags, name }),
        ),
      ),
    'tka clusters forget prod',
  );

  example(
    program
      .command('cluster-info')
      .description('show the cluster of a server: address, CA and labels')
      .addOption(outputOption())
      .action(act(lazily(async () => (await import('../commands/cluster-info.ts')).clusterInfo))),
    'tka cluster-info -o yaml',
  );

  example(
    program
      .command('whoami')
      .description('show your identity at a server')
      .addOption(outputOption())
      .action(act(lazily(async () => (await import('../commands/whoami.ts')).whoami))),
    'tka whoami --server tka-prod',
  );

  example(
    program
      .command('roles')
      .description('list the roles you may use and the rules that were dropped')
      .addOption(outputOption())
      .action(act(lazily(async () => (await import('../commands/roles.ts')).roles))),
    'tka roles',
  );
}
