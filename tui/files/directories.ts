/**
 * Where the command keeps its files: the XDG base directories, each under `tka/`. A relative XDG path is ignored, as the
 * specification asks. Loads nothing: the credential plugin is on this path.
 */
import { lstatSync, statSync } from 'node:fs';
import { userInfo } from 'node:os';
import { isAbsolute, join } from 'node:path';
import process from 'node:process';
import { ifSystemAllows, UserError } from '../errors.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** Throws UserError where it is not known: in containers that run as a user without a passwd entry. */
export function homeDirectory(env: Environment): string {
  const home = knownHome(env);
  if (home !== undefined) return home;
  throw new UserError('the home directory is unknown: HOME is not set, and this user has no passwd entry', [
    'Set HOME, or name the file with --kubeconfig or KUBECONFIG.',
  ]);
}

export function knownHome(env: Environment): string | undefined {
  const { HOME } = env;
  if (HOME !== undefined && isAbsolute(HOME)) return HOME;
  // Not homedir(), which returns an empty or relative HOME as it is.
  const { homedir = '' } = ifSystemAllows(() => userInfo()) ?? {};
  return isAbsolute(homedir) ? homedir : undefined;
}

export function configDirectory(env: Environment): string {
  return join(xdg(env, 'XDG_CONFIG_HOME', '.config'), 'tka');
}

export function cacheDirectory(env: Environment): string {
  return join(xdg(env, 'XDG_CACHE_HOME', '.cache'), 'tka');
}

/**
 * Whether a directory exists and no other user can put a file into it or redirect it: with an XDG path in /tmp, another
 * user of the machine may have made it first.
 */
export function isOurs(path: string): boolean {
  // Undefined where the system has no such numbers.
  const uid = process.getuid?.();
  const isSafe = ifSystemAllows(() => {
    const link = lstatSync(path);
    const stat = link.isSymbolicLink() ? statSync(path) : link;
    if (uid === undefined) return stat.isDirectory();
    return stat.isDirectory() && link.uid === uid && stat.uid === uid && (stat.mode & 0o022) === 0;
  });
  return isSafe === true;
}

function xdg(env: Environment, variable: string, fallback: string): string {
  const value = env[variable];
  if (value !== undefined && isAbsolute(value)) return value;
  // Below a device file nothing is found and nothing can be created, not even by root.
  return join(knownHome(env) ?? '/dev/null', fallback);
}
