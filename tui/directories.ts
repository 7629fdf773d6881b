/**
 * Where the command keeps its files: the XDG base directories, each under `tka/`. A relative XDG path is ignored, as the
 * specification asks. Loads nothing: the credential plugin is on this path.
 */
import { lstatSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import process from 'node:process';
import { systemCode } from './errors.ts';

type Environment = Readonly<Record<string, string | undefined>>;

export function homeDirectory(env: Environment): string {
  return env['HOME'] !== undefined && isAbsolute(env['HOME']) ? env['HOME'] : homedir();
}

export function configDirectory(env: Environment): string {
  return join(xdg(env, 'XDG_CONFIG_HOME', '.config'), 'tka');
}

export function cacheDirectory(env: Environment): string {
  return join(xdg(env, 'XDG_CACHE_HOME', '.cache'), 'tka');
}

/**
 * Whether a directory is there and nobody else can put a file into it, nor lead it elsewhere: with an XDG path in /tmp, another
 * user of the machine may have made it first.
 */
export function isOurs(path: string): boolean {
  // Undefined where the system has no such numbers.
  const uid = process.getuid?.();
  try {
    const link = lstatSync(path);
    const stat = link.isSymbolicLink() ? statSync(path) : link;
    if (uid === undefined) return stat.isDirectory();
    return stat.isDirectory() && link.uid === uid && stat.uid === uid && (stat.mode & 0o022) === 0;
  } catch (error) {
    if (systemCode(error) === undefined) throw error;
    return false;
  }
}

function xdg(env: Environment, variable: string, fallback: string): string {
  const value = env[variable];
  return value !== undefined && isAbsolute(value) ? value : join(homeDirectory(env), fallback);
}
