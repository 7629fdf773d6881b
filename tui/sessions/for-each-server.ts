/** Work at several servers, one after the other: a failure is told and the others go on; the worst exit code is the whole's. */
import { type ExitCode, exitCodes, UserError } from '../errors.ts';
import { renderError } from '../terminal/output.ts';
import type { Runtime } from '../runtime.ts';

export async function forEachServer(
  { stderr, signal }: Pick<Runtime, 'stderr' | 'signal'>,
  servers: readonly string[],
  work: (server: string) => Promise<void>,
): Promise<ExitCode> {
  let worst: ExitCode = exitCodes.ok;
  for (const server of servers) {
    signal.throwIfAborted();
    try {
      await work(server);
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof UserError)) throw error;
      // An error may be of the kubeconfig and not of the server, so its place is said with it.
      const message = error.message.includes(server) ? error.message : `${server}: ${error.message}`;
      stderr.write(renderError(message, error.advice, stderr));
      if (error.exitCode > worst) worst = error.exitCode;
    }
  }
  return worst;
}
