/**
 * `tka kubeconfig`: a kubeconfig with the token in it, on stdout, for a program that runs no plugin or another machine's
 * tool. It is built here from what was checked; no file is touched.
 */
import { type Api, OlderServerError } from '../api/api.ts';
import { standaloneKubeconfig } from '../kubeconfig/standalone.ts';
import { reach } from '../connection/connect.ts';
import { renderData } from '../terminal/structured-output.ts';
import { UnreachableError, UserError } from '../errors.ts';
import type { KubeconfigFlags } from '../flags.ts';
import { plainInteraction } from '../terminal/interaction.ts';
import { createWords } from '../terminal/output.ts';
import { checkTls } from '../sessions/context.ts';
import type { Runtime } from '../runtime.ts';
import { fetchAccess, withinDeadline } from '../credential/fetch-access.ts';

export async function kubeconfig(runtime: Runtime, flags: KubeconfigFlags): Promise<void> {
  const words = createWords(runtime, flags.quiet === true);
  const { signal } = runtime;
  const interaction = plainInteraction(runtime, flags);
  const reached = await reach(runtime, flags, {
    purpose: 'act',
    interaction,
    warn: words.warn,
    signal,
  });
  try {
    const { api, server } = reached;
    const { session, mode, timeoutMs = 30_000 } = flags;
    const access = await withinDeadline({ server, timeoutMs, signal }, (ending) =>
      fetchAccess({ api, server, session, mode, signal: ending }),
    ).catch(async (error: unknown) => {
      throw await blameAge(api, error, signal);
    });
    checkTls(access, flags, server);
    runtime.stdout.write(await renderData(flags.output ?? 'yaml', standaloneKubeconfig(access), access.name));
  } finally {
    reached.close();
  }
}

/** An older server refuses, or answers in another form: that it is one says more than either. */
async function blameAge(api: Api, error: unknown, signal: AbortSignal): Promise<unknown> {
  if (!(error instanceof UserError) || error instanceof UnreachableError) return error;
  try {
    await api.wellKnown({ signal, timeoutMs: 2000 });
  } catch (other) {
    signal.throwIfAborted();
    if (other instanceof OlderServerError) return other;
  }
  return error;
}
