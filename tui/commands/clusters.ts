import { usageError } from '../errors.ts';
import type { ClustersFlags } from '../flags.ts';
import type { Runtime } from '../runtime.ts';

export async function clusters(_runtime: Runtime, _flags: ClustersFlags): Promise<number | void> {
  throw usageError('tka clusters is not there yet');
}
