/** `tka shell`: a shell, or a command, in a session that ends with it. */
import type { ShellFlags } from '../flags.ts';
import { plainInteraction } from '../terminal/interaction.ts';
import type { Runtime } from '../runtime.ts';
import { runShell } from '../shell/shell.ts';

/** Resolves to the child's exit code. */
export function shell(runtime: Runtime, flags: ShellFlags): Promise<number> {
  return runShell(runtime, flags, { interaction: plainInteraction(runtime, flags) });
}
