import { usageError } from '../errors.ts';
import type { RenewFlags } from '../flags.ts';
import type { Runtime } from '../runtime.ts';

export async function renew(_runtime: Runtime, _flags: RenewFlags): Promise<number | void> {
  throw usageError('tka renew is not there yet');
}
