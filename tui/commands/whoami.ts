import { usageError } from '../errors.ts';
import type { WhoamiFlags } from '../flags.ts';
import type { Runtime } from '../runtime.ts';

export async function whoami(_runtime: Runtime, _flags: WhoamiFlags): Promise<number | void> {
  throw usageError('tka whoami is not there yet');
}
