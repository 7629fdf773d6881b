/**
 * `tka logout`: ends the caller's sessions at the server, then removes this machine's credentials and entries of them, and only
 * those. --all does so at every server that the kubeconfig has sessions of, and continues after a failure.
 */
import { chooseServer } from '../connection/choose-server.ts';
import { writeData } from '../terminal/structured-output.ts';
import { type ExitCode, exitCodes } from '../errors.ts';
import type { LogoutFlags } from '../flags.ts';
import { plainInteraction } from '../terminal/interaction.ts';
import { readOwnContexts } from '../kubeconfig/own-contexts.ts';
import { lastServer } from '../kubeconfig/entries.ts';
import { logOut } from '../sessions/logout.ts';
import { createWords, type Words } from '../terminal/output.ts';
import type { Runtime } from '../runtime.ts';
import { distinctServers, type SameServer, sameServers } from '../trust/same-server.ts';
import type { SessionData } from '../sessions/session-data.ts';
import { forEachServer } from '../sessions/for-each-server.ts';

export async function logout(runtime: Runtime, flags: LogoutFlags): Promise<ExitCode> {
  const words = createWords(runtime, flags.quiet === true);
  const contexts = readOwnContexts(runtime.env, flags.kubeconfig);
  const done: Ended[] = [];
  const end = async (server: string): Promise<void> => void done.push(await endAt(runtime, flags, { server, words }));
  let code: ExitCode = exitCodes.ok;
  if (flags.all === true) {
    const named = contexts.map(({ server }) => server);
    const servers = distinctServers(named, sameServers(runtime.env));
    if (servers.length === 0) words.say('No tka contexts in your kubeconfig; nothing to log out.');
    code = await forEachServer(runtime, servers, end);
  } else {
    const { signal } = runtime;
    const interaction = plainInteraction(runtime, flags);
    const remembered = lastServerOf(flags, contexts, sameServers(runtime.env));
    await end((await chooseServer(runtime, flags, { purpose: 'look', interaction, remembered, signal })).server);
  }
  if (flags.output !== undefined) {
    const [only] = done;
    const names = done.flatMap(({ sessions }) => sessions.map(({ session }) => session));
    await writeData(runtime, flags.output, flags.all === true ? { servers: done } : only, names);
  }
  return code;
}

interface Ended {
  readonly server: string;
  /** Absent: all of the caller's. */
  readonly session?: string;
  /** Contexts. */
  readonly removed: readonly string[];
  /** As they were before: their contexts are removed. */
  readonly sessions: readonly SessionData[];
}

interface At {
  readonly server: string;
  readonly words: Words;
}

async function endAt(runtime: Runtime, flags: LogoutFlags, { server, words }: At): Promise<Ended> {
  const { session, kubeconfig, local, timeoutMs, config } = flags;
  const {
    contexts: removed,
    ended,
    sessions,
  } = await logOut(runtime, {
    server,
    session,
    kubeconfig,
    local,
    timeoutMs,
    flags: config === undefined ? {} : { config },
    warn: words.warn,
    onWait: words.say,
  });
  await leaveShell(runtime, server, session);
  words.say(describe({ server, session, local, ended }));
  for (const context of removed) words.say(`Removed context ${context}.`);
  if (sessions.some(({ current }) => current))
    words.say('kubectl has no current context now; select one with: kubectl config use-context NAME');
  return { server, ...(session === undefined ? {} : { session }), removed, sessions };
}

interface Outcome {
  readonly server: string;
  readonly session: string | undefined;
  readonly local: boolean | undefined;
  readonly ended: boolean;
}

function describe({ server, session, local, ended }: Outcome): string {
  const what = session === undefined ? 'every session' : `the session ${session}`;
  if (local === true) {
    return `Removed local data of ${what} at ${server}; it stays active at the server until it expires.`;
  }
  if (ended) return `Logged out of ${what} at ${server}.`;
  return session === undefined ? `You had no session at ${server}.` : `There was no session ${session} at ${server}.`;
}

/** The session that is named tells its server; else the current context does. */
function lastServerOf(
  { session }: LogoutFlags,
  contexts: ReturnType<typeof readOwnContexts>,
  isSame: SameServer,
): string | undefined {
  return contexts.find((context) => context.session === session)?.server ?? lastServer(contexts, isSame);
}

async function leaveShell(runtime: Runtime, server: string, session: string | undefined): Promise<void> {
  if (!runtime.env['TKA_ENV_FILE']) return;
  const { writeEnvironment } = await import('../shell/integration/environment.ts');
  writeEnvironment(runtime, { logout: { server, session } });
}
