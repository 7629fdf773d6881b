/**
 * `tka` with no arguments, on a terminal: the home screen. Resolves to 0 once the person has quit.
 *
 * On the terminal's other screen, which is left again however this ends: by a key, an error, or a signal.
 */
import type { HomeFlags } from '../flags.ts';
import type { Runtime } from '../runtime.ts';

export async function home(runtime: Runtime, flags: HomeFlags): Promise<number> {
  const { runHome } = await import('../screens/home-terminal.tsx');
  await runHome(runtime, flags);
  return 0;
}
