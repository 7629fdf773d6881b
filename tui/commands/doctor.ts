import { usageError } from '../errors.ts';
import type { DoctorFlags } from '../flags.ts';
import type { Runtime } from '../runtime.ts';

export async function doctor(_runtime: Runtime, _flags: DoctorFlags): Promise<number | void> {
  throw usageError('tka doctor is not there yet');
}
