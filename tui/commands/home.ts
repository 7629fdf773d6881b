import { usageError } from '../errors.ts';
import type { HomeFlags } from '../flags.ts';
import type { Runtime } from '../runtime.ts';

export async function home(_runtime: Runtime, _flags: HomeFlags): Promise<number | void> {
  throw usageError('tka home is not there yet');
}
