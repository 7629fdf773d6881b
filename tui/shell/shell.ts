/**
 * `tka shell` and `tka exec`: a child process in a session of its own. What is opened is closed whatever happens to the child
 * or to us, short of kill -9, after which the next start does it (cleanup.ts).
 */
import { isAbsolute, resolve } from 'node:path';
import { type ChildEnd, runChild } from './child.ts';
import { UserError } from '../errors.ts';
import type { GlobalFlags, LoginRequestFlags } from '../flags.ts';
import type { Interaction } from '../terminal/interaction.ts';
import { createWords, formatRemaining, renderError, type Words } from '../terminal/output.ts';
import { openPrivateSession, type PrivateSession } from './private-session.ts';
import type { Runtime } from '../runtime.ts';
import type { Ended } from './ending.ts';
import { giveNotices } from './notices.ts';
import { sessionVariables, variableNames } from './variables.ts';

export type RunShellFlags = GlobalFlags & LoginRequestFlags & { readonly command?: readonly string[] };

export interface RunShellOptions {
  readonly interaction?: Interaction | undefined;
}

/** The user's shell, or the command, with notices before the session ends. Resolves to the child's exit code. */
export async function runShell(runtime: Runtime, flags: RunShellFlags, options: RunShellOptions = {}): Promise<number> {
  const words = createWords(runtime, flags.quiet === true);
  const session = await openPrivateSession(runtime, flags, {
    interaction: options.interaction,
    warn: words.warn,
    quiet: flags.quiet === true,
  });
  const { login } = session;
  const over = new AbortController();
  const say = (line: string): void => words.say(`${runtime.stderr.isTTY === true ? '\r\n' : ''}tka: ${line}`);
  const { server, session: name } = login;
  const notices = giveNotices(runtime, { server, session: name, until: localEnd(login), say, signal: over.signal });
  const isShell = (flags.command?.length ?? 0) === 0;
  if (isShell) words.say(welcome(runtime, session));
  return runIn(runtime, session, {
    command: isShell ? [userShell(runtime)] : (flags.command ?? []),
    isShell,
    words,
    atEnd: async () => {
      over.abort();
      await notices;
    },
  });
}

export interface RunCommandOptions extends RunShellOptions {
  /** Besides the session's, for the child alone. */
  readonly env?: Readonly<Record<string, string>>;
}

/** One command, with not a word of ours on its streams but errors. */
export async function runCommand(
  runtime: Runtime,
  flags: RunShellFlags & { readonly command: readonly string[] },
  { interaction, env }: RunCommandOptions = {},
): Promise<number> {
  const warnings: string[] = [];
  const silent: Words = { say: () => {}, warn: (line) => void warnings.push(line) };
  let session: PrivateSession;
  try {
    session = await openPrivateSession(runtime, flags, {
      interaction,
      warn: silent.warn,
      quiet: true,
    });
  } catch (error) {
    const words = createWords(runtime, true);
    if (error instanceof UserError) for (const line of warnings) words.warn(line);
    throw error;
  }
  return runIn(runtime, session, { command: flags.command, isShell: false, words: silent, ...(env && { env }) });
}

interface RunOptions {
  readonly command: readonly string[];
  readonly isShell: boolean;
  readonly words: Words;
  readonly env?: Readonly<Record<string, string>>;
  readonly atEnd?: () => Promise<void>;
}

async function runIn(runtime: Runtime, session: PrivateSession, options: RunOptions): Promise<number> {
  const { command, isShell, words, atEnd } = options;
  const env = { ...childEnvironment(runtime, session), ...(isShell ? shellPrompt(runtime) : {}), ...options.env };
  let end: ChildEnd;
  let ended: Ended;
  try {
    end = await runChild(runtime, { command, env, isShell });
  } finally {
    await atEnd?.();
    ended = await close(runtime, session);
  }
  // After a hangup no one can read it.
  if (end.signal === undefined) report(runtime, ended, words);
  if (end.failure !== undefined) runtime.stderr.write(renderError(end.failure, [], runtime.stderr));
  return end.exitCode;
}

/** Ctrl-C gives up waiting for the server; other signals have nothing to add to an end that is under way. */
async function close(runtime: Runtime, session: PrivateSession): Promise<Ended> {
  const impatience = new AbortController();
  const release = runtime.holdSignals?.((signal) => {
    if (signal === 'SIGINT') impatience.abort();
  });
  try {
    return await session.close(AbortSignal.any([impatience.signal, AbortSignal.timeout(10_000)]));
  } finally {
    release?.();
  }
}

function report(runtime: Runtime, ended: Ended, words: Words): void {
  if (ended.outcome === 'revoked') words.say('tka: the session has ended.');
  if (ended.outcome === 'kept') words.say(`tka: the session ${ended.session} stays active (${ended.because}).`);
  if (ended.outcome !== 'postponed') return;
  const { session, reason } = ended;
  // Not a word for a shell that is just starting; but a session that stays by mistake is an error, in `exec` too.
  if (reason === undefined) words.say(`tka: the session ${session} stays active (another shell is logging in).`);
  else
    createWords(runtime, true).warn(
      `the session ${session} stays active (${reason}); the next tka command tries again`,
    );
}

function childEnvironment({ env }: Runtime, { login, kubeconfig }: PrivateSession): Record<string, string> {
  const own = new Set<string>(variableNames);
  // What the integration of the shell around it keeps for itself.
  const isKept = (name: string): boolean => !own.has(name) && !/^TKA_(?:ENV_|OUTER|SHELL_PID)/.test(name);
  const inherited = Object.entries(env).filter(
    (entry): entry is [string, string] => entry[1] !== undefined && isKept(entry[0]),
  );
  return { ...Object.fromEntries(inherited), ...sessionVariables(env, login, resolve(kubeconfig)) };
}

/** Marks the prompt of shells that take it from the environment; one that a startup file sets takes precedence. */
function shellPrompt({ env }: Runtime): { readonly PS1: string } {
  const prompt = env['PS1'] ?? '';
  return { PS1: prompt.startsWith('(tka) ') ? prompt : `(tka) ${prompt === '' ? '$ ' : prompt}` };
}

function userShell({ env, platform }: Runtime): string {
  const shell = env['SHELL'];
  if (shell !== undefined && isAbsolute(shell)) return shell;
  return platform === 'win32' ? (env['COMSPEC'] ?? 'cmd.exe') : '/bin/sh';
}

function welcome({ now }: Runtime, { login }: PrivateSession): string {
  const { username, role, cluster } = login;
  const left = formatRemaining(localEnd(login).getTime() - now().getTime());
  return `tka: a shell as ${username}, role ${role}, at ${cluster}, for ${left}. Leave it with exit: the session ends then.`;
}

/** By this machine's clock. */
function localEnd({ until, skewMs = 0 }: PrivateSession['login']): Date {
  return new Date(until.getTime() - skewMs);
}
