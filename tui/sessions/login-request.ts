/** Which session the flags ask for, checked. The contract's schemas load only where there is something to check. */
import type { LoginRequest } from '../../node/http/contract.ts';
import { parseDurationMs } from '../../node/http/rules.ts';
import { isDnsLabel } from '../config/flag-values.ts';
import { usageError } from '../errors.ts';
import type { LoginRequestFlags } from '../flags.ts';

/** Throws a usage error. */
export async function readLoginRequest({
  role,
  period,
}: Pick<LoginRequestFlags, 'role' | 'period'>): Promise<LoginRequest> {
  if (role === undefined && period === undefined) return {};
  const { loginRequestSchema } = await import('../../node/http/contract.ts');
  if (period !== undefined && parseDurationMs(period) === undefined) {
    throw usageError(`invalid duration ${JSON.stringify(period)} (examples: 8h, 90m)`, ['See "tka login --help".']);
  }
  const request = loginRequestSchema.safeParse({ role, period });
  if (!request.success) throw usageError(`--role ${JSON.stringify(role)} is not a valid role name`);
  return request.data;
}

/** Throws a usage error if it is not a valid namespace name. */
export function checkNamespace(namespace: string | undefined): void {
  if (namespace === undefined || isDnsLabel(namespace)) return;
  throw usageError(`--namespace ${JSON.stringify(namespace)} is not a valid namespace name`, [
    'Use lower-case letters, digits and dashes, at most 63.',
  ]);
}
