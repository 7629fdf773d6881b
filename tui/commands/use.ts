/** `tka use`: makes a context of tka's kubectl's current one. */
import { writeData } from '../terminal/structured-output.ts';
import type { UseFlags } from '../flags.ts';
import { createWords, isInteractive } from '../terminal/output.ts';
import type { Runtime } from '../runtime.ts';
import { useContext } from '../sessions/use-context.ts';

export async function use(runtime: Runtime, flags: UseFlags): Promise<void> {
  const { name, kubeconfig, output, quiet, nonInteractive } = flags;
  const { context, server, session } = await useContext(runtime, { name, kubeconfig, signal: runtime.signal });
  createWords(runtime, quiet === true).say(`kubectl uses ${context} now.`);
  if (output !== undefined) await writeData(runtime, output, { server, session, context, current: true }, session);
  else if (!isInteractive(runtime, nonInteractive)) runtime.stdout.write(`${context}\n`);
}
