/**
 * Settings about how the server joins the tailnet: one credential at a time, of the right kind, in a file that can be read.
 */
import { readFileSync } from 'node:fs';
import { type LoadedConfig, type Problem, sourced, waysToSet } from './index.ts';
import type { SettingKey } from './settings.ts';

const ways = [
  'tailscale.authKey',
  'tailscale.authKeyFile',
  'tailscale.clientSecret',
  'tailscale.clientSecretFile',
  'tailscale.clientId',
] as const satisfies readonly SettingKey[];
export type Way = (typeof ways)[number];

const clientSecretPrefix = 'tskey-client-';

/** The setting that holds the credential, or undefined where none is set. */
export function wayOf({ values }: LoadedConfig): Way | undefined {
  return ways.find((key) => values[key] !== '');
}

/** Everything about joining that the operator must change, whether the node has joined or not. */
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
  return problems;
}

/** What keeps a node from joining, and does not matter to one that has joined: credentials that cannot be read or are of another kind. */
export function credentialProblems(loaded: LoadedConfig): readonly Problem[] {
  const set = [...ways, 'tailscale.idTokenFile' as const].filter((key) => loaded.values[key] !== '');
  return set.flatMap((key) => contentProblems(loaded, key));
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
  const value = loaded.values[key];
  const path = typeof value === 'string' ? value : JSON.stringify(value);
  const message = `${sourced(loaded, key)}: cannot read ${path} (${code}); make the file readable, or change ${waysToSet(key)}`;
  return { keys: [key], message };
}
