/**
 * The user's settings: the file of --config, else `$XDG_CONFIG_HOME/tka/config.yaml`, else `/etc/tka/config.yaml`; the first
 * that exists, whole. A file in the working directory is not looked at: a checkout must not choose who hands out credentials.
 *
 * Most people have no such file, so its parser and its schema (config-file.ts) load only where there is one.
 *
 * The variables of the Go tka that people have in their environment (TKA_TAILSCALE_HOSTNAME, TKA_TAILSCALE_PORT,
 * TKA_TAILSCALE_TAILNET, TKA_OUTPUT_THEME) take precedence over the file, as they did there.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { configDirectory } from '../files/directories.ts';
import { systemCode, UserError, usageError } from '../errors.ts';
import type { GlobalFlags } from '../flags.ts';
import type { Runtime } from '../runtime.ts';
import { parsePort } from './flag-values.ts';
import { defaultDiscovery, serverOf, type Settings } from './types.ts';

/** Throws UserError where the file cannot be read or understood, a usage error where the file of --config is not there. */
export async function readSettings(
  { env }: Pick<Runtime, 'env'>,
  flags: Pick<GlobalFlags, 'config'> = {},
): Promise<Settings> {
  const file = readSettingsFile(env, flags.config);
  const inFile: Settings =
    file === undefined
      ? { servers: [], discovery: defaultDiscovery }
      : (await import('./config-file.ts')).settingsIn(file.text, file.path);
  return { ...inFile, ...settingsInEnvironment(env) };
}

/** `path` says where the server was named, for messages. Throws a usage error where the port is not a number. */
function settingsInEnvironment(env: Runtime['env']): Pick<Settings, 'path' | 'server' | 'theme'> {
  const read = (name: string): string | undefined => env[name]?.trim() || undefined;
  const [hostname, tailnet] = [read('TKA_TAILSCALE_HOSTNAME'), read('TKA_TAILSCALE_TAILNET')];
  const theme = read('TKA_OUTPUT_THEME');
  const server = serverOf({ hostname, tailnet, port: portIn(read('TKA_TAILSCALE_PORT')) });
  return {
    ...(server === undefined
      ? {}
      : { server, path: hostname === undefined ? 'TKA_TAILSCALE_TAILNET' : 'TKA_TAILSCALE_HOSTNAME' }),
    ...(theme === undefined ? {} : { theme }),
  };
}

/** Kubernetes sets such a variable to `tcp://…` for a Service of that name: not meant for this command. */
function portIn(text: string | undefined): number | undefined {
  if (text === undefined || text.startsWith('tcp://')) return undefined;
  const port = parsePort(text);
  if (port !== undefined) return port;
  throw usageError(`invalid TKA_TAILSCALE_PORT ${JSON.stringify(text)} (1 to 65535)`);
}

/** Read on the way to every server, so a file that does not speak of it is not parsed. */
export async function socketSetting(env: Runtime['env'], config: string | undefined): Promise<string | undefined> {
  const file = readSettingsFile(env, config);
  if (file === undefined || !file.text.includes('socket')) return undefined;
  return (await import('./config-file.ts')).settingsIn(file.text, file.path).socket;
}

/** Whether `output.quiet` is set; a file that is broken is for the command itself to complain of. */
export async function quietSetting(env: Runtime['env'], config: string | undefined): Promise<boolean> {
  try {
    const file = readSettingsFile(env, config);
    if (file === undefined || !file.text.includes('quiet')) return false;
    return (await import('./config-file.ts')).settingsIn(file.text, file.path).quiet === true;
  } catch (error) {
    if (error instanceof UserError) return false;
    throw error;
  }
}

export interface SettingsFile {
  readonly path: string;
  readonly text: string;
}

export function readSettingsFile(env: Runtime['env'], config: string | undefined): SettingsFile | undefined {
  if (config !== undefined) {
    const text = readIfPresent(config);
    if (text === undefined) throw usageError(`configuration file ${config} does not exist`);
    return { path: config, text };
  }
  for (const path of [ownSettingsPath(env), systemSettingsPath]) {
    const text = readIfPresent(path);
    if (text !== undefined) return { path, text };
  }
  return undefined;
}

export function ownSettingsPath(env: Runtime['env']): string {
  return join(configDirectory(env), 'config.yaml');
}

export const systemSettingsPath = '/etc/tka/config.yaml';

function readIfPresent(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    const code = systemCode(cause);
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    const advice = ['Make it readable, or name another with --config.'];
    throw new UserError(`cannot read ${path}: ${code ?? 'unknown error'}`, advice, 1, cause);
  }
}
