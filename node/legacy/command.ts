/**
 * `tka-server legacy [--remove]`: lists what an earlier tka left in the cluster, and removes it on request. Runs with an
 * administrator's credential; tka's own may not see all of it. Lines go to the given writer; the result is the exit code.
 */
import type { Logger } from 'pino';
import type { Config } from '../config/settings.ts';
import { connectCluster } from '../kubernetes/index.ts';
import type { LegacyFindings, LegacyRemoval } from './index.ts';
import { describeLegacy, findLegacy, removeLegacy } from './index.ts';

interface LegacyCommand {
  readonly config: Config;
  readonly version: string;
  readonly isRemoving: boolean;
  readonly log: Logger;
  readonly write: (line: string) => void;
  readonly stop: AbortSignal;
}

export async function runLegacy({ config, version, isRemoving, log, write, stop }: LegacyCommand): Promise<number> {
  const kubernetes = connectCluster(config, { log, version });
  try {
    const findings = await findLegacy(kubernetes, stop);
    if (!isRemoving) {
      for (const line of describeFindings(findings)) write(line);
      return 0;
    }
    const removal = await removeLegacy(kubernetes, findings.objects, stop);
    for (const line of describeRemoval(findings, removal)) write(line);
    return removal.held.length > 0 || !findings.complete ? 1 : 0;
  } finally {
    await kubernetes.close();
  }
}

export function describeFindings({ objects, complete }: LegacyFindings): readonly string[] {
  return [
    ...objects.map(describeLegacy),
    ...(objects.length > 0 ? ['Remove them with: tka-server legacy --remove'] : []),
    ...(complete ? [] : [unseen]),
    ...(objects.length === 0 && complete ? ['An earlier tka left nothing here.'] : []),
  ];
}

export function describeRemoval({ complete }: LegacyFindings, { removed, held }: LegacyRemoval): readonly string[] {
  return [
    ...removed.map((object) => `removed ${describeLegacy(object)}`),
    ...held.map((object) => `held by ${object.finalizers.join(', ')}: ${describeLegacy(object)}`),
    ...(held.length > 0
      ? ['Objects that are held go when their finalizers do: kubectl edit, or the program that set them.']
      : []),
    ...(complete ? [] : [unseen]),
    ...(removed.length + held.length === 0 && complete ? ['An earlier tka left nothing here.'] : []),
  ];
}

const unseen =
  "There may be more: this credential may not list TkaSignins and ServiceAccounts everywhere. Use an administrator's.";
