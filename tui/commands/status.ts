/**
 * `tka status`: the caller's sessions at the server, with the contexts that use them and the time that is left. --all: at every
 * server that the kubeconfig has sessions of. --watch: and what becomes of them.
 *
 * A context whose session is gone is listed as ended. Without the server it shows what this machine knows, then fails.
 */
import { setInterval as every } from 'node:timers/promises';
import { chooseServer } from '../choose-server.ts';
import { writeData } from '../data.ts';
import { type ExitCode, exitCodes, type UserError } from '../errors.ts';
import type { StatusFlags } from '../flags.ts';
import { plainInteraction } from '../interaction.ts';
import { kubeconfigPaths, readKubeconfig } from '../kubeconfig-file.ts';
import { type OwnContext, ownContexts, rememberedServer } from '../kubeconfig-entries.ts';
import { createWords, renderError, widthOf } from '../output.ts';
import type { Runtime } from '../runtime.ts';
import { distinctServers, sameServers } from '../same-server.ts';
import { asData, createReporter, renderReports, type ServerReport, sessionNames } from '../status-report.ts';

export async function status(runtime: Runtime, flags: StatusFlags): Promise<ExitCode> {
  const words = createWords(runtime, flags.quiet === true);
  const contexts = ownContexts(readKubeconfig(kubeconfigPaths(runtime.env, flags.kubeconfig)).files);
  const servers = await serversOf(runtime, flags, contexts);
  const isAll = flags.all === true;
  const warn = (line: string): void => words.warn(line);
  const onWait = (line: string): void => (flags.watch === true ? undefined : words.say(line));
  const reporter = createReporter(runtime, { servers, flags, warn, onWait });
  try {
    if (flags.watch === true) {
      const { watchStatus } = await import('../status-watch.ts');
      const seconds = every(1000, undefined, { signal: runtime.signal });
      await watchStatus(runtime, { reporter, isAll, output: flags.output, seconds, warn });
      return exitCodes.ok;
    }
    const reports = await reporter.read();
    for (const { warning } of reports) if (warning !== undefined) warn(warning);
    if (flags.output !== undefined) {
      await writeData(runtime, flags.output, asData(reports, isAll), sessionNames(reports));
    } else {
      runtime.stdout.write(renderReports(reports, { width: widthOf(runtime.stdout) }));
      const empty = reports.filter(({ sessions, failure }) => sessions.length === 0 && failure === undefined);
      for (const { server } of empty) words.say(`Not logged in at ${server}. Log in with: tka login`);
      if (servers.length === 0) words.say('No context of your kubeconfig comes from a login. Log in with: tka login');
    }
    return failWith(runtime, reports);
  } finally {
    reporter.close();
  }
}

async function serversOf(
  runtime: Runtime,
  flags: StatusFlags,
  contexts: readonly OwnContext[],
): Promise<readonly string[]> {
  const isSame = sameServers(runtime.env);
  if (flags.all === true)
    return distinctServers(
      contexts.map(({ server }) => server),
      isSame,
    );
  const { signal } = runtime;
  const interaction = plainInteraction(runtime, flags);
  const remembered = rememberedServer(contexts, isSame);
  return [(await chooseServer(runtime, flags, { purpose: 'look', interaction, remembered, signal })).server];
}

/** One failure is the command's own; of several each is told, and the worst counts. */
function failWith({ stderr }: Runtime, reports: readonly ServerReport[]): ExitCode {
  const failures = reports.flatMap(({ failure }): UserError[] => (failure === undefined ? [] : [failure]));
  const [only, ...others] = failures;
  if (only !== undefined && others.length === 0) throw only;
  for (const { message, advice } of failures) stderr.write(renderError(message, advice, stderr));
  // Each is an exit code, so the greatest is.
  return Math.max(exitCodes.ok, ...failures.map(({ exitCode }) => exitCode)) as ExitCode;
}
