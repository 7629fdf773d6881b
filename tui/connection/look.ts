import type { CallOptions } from '../api/api.ts';
import type { GlobalFlags } from '../flags.ts';
import type { Runtime } from '../runtime.ts';
import { plainInteraction } from '../terminal/interaction.ts';
import { createWords } from '../terminal/output.ts';
import { lookMs, type Reached, reach } from './connect.ts';

/** Connects for a command that only shows what a server says, and closes the connection behind it. */
export async function lookAt<T>(
  runtime: Runtime,
  flags: GlobalFlags,
  look: (reached: Reached, call: CallOptions) => Promise<T>,
): Promise<T> {
  const { signal } = runtime;
  const { say: onWait, warn } = createWords(runtime, flags.quiet === true);
  const interaction = plainInteraction(runtime, flags);
  const reached = await reach(runtime, flags, { purpose: 'look', interaction, warn, onWait, signal });
  try {
    return await look(reached, { signal, timeoutMs: flags.timeoutMs ?? lookMs });
  } finally {
    reached.close();
  }
}
