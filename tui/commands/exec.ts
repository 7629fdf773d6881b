import { usageError } from '../errors.ts';
import type { ExecFlags } from '../flags.ts';
import type { Runtime } from '../runtime.ts';

export async function exec(_runtime: Runtime, _flags: ExecFlags): Promise<number | void> {
  throw usageError('tka exec is not there yet');
}
