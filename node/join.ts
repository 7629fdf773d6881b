/**
 * How the server joins the tailnet, from the configuration: by an auth key, by an OAuth client's secret, by the identity that the
 * cluster gives this workload, or by a person who approves it. One way at a time. What is in a file is read anew for each
 * start of the engine: tokens are short-lived, and keys are replaced.
 */
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { Logger } from 'pino';
import type { LoadedConfig, Problem } from './config.ts';
import { ConfigError, refuse, sourced, waysToSet } from './config.ts';
import type { SettingKey } from './settings.ts';
import type { JoinCredential } from './tsnet/node.ts';

const ways = [
  'tailscale.authKey',
  'tailscale.authKeyFile',
  'tailscale.clientSecret',
  'tailscale.clientSecretFile',
  'tailscale.clientId',
] as const satisfies readonly SettingKey[];
type Way = (typeof ways)[number];

const clientSecretPrefix = 'tskey-client-';

/** Throws a ConfigError for what cannot be meant together, or not be read; what it returns never rejects. */
export async function joining(loaded: LoadedConfig, log: Logger): Promise<() => Promise<JoinCredential>> {
  refuse(joinProblems(loaded));
  const way = wayOf(loaded);
  if (way === undefined) return () => Promise.resolve({});
  // The first look is the operator's: what is wrong ends the start.
  let latest = await credential(loaded, way);
  let isFresh = true;
  return async () => {
    if (isFresh) {
      isFresh = false;
      return latest;
    }
    try {
      latest = await credential(loaded, way);
    } catch (error) {
      // A node that has joined starts without; one that has not will say that it was refused.
      log.warn({ reason: error instanceof Error ? error.message : String(error) }, 'joining with what was read before');
    }
    return latest;
  };
}

function wayOf({ values }: LoadedConfig): Way | undefined {
  return ways.find((key) => values[key] !== '');
}

/** Everything about joining that the operator must change, files included. */
export function joinProblems(loaded: LoadedConfig): readonly Problem[] {
  const { values } = loaded;
  const named = (key: SettingKey): string => sourced(loaded, key);
  const set = ways.filter((key) => values[key] !== '');
  const [way] = set;
  const problems: Problem[] = [];
  if (set.length > 1) {
    const message = `${set.map(named).join(' and ')} are ${set.length === 2 ? 'two' : set.length} ways to join the tailnet: remove all but one`;
    problems.push({ keys: set, message });
  }
  const idTokenFile = 'tailscale.idTokenFile';
  const hasToken = values[idTokenFile] !== '';
  if (set.includes('tailscale.clientId') && !hasToken) {
    const message = `${named('tailscale.clientId')} needs tailscale.idTokenFile, the file of a projected ServiceAccount token: set it with ${waysToSet(idTokenFile)}`;
    problems.push({ keys: ['tailscale.clientId', idTokenFile], message });
  }
  if (hasToken && !set.includes('tailscale.clientId')) {
    const message = `${named(idTokenFile)} needs tailscale.clientId, and no other way to join beside it: set it with ${waysToSet('tailscale.clientId')}, or remove ${idTokenFile}`;
    problems.push({ keys: [idTokenFile, 'tailscale.clientId'], message });
  }
  if (
    way !== undefined &&
    set.some((key) => !key.startsWith('tailscale.authKey')) &&
    values['tailscale.tags'].length === 0
  ) {
    const message = `${named(set.find((key) => !key.startsWith('tailscale.authKey')) ?? way)} needs tailscale.tags: a key that is made so is for tags, which the client must be allowed to give; set it with ${waysToSet('tailscale.tags')}`;
    problems.push({ keys: [way, 'tailscale.tags'], message });
  }
  for (const key of [...set, ...(hasToken ? ([idTokenFile] as const) : [])])
    problems.push(...contentProblems(loaded, key));
  return problems;
}

function contentProblems(loaded: LoadedConfig, key: Way | 'tailscale.idTokenFile'): readonly Problem[] {
  const isFile = key.endsWith('File');
  const value = loaded.values[key];
  let content = value.trim();
  if (isFile) {
    try {
      content = readFileSync(value, 'utf8').trim();
    } catch (error) {
      return [unreadable(loaded, key, error)];
    }
  }
  if (key === 'tailscale.clientId' || key === 'tailscale.idTokenFile') return [];
  const isClients = content.startsWith(clientSecretPrefix);
  if (key === 'tailscale.authKey' || key === 'tailscale.authKeyFile') {
    if (!isClients) return [];
    const message = `${sourced(loaded, key)} holds the secret of an OAuth client, not an auth key: set ${key.replace('authKey', 'clientSecret')}`;
    return [{ keys: [key], message }];
  }
  if (isClients) return [];
  const message = `${sourced(loaded, key)} holds no secret of an OAuth client, which begins with ${clientSecretPrefix}`;
  return [{ keys: [key], message }];
}

/** A setting that names a file which cannot be read. */
export function unreadable(loaded: LoadedConfig, key: SettingKey, error: unknown): Problem {
  const { code = 'unreadable' } = error as NodeJS.ErrnoException;
  const message = `${sourced(loaded, key)}: cannot read ${String(loaded.values[key])} (${code}); make the file readable, or change ${waysToSet(key)}`;
  return { keys: [key], message };
}

async function credential({ values }: LoadedConfig, way: Way): Promise<JoinCredential> {
  const isEphemeral = values['tailscale.ephemeral'];
  if (way === 'tailscale.clientId') {
    const idToken = await contentOf('tailscale.idTokenFile', values['tailscale.idTokenFile']);
    return { clientId: withAttributes(values[way].trim(), isEphemeral), idToken };
  }
  const isFile = way === 'tailscale.authKeyFile' || way === 'tailscale.clientSecretFile';
  const content = isFile ? await contentOf(way, values[way]) : values[way].trim();
  const isClients = content.startsWith(clientSecretPrefix);
  if (way === 'tailscale.authKey' || way === 'tailscale.authKeyFile') {
    if (!isClients) return { authKey: content };
    throw new ConfigError(
      `${way} holds the secret of an OAuth client, not an auth key: set ${way.replace('authKey', 'clientSecret')}`,
    );
  }
  if (isClients) return { clientSecret: withAttributes(content, isEphemeral) };
  throw new ConfigError(`${way} holds no secret of an OAuth client, which begins with ${clientSecretPrefix}`);
}

/** Tailscale's client makes keys for ephemeral nodes that an administrator must approve, unless told otherwise; what is there already stays. */
function withAttributes(text: string, isEphemeral: boolean): string {
  const [bare = '', given = ''] = text.split('?', 2);
  const attributes = new URLSearchParams(given);
  if (!attributes.has('ephemeral')) attributes.set('ephemeral', String(isEphemeral));
  if (!attributes.has('preauthorized')) attributes.set('preauthorized', 'true');
  return `${bare}?${attributes.toString()}`;
}

async function contentOf(key: SettingKey, path: string): Promise<string> {
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch (error) {
    const { code = 'unreadable' } = error as NodeJS.ErrnoException;
    throw new ConfigError(`${key}: cannot read ${path} (${code})`, { cause: error });
  }
}
