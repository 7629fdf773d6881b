/**
 * How the server joins the tailnet, from the configuration: by an auth key, an OAuth client's secret, the workload identity that the
 * cluster provides, or a person who approves it; only one of them. Files are read again at each start of the engine, because tokens
 * are short-lived and keys are replaced.
 */
import { readFile } from 'node:fs/promises';
import type { Logger } from 'pino';
import { type LoadedConfig, refuse } from '../config/index.ts';
import { credentialProblems, joinProblems, type Way, wayOf } from '../config/join-settings.ts';
import type { JoinCredential } from '../tsnet/node.ts';

/**
 * Throws a ConfigError for settings that exclude each other. The returned function rejects with one where the credential cannot be
 * read or is invalid: only a node that has not joined needs it.
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
      log.warn(
        { reason: error instanceof Error ? error.message : String(error) },
        'cannot read the credential: joining with the one read before',
      );
      return latest;
    }
  };
}

/** Called after credentialProblems has found no problem. */
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

/** Tailscale's client makes keys for ephemeral nodes that an administrator must approve, unless told otherwise; given attributes stay. */
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
