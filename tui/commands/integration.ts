import { usageError } from '../errors.ts';
import type { IntegrationFlags } from '../flags.ts';
import type { Runtime } from '../runtime.ts';

export async function integration(_runtime: Runtime, _flags: IntegrationFlags): Promise<number | void> {
  throw usageError('tka integration is not there yet');
}
