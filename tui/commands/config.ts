import { usageError } from '../errors.ts';
import type { ConfigFlags } from '../flags.ts';
import type { Runtime } from '../runtime.ts';

export async function config(_runtime: Runtime, _flags: ConfigFlags): Promise<number | void> {
  throw usageError('tka config is not there yet');
}
