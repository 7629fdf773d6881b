/**
 * What `--join` was told: the auth key, the node's name and tags, the control server, the tka server. All of it is checked
 * before anything is joined. The key comes from a file or the environment, never from an argument, which other users of the
 * machine can read.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isDnsLabel } from '../config/flag-values.ts';
import { isThisMachine, namedServer } from '../config/server-url.ts';
import { systemCode, usageError, UserError } from '../errors.ts';
import type { ExecFlags } from '../flags.ts';
import { proxyFor } from '../api/proxy.ts';
import type { Runtime } from '../runtime.ts';
import { readSettings } from '../config/settings.ts';

/** Both spellings are in use; neither reaches a child. */
export const keyVariables = ['TS_AUTHKEY', 'TS_AUTH_KEY'] as const;

export interface JoinSettings {
  readonly authKey: string;
  readonly hostname: string;
  readonly tags: readonly string[];
  /** Absent: Tailscale's own. */
  readonly controlUrl?: string;
  /** The origin. */
  readonly server: string;
  /** Not named by the user: the default name of tka servers. */
  readonly isDefaultServer: boolean;
}

/** Throws a usage error; UserError where a file cannot be read. */
export async function readJoinSettings(runtime: Pick<Runtime, 'env'>, flags: ExecFlags): Promise<JoinSettings> {
  const authKey = readAuthKey(runtime.env, flags.authKeyFile);
  const hostname = flags.hostname ?? `tka-exec-${randomBytes(3).toString('hex')}`;
  if (!isDnsLabel(hostname.toLowerCase())) {
    throw usageError(`--hostname ${JSON.stringify(hostname)} is not a valid host name`, [
      'Use letters, digits and hyphens, at most 63.',
    ]);
  }
  const controlUrl = await readControlUrl(runtime, flags);
  return {
    authKey,
    hostname,
    tags: (flags.tags ?? []).map(parseTag),
    ...(controlUrl === undefined ? {} : { controlUrl }),
    ...(await readServer(runtime, flags)),
  };
}

function readAuthKey(env: Runtime['env'], file: string | undefined): string {
  const variable = keyVariables.find((name) => (env[name] ?? '').trim() !== '');
  if (file === undefined && variable === undefined) {
    throw usageError('--join needs an auth key', [
      'Set TS_AUTHKEY, or name a file that holds one with --auth-key-file.',
      'CI systems keep secrets from builds of forks and of unprotected branches: is this one?',
    ]);
  }
  const [text, source] =
    file === undefined ? [env[variable ?? ''] ?? '', variable ?? ''] : [readKeyFile(file), `the file ${file}`];
  const key = text.trim();
  if (!/^[\x21-\x7e]{1,1024}$/.test(key)) {
    throw usageError(`${source} does not hold an auth key: one line without blanks`, [
      'It looks like tskey-auth-...; see that the whole key, and nothing else, is there.',
    ]);
  }
  return key;
}

function readKeyFile(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    const advice = ['Name a file with --auth-key-file that this user can read, or set TS_AUTHKEY.'];
    throw new UserError(
      `cannot read the auth key in ${file}: ${systemCode(cause) ?? 'unknown error'}`,
      advice,
      1,
      cause,
    );
  }
}

function parseTag(text: string): string {
  const tag = text.startsWith('tag:') ? text : `tag:${text}`;
  if (/^tag:[a-z][a-z0-9-]{0,100}$/i.test(tag)) return tag;
  throw usageError(`--tags: ${JSON.stringify(text)} is not a tag`, ['A tag looks like tag:ci.']);
}

async function readControlUrl(
  runtime: Pick<Runtime, 'env'>,
  { controlUrl, config }: ExecFlags,
): Promise<string | undefined> {
  const variable = runtime.env['TS_CONTROL_URL'];
  const [text, source] =
    controlUrl !== undefined
      ? [controlUrl, '--control-url']
      : variable !== undefined && variable !== ''
        ? [variable, 'TS_CONTROL_URL']
        : [
            (await readSettings(runtime, config === undefined ? {} : { config })).controlUrl,
            'tailscale.controlUrl of the configuration file',
          ];
  if (text === undefined) return undefined;
  const url = URL.parse(text);
  if (url !== null && /^https?:$/.test(url.protocol) && url.username === '' && url.password === '') return text;
  throw usageError(`${source} is not the URL of a control server: ${JSON.stringify(text)}`, [
    'It looks like https://headscale.example.com; without one it is Tailscale’s own.',
  ]);
}

async function readServer(
  runtime: Pick<Runtime, 'env'>,
  flags: ExecFlags,
): Promise<Pick<JoinSettings, 'server' | 'isDefaultServer'>> {
  const advice = ['Name it with --server, TKA_SERVER or the configuration file.'];
  if (flags.cluster !== undefined && flags.server === undefined) {
    throw usageError('--cluster cannot be combined with --join', advice);
  }
  const named = await namedServer(runtime, flags);
  const server = named ?? 'http://tka';
  const env = { ...runtime.env, http_proxy: 'http://127.0.0.1:1', https_proxy: 'http://127.0.0.1:1' };
  if (!isThisMachine(server) && (await proxyFor(server, env)) === undefined) {
    throw usageError(`NO_PROXY names ${new URL(server).hostname}, which is reached only through the joined tailnet`, [
      'Take it out of NO_PROXY for this command.',
    ]);
  }
  return { server, isDefaultServer: named === undefined };
}
