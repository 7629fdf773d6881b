/**
 * How the server joins the tailnet, from the configuration: by an auth key, by an OAuth client's secret, by the identity that the
 * cluster gives this workload, or by a person who approves it. One way at a time. What is in a file is read anew for each
 * start of the engine: tokens are short-lived, and keys are replaced.
 */
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { Logger } from 'pino';
import type { LoadedConfig, Problem } from '../config/index.ts';
import { refuse, sourced, waysToSet } from '../config/index.ts';
import type { SettingKey } from '../config/settings.ts';
import type { JoinCredential } from '../tsnet/node.ts';

const ways = [
  'tailscale.authKey',
  'tailscale.authKeyFile',
  'tailscale.clientSecret',
  'tailscale.clientSecretFile',
  'tailscale.clientId',
] as const satisfies readonly SettingKey[];
type Way = (typeof ways)[number];

const clientSecretPrefix = 'tskey-client-';

/**
 * Throws a ConfigError for what cannot be meant together. What it returns rejects with one where the credential cannot be read or is none
 * and never could be: only a node that has not joined needs it.
 */
export function joining(loaded: LoadedConfig, log: Pick<Logger, 'warn'>): () => Promise<JoinCredential> {
  refuse(joinProblems(loaded));
  const way = wayOf(loaded);
  let latest: JoinCredential | undefined;
  return async () => {
    try {
      if (way === undefined) return {};
      refuse(credentialProblems(loaded));
      latest = await credential(loaded, way);
      return latest;
    } catch (error) {
      if (latest === undefined) throw error;
      log.warn({ reason: error instanceof Error ? error.message : String(error) }, 'joining with what was read before');
      return latest;
    }
  };
}

function wayOf({ values }: LoadedConfig): Way | undefined {
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

/** After credentialProblems has found none. */
async function credential({ values }: LoadedConfig, way: Way): Promise<JoinCredential> {
  const isEphemeral = values['tailscale.ephemeral'];
  if (way === 'tailscale.clientId') {
    const idToken = await contentOf(values['tailscale.idTokenFile']);
    return { clientId: withAttributes(values[way].trim(), isEphemeral), idToken };
  }
  const content = way.endsWith('File') ? await contentOf(values[way]) : values[way].trim();
  return way.startsWith('tailscale.authKey')
    ? { authKey: content }
    : { clientSecret: withAttributes(content, isEphemeral) };
}

/** Tailscale's client makes keys for ephemeral nodes that an administrator must approve, unless told otherwise; what is there already stays. */
function withAttributes(text: string, isEphemeral: boolean): string {
  const [bare = '', given = ''] = text.split('?', 2);
  const attributes = new URLSearchParams(given);
  if (!attributes.has('ephemeral')) attributes.set('ephemeral', String(isEphemeral));
  if (!attributes.has('preauthorized')) attributes.set('preauthorized', 'true');
  return `${bare}?${attributes.toString()}`;
}

async function contentOf(path: string): Promise<string> {
  return (await readFile(path, 'utf8')).trim();
}
