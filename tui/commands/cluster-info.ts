import { usageError } from '../errors.ts';
import type { ClusterInfoFlags } from '../flags.ts';
import type { Runtime } from '../runtime.ts';

export async function clusterInfo(_runtime: Runtime, _flags: ClusterInfoFlags): Promise<number | void> {
  throw usageError('tka cluster-info is not there yet');
}
