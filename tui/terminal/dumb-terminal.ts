/**
 * Whether the terminal only takes lines: no cursor movement, no colours. Without a TERM nothing is known of it (a serial line,
 * `docker exec` of old, a pseudo terminal of a script), so it is taken for one of these. Windows sets none, and needs none.
 */
import type { Runtime } from '../runtime.ts';

export function isDumbTerminal({ env, platform }: Pick<Runtime, 'env' | 'platform'>): boolean {
  const { TERM = '' } = env;
  return TERM === 'dumb' || (TERM === '' && platform !== 'win32');
}
