import { usageError } from '../errors.ts';
import type { ClustersForgetFlags } from '../flags.ts';
import type { Runtime } from '../runtime.ts';

export async function clustersForget(_runtime: Runtime, _flags: ClustersForgetFlags): Promise<number | void> {
  throw usageError('tka clusters-forget is not there yet');
}
