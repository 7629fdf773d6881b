/**
 * Where the command keeps its files: the XDG base directories, each under `tka/`. A relative XDG path is ignored, as the
 * specification asks. Loads nothing: the credential plugin is on this path.
 */
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';

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

function xdg(env: Environment, variable: string, fallback: string): string {
  const value = env[variable];
  return value !== undefined && isAbsolute(value) ? value : join(homeDirectory(env), fallback);
}
