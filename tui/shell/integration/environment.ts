/**
 * How a login changes the shell that it was typed in. The shell's function (the other files here) runs the command with
 * TKA_ENV_FILE, a private file it made; TKA_ENV_SHELL, its language; and TKA_SHELL_PID, itself. What is written to the file is
 * run by that shell as soon as the command is over.
 *
 * The session's entries go to a kubeconfig of that shell alone, which is removed when a later command finds the shell gone.
 */
import { constants, fstatSync, ftruncateSync, openSync, closeSync, writeFileSync } from 'node:fs';
import { basename, isAbsolute, join } from 'node:path';
import { writeFileAtomically } from '../../files/atomic-write.ts';
import { readJson } from '../../files/json.ts';
import { systemCode, UserError } from '../../errors.ts';
import { type Shell, shells } from '../../flags.ts';
import type { LoggedIn } from '../../sessions/login.ts';
import type { Runtime } from '../../runtime.ts';
import { sameServers } from '../../trust/same-server.ts';
import { listDirectories, makePrivateDirectory, remove, runDirectory } from '../directories.ts';
import { isOwner, type Owner, ownerOf, stateOf } from '../../files/process-owner.ts';
import { sessionVariables } from '../variables.ts';
import { quote } from './quote.ts';

export type EnvironmentChange =
  /** `kubeconfig`: the file that has the context. */
  | { readonly login: LoggedIn; readonly kubeconfig: string }
  /** Its end has moved. */
  | { readonly renew: { readonly server: string; readonly session: string; readonly until: Date } }
  /** Without a session: all at that server. */
  | { readonly logout: { readonly server: string; readonly session?: string | undefined } };

/**
 * Where the entries of a login go that was typed in a shell with the integration, which is to make its context the current one
 * there; undefined without the integration. Throws UserError where its variables are not what the function sets.
 */
export function shellPlacement(runtime: Pick<Runtime, 'env'>): { readonly kubeconfig: string } | undefined {
  const { env } = runtime;
  if (readProtocol(env) === undefined) return undefined;
  const pid = Number(/^[1-9]\d{0,9}$/.exec(env['TKA_SHELL_PID'] ?? '')?.[0] ?? 0);
  const owner = pid > 1 ? ownerOf(pid) : undefined;
  if (owner === undefined || stateOf(owner) !== 'alive') throw notTheFunction('TKA_SHELL_PID names no running shell');
  const directory = join(runDirectory(env), 'shells', String(pid));
  const before = readOwner(directory);
  // Of a shell that had the same number.
  if (before === undefined || before.started !== owner.started) remove(directory);
  makePrivateDirectory(directory);
  writeFileAtomically(join(directory, 'owner.json'), `${JSON.stringify(owner)}\n`);
  return { kubeconfig: join(directory, 'config') };
}

/** Does nothing if no shell waits for it, or if the change is not about the shell's session. */
export function writeEnvironment(runtime: Pick<Runtime, 'env'>, change: EnvironmentChange): void {
  const protocol = readProtocol(runtime.env);
  if (protocol === undefined) return;
  const lines = linesOf(runtime.env, protocol.shell, change);
  if (lines.length > 0) fill(protocol.file, `${lines.join('\n')}\n`);
}

/** Kubeconfigs of logins in shells that still run. */
export function shellKubeconfigs(env: Runtime['env']): readonly string[] {
  return shellDirectories(env).flatMap(({ directory, isGone }) => (isGone ? [] : [join(directory, 'config')]));
}

/** A login in a shell is an ordinary login: only the file is removed, the session stays active. */
export function removeLeftKubeconfigs(env: Runtime['env']): void {
  for (const { directory, isGone } of shellDirectories(env)) {
    if (isGone) remove(directory);
  }
}

function shellDirectories(env: Runtime['env']): { directory: string; isGone: boolean }[] {
  return listDirectories(env, 'shells').map((directory) => {
    // Until the owner is written, only the directory's name tells it.
    const owner = readOwner(directory) ?? ownerOf(Number(basename(directory)));
    return { directory, isGone: stateOf(owner) === 'dead' };
  });
}

function readOwner(directory: string): Owner | undefined {
  const owner = readJson(join(directory, 'owner.json'));
  return isOwner(owner) && String(owner.pid) === basename(directory) ? owner : undefined;
}

function linesOf(env: Runtime['env'], shell: Shell, change: EnvironmentChange): string[] {
  const { set, enter, leave } = statements[shell];
  if ('login' in change) {
    const variables = sessionVariables(env, change.login, change.kubeconfig);
    return [enter, ...Object.entries(variables).map(([name, value]) => set(name, quote(shell, value)))];
  }
  const { server, session } = 'renew' in change ? change.renew : change.logout;
  const isThere = env['TKA_SERVER'] !== undefined && sameServers(env)(env['TKA_SERVER'], server);
  const isThis = isThere && (session === undefined || env['TKA_SESSION'] === session);
  if (!isThis) return [];
  return 'renew' in change ? [set('TKA_UNTIL', quote(shell, change.renew.until.toISOString()))] : [leave];
}

interface Statements {
  readonly set: (name: string, quoted: string) => string;
  /** Functions that the integration defines: keep what the variables were, and bring it back. */
  readonly enter: string;
  readonly leave: string;
}

const posix: Statements = {
  set: (name, quoted) => `export ${name}=${quoted}`,
  enter: '__tka_enter',
  leave: '__tka_leave',
};
const statements: Readonly<Record<Shell, Statements>> = {
  bash: posix,
  zsh: posix,
  fish: { ...posix, set: (name, quoted) => `set -gx ${name} ${quoted}` },
  powershell: { ...posix, set: (name, quoted) => `$env:${name} = ${quoted}` },
};

function readProtocol(env: Runtime['env']): { readonly file: string; readonly shell: Shell } | undefined {
  const file = env['TKA_ENV_FILE'];
  if (file === undefined || file === '') return undefined;
  const shell = shells.find((name) => name === env['TKA_ENV_SHELL']);
  if (shell === undefined) throw notTheFunction('TKA_ENV_SHELL names an unsupported shell');
  if (!isAbsolute(file)) throw notTheFunction('TKA_ENV_FILE is not an absolute path');
  return { file, shell };
}

/** The file must be there, and the user's alone: its content is run. */
function fill(path: string, content: string): void {
  let fd: number;
  try {
    fd = openSync(path, constants.O_WRONLY | constants.O_NOFOLLOW);
  } catch (cause) {
    throw notTheFunction(`TKA_ENV_FILE cannot be written: ${systemCode(cause) ?? 'unknown error'}`, cause);
  }
  try {
    const stat = fstatSync(fd);
    const uid = process.getuid?.();
    const isPrivate = uid === undefined || (stat.uid === uid && (stat.mode & 0o077) === 0);
    if (!stat.isFile() || !isPrivate) throw notTheFunction('TKA_ENV_FILE is not a private file');
    ftruncateSync(fd);
    writeFileSync(fd, content);
  } finally {
    closeSync(fd);
  }
}

function notTheFunction(reason: string, cause?: unknown): UserError {
  return new UserError(
    `the shell's tka variables are invalid: ${reason}`,
    ['Load the integration again: tka integration SHELL. Or run the command without it: command tka --no-eval ...'],
    1,
    cause,
  );
}
