/**
 * `tka login`: opens a session and makes kubectl able to use it. On a terminal a screen follows its stages; in a script there are
 * plain lines on stderr, and on stdout the name of the context, or the whole session with -o.
 */
import { writeData } from '../terminal/structured-output.ts';
import { type ExitCode, exitCodes, UnreachableError, usageError } from '../errors.ts';
import { forEachServer } from '../sessions/for-each-server.ts';
import type { LoginFlags } from '../flags.ts';
import { describeScope } from '../sessions/grant.ts';
import { plainInteraction } from '../terminal/interaction.ts';
import { type LoggedIn, logIn } from '../sessions/login.ts';
import { createWords, formatRemaining, isInteractive, type Words } from '../terminal/output.ts';
import { exportStatement, isGoBinaryName } from './go-binary.ts';
import type { Runtime } from '../runtime.ts';
import { liveSessionData } from '../sessions/session-data.ts';

export async function login(runtime: Runtime, flags: LoginFlags): Promise<ExitCode> {
  checkCombination(flags);
  const words = createWords(runtime, flags.quiet === true);
  if (flags.printKubeconfig === true) {
    await (await import('../sessions/print-kubeconfig.ts')).printKubeconfig(runtime, flags, words);
    return exitCodes.ok;
  }
  if (flags.all === true) return everywhere(runtime, flags, words);
  const isEvaluated = isGoBinaryName(runtime) && flags.quiet === true && flags.output === undefined;
  const loggedIn = await logInHere(runtime, isEvaluated ? { ...flags, use: true } : flags, words);
  if (flags.output !== undefined)
    await writeData(runtime, flags.output, asData(loggedIn, runtime.now()), loggedIn.session);
  else if (isEvaluated) runtime.stdout.write(await exportStatement(loggedIn.kubeconfig));
  else if (!isInteractive(runtime, flags.nonInteractive)) runtime.stdout.write(`${loggedIn.context}\n`);
  return exitCodes.ok;
}

function checkCombination({ all, use, printKubeconfig, server, cluster, kubeconfig }: LoginFlags): void {
  if (all === true) {
    const other = Object.entries({ server, cluster, use, 'print-kubeconfig': printKubeconfig });
    const [clash] = other.find(([, value]) => value !== undefined && value !== false) ?? [];
    if (clash !== undefined) throw usageError(`--all and --${clash} cannot be combined`);
  }
  if (printKubeconfig === true && (use === true || kubeconfig !== undefined)) {
    throw usageError('--print-kubeconfig cannot be combined with --use or --kubeconfig');
  }
}

/** At one server: with the screen if a person is watching, and into the shell's own kubeconfig if it has the integration. */
async function logInHere(runtime: Runtime, flags: LoginFlags, words: Words): Promise<LoggedIn> {
  const shell = await shellIntegration(runtime, flags);
  const placed = shell === undefined ? flags : { ...flags, kubeconfig: shell.kubeconfig, use: true };
  const isWatched = isInteractive(runtime, flags.nonInteractive) && flags.quiet !== true && flags.output === undefined;
  const loggedIn = await (isWatched
    ? (await import('../screens/login/login.tsx')).runLoginScreen(runtime, { flags: placed })
    : inLines(runtime, placed, words));
  shell?.writeEnvironment(runtime, { login: loggedIn, kubeconfig: loggedIn.kubeconfig });
  return loggedIn;
}

async function inLines(runtime: Runtime, flags: LoginFlags, words: Words): Promise<LoggedIn> {
  const interaction = plainInteraction(runtime, flags);
  const loggedIn = await logIn(runtime, { flags, interaction, warn: words.warn });
  const { username, role, namespaces, until, skewMs = 0, context, current, kubeconfig } = loggedIn;
  const scope = namespaces === undefined ? '' : ` ${describeScope(namespaces)}`;
  const left = formatRemaining(until.getTime() - skewMs - runtime.now().getTime());
  words.say(`Logged in as ${username}, role ${role}${scope}, for ${left}.`);
  const use = current ? 'kubectl uses it now.' : `Use it: kubectl --context ${context} ...`;
  words.say(`Context ${context} is in ${kubeconfig}. ${use}`);
  return loggedIn;
}

/** Undefined where the user's own kubeconfig, or one that was named, is meant. */
async function shellIntegration({ env }: Runtime, { kubeconfig }: LoginFlags) {
  if (!env['TKA_ENV_FILE'] || kubeconfig !== undefined) return undefined;
  const { shellPlacement, writeEnvironment } = await import('../shell/integration/environment.ts');
  const placement = shellPlacement({ env });
  return placement === undefined ? undefined : { ...placement, writeEnvironment };
}

async function everywhere(runtime: Runtime, flags: LoginFlags, words: Words): Promise<ExitCode> {
  const { findClusters } = await import('../discovery/index.ts');
  const { clusters, problem } = await findClusters(runtime, { signal: runtime.signal, config: flags.config });
  if (problem !== undefined) words.warn(problem.message);
  const isTrusted = (one: (typeof clusters)[number]): boolean =>
    one.trust === 'pinned' || one.source === 'configuration';
  const trusted = clusters.filter(isTrusted);
  for (const { name, server } of clusters.filter((one) => !isTrusted(one))) {
    words.warn(`${name} is not trusted yet and was skipped; to trust it: tka login --server ${server}`);
  }
  if (trusted.length === 0) {
    throw new UnreachableError('no trusted cluster was found', [
      'To trust one, run: tka login --server URL. `tka clusters` lists them.',
    ]);
  }
  const done: LoggedIn[] = [];
  const code = await forEachServer(
    runtime,
    trusted.map(({ server }) => server),
    async (server) => {
      const answer = trusted.find((cluster) => cluster.server === server)?.answer;
      if (answer?.state === 'away') throw new UnreachableError(`${server} cannot be reached: ${answer.reason}`, []);
      const { all: _, port: __, ...rest } = flags;
      const loggedIn = await logInHere(runtime, { ...rest, server, nonInteractive: true }, words);
      done.push(loggedIn);
      if (flags.output === undefined && !isInteractive(runtime, flags.nonInteractive))
        runtime.stdout.write(`${loggedIn.context}\n`);
    },
  );
  const names = done.map(({ session }) => session);
  if (flags.output !== undefined)
    await writeData(runtime, flags.output, { sessions: done.map((one) => asData(one, runtime.now())) }, names);
  return code;
}

/** The session, and how kubectl reaches it. */
function asData(loggedIn: LoggedIn, now: Date): object {
  const { cluster, mode, url, context, current, kubeconfig } = loggedIn;
  const session = liveSessionData(loggedIn, { contexts: [context], current, now });
  return { ...session, cluster, mode, url, context, kubeconfig };
}
