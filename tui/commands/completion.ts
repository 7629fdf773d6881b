import { usageError } from '../errors.ts';
import type { CompletionFlags } from '../flags.ts';
import type { Runtime } from '../runtime.ts';

export async function completion(_runtime: Runtime, _flags: CompletionFlags): Promise<number | void> {
  throw usageError('tka completion is not there yet');
}
