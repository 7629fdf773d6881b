import { usageError } from '../errors.ts';
import type { RolesFlags } from '../flags.ts';
import type { Runtime } from '../runtime.ts';

export async function roles(_runtime: Runtime, _flags: RolesFlags): Promise<number | void> {
  throw usageError('tka roles is not there yet');
}
