/**
 * `tka` with no arguments, on a terminal: the home screen. Resolves to 0 once the person has quit; rejects with Interrupted
 * where a signal ended it.
 */
import { isDumbTerminal } from '../terminal/dumb-terminal.ts';
import { usageError } from '../errors.ts';
import type { HomeFlags } from '../flags.ts';
import type { Runtime } from '../runtime.ts';

export async function home(runtime: Runtime, flags: HomeFlags): Promise<number> {
  if (isDumbTerminal(runtime)) {
    throw usageError('this terminal cannot show the home screen (TERM is dumb or not set)', [
      'The same in plain lines: tka clusters, tka login, tka status, tka logout. All commands: tka --help',
    ]);
  }
  const { runHome } = await import('../screens/home/terminal.tsx');
  await runHome(runtime, flags);
  return 0;
}
