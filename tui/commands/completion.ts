/** `tka completion`: the script by which a shell asks `tka complete` (completion/answer.ts) at each Tab. */
import type { CompletionFlags } from '../flags.ts';
import type { Runtime } from '../runtime.ts';

export async function completion(runtime: Runtime, { shell }: CompletionFlags): Promise<void> {
  if (shell === 'bash') {
    const { bashCompletion } = await import('../completion/bash.ts');
    runtime.stdout.write(bashCompletion);
    return;
  }
  const { script } = await import('@bomb.sh/tab');
  // It writes to the process's stdout. Past functions called tka, such as the integration's; PowerShell's finds programs alone.
  script(shell, 'tka', shell === 'powershell' ? 'tka' : 'command tka');
}
