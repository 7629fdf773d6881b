/**
 * `tka status`: the caller's sessions at every known server, with the contexts that use them and the time that is left.
 * --session: one of them. --watch: and what becomes of them.
 *
 * A context whose session is gone is listed as ended. Without the server it shows what this machine knows, then fails.
 */
import { setInterval as every } from 'node:timers/promises';
import { chooseServer } from '../connection/choose-server.ts';
import { namedServer } from '../config/server-url.ts';
import { writeData } from '../terminal/structured-output.ts';
import { type ExitCode, exitCodes, UserError } from '../errors.ts';
import type { StatusFlags } from '../flags.ts';
import { plainInteraction } from '../terminal/interaction.ts';
import { readOwnContexts } from '../kubeconfig/own-contexts.ts';
import { type OwnContext, lastServer } from '../kubeconfig/entries.ts';
import { createWords, printable, renderError, widthOf } from '../terminal/output.ts';
import type { Runtime } from '../runtime.ts';
import { distinctServers, sameServers } from '../trust/same-server.ts';
import { asData, createReporter, renderReports, type ServerReport, sessionNames } from '../sessions/status-report.ts';

export async function status(runtime: Runtime, flags: StatusFlags): Promise<ExitCode> {
  const words = createWords(runtime, flags.quiet === true);
  const contexts = readOwnContexts(runtime.env, flags.kubeconfig);
  const servers = await serversOf(runtime, flags, contexts);
  const warn = (line: string): void => words.warn(line);
  const onWait = (line: string): void => (flags.watch === true ? undefined : words.say(line));
  const reporter = createReporter(runtime, { servers, session: flags.session, flags, warn, onWait });
  try {
    if (flags.watch === true) {
      const { watchStatus } = await import('../sessions/status-watch.ts');
      const seconds = every(1000, undefined, { signal: runtime.signal });
      await watchStatus(runtime, { reporter, output: flags.output, seconds, warn });
      return exitCodes.ok;
    }
    const reports = await reporter.read();
    for (const { warning } of reports) if (warning !== undefined) warn(warning);
    if (flags.output !== undefined) {
      await writeData(runtime, flags.output, asData(reports), sessionNames(reports));
    } else {
      runtime.stdout.write(renderReports(reports, { width: widthOf(runtime.stdout) }));
      const isEmpty = flags.session === undefined && reports.length === 1;
      const empty = reports.filter(
        ({ sessions, failure }) => isEmpty && sessions.length === 0 && failure === undefined,
      );
      for (const { server } of empty) words.say(`Not logged in at ${server}. Log in with: tka login`);
      if (servers.length === 0) words.say('No tka servers known. Log in with: tka login');
    }
    const code = failWith(runtime, reports);
    if (flags.session === undefined || code !== exitCodes.ok || reports.some(({ sessions }) => sessions.length > 0))
      return code;
    throw new UserError(
      `you have no session ${printable(flags.session, 63)}`,
      ['List your sessions: tka status'],
      exitCodes.denied,
    );
  } finally {
    reporter.close();
  }
}

/**
 * The one that --server, --cluster, --session or TKA_SERVER names. Else every known one: of the kubeconfig, those that are trusted,
 * those of the configuration. Else the one that is found.
 */
async function serversOf(
  runtime: Runtime,
  flags: StatusFlags,
  contexts: readonly OwnContext[],
): Promise<readonly string[]> {
  const isSame = sameServers(runtime.env);
  const { signal } = runtime;
  const isNamed = flags.server !== undefined || flags.cluster !== undefined || Boolean(runtime.env['TKA_SERVER']);
  const ofSession = contexts.find(({ session }) => session === flags.session)?.server;
  if (!isNamed && ofSession !== undefined) return [ofSession];
  if (!isNamed || flags.all === true) {
    const { readKnownServers } = await import('../trust/known-servers.ts');
    const trusted = readKnownServers(runtime.env).filter(({ replicaOf }) => replicaOf === undefined);
    const configured = await namedServer(runtime, flags);
    const named = configured === undefined ? [] : [configured];
    const known = distinctServers([...[...contexts, ...trusted].map((one) => one.server), ...named], isSame);
    if (known.length > 0 || flags.all === true) return known;
  }
  const interaction = plainInteraction(runtime, flags);
  const remembered = lastServer(contexts, isSame);
  return [(await chooseServer(runtime, flags, { purpose: 'look', interaction, remembered, signal })).server];
}

/**
 * One failure is the command's own; of several each is told, and the worst counts. Among several servers one that fails, and has
 * no session of this kubeconfig, is a row of the table and no failure of the command.
 */
function failWith({ stderr }: Runtime, reports: readonly ServerReport[]): ExitCode {
  const failures = reports.flatMap(({ failure, sessions }): UserError[] =>
    failure === undefined || (reports.length > 1 && sessions.length === 0) ? [] : [failure],
  );
  const [only, ...others] = failures;
  if (only !== undefined && others.length === 0) throw only;
  for (const { message, advice } of failures) stderr.write(renderError(message, advice, stderr));
  // Each is an exit code, so the greatest is.
  return Math.max(exitCodes.ok, ...failures.map(({ exitCode }) => exitCode)) as ExitCode;
}
