import { usageError } from '../errors.ts';
import type { ShellFlags } from '../flags.ts';
import type { Runtime } from '../runtime.ts';

export async function shell(_runtime: Runtime, _flags: ShellFlags): Promise<number | void> {
  throw usageError('tka shell is not there yet');
}
