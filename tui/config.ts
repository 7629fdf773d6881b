/**
 * Which server to talk to: --server, else TKA_SERVER, else the configuration file, else http://tka.
 *
 * The file is `$XDG_CONFIG_HOME/tka/config.yaml`, else `/etc/tka/config.yaml`; the first that exists. It has `server`, or
 * the keys of the tka that people run: `tailscale.hostname`, `tailscale.port`, `tailscale.tailnet`. A file in the working
 * directory is not looked at: a checkout must not choose who hands out credentials.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { configDirectory } from './directories.ts';
import { systemCode, usageError, UserError } from './errors.ts';
import type { Runtime } from './runtime.ts';

const defaultServer = 'http://tka';

export interface ServerChoice {
  /** Origin only, without a trailing slash: `http://tka`, `https://tka.example.ts.net`. */
  readonly server: string;
  /** Where it was found, in words for an error message. */
  readonly source: string;
}

export async function chooseServer(runtime: Pick<Runtime, 'env'>, flag: string | undefined): Promise<ServerChoice> {
  if (flag !== undefined) return { server: parseServer(flag, '--server'), source: '--server' };
  const variable = runtime.env['TKA_SERVER'];
  if (variable !== undefined && variable !== '') {
    return { server: parseServer(variable, 'TKA_SERVER'), source: 'TKA_SERVER' };
  }
  for (const path of [join(configDirectory(runtime.env), 'config.yaml'), '/etc/tka/config.yaml']) {
    const text = readIfPresent(path);
    if (text === undefined) continue;
    const named = await serverIn(text, path);
    return { server: named === undefined ? defaultServer : parseServer(named, path), source: path };
  }
  return { server: defaultServer, source: 'the default' };
}

/**
 * Accepts a URL, a host name, or a host name with a port. Without a scheme it is http, which on a tailnet travels inside
 * WireGuard; port 443 means https.
 */
export function parseServer(text: string, source: string): string {
  const trimmed = text.trim();
  const hasScheme = /^[a-z][a-z0-9+.-]*:\/\//i.test(trimmed);
  const url = URL.parse(hasScheme ? trimmed : `${trimmed.endsWith(':443') ? 'https' : 'http'}://${trimmed}`);
  const advice = ['Give it as a host name or a URL, for example tka, tka:8080 or https://tka.example.ts.net.'];
  if (url === null || url.hostname === '')
    throw usageError(`${source} names no server: ${JSON.stringify(text)}`, advice);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw usageError(`${source}: a server is reached by http or https, not ${url.protocol.slice(0, -1)}`, advice);
  }
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '' || url.pathname !== '/') {
    throw usageError(`${source}: the server is only a host, without a user, a path or a query`, advice);
  }
  return url.origin;
}

async function serverIn(text: string, path: string): Promise<string | undefined> {
  // Most people have no such file, so its parser and its schema load only here.
  const [{ parse }, { z }] = await Promise.all([import('yaml'), import('zod')]);
  const schema = z
    .looseObject({
      server: z.string().min(1),
      tailscale: z
        .looseObject({ hostname: z.string().min(1), port: z.int().min(1).max(65_535), tailnet: z.string() })
        .partial(),
    })
    .partial();
  let content: unknown;
  try {
    content = parse(text) ?? {};
  } catch (cause) {
    const reason = cause instanceof Error ? (cause.message.split('\n')[0] ?? '') : '';
    throw new UserError(
      `${path} is not valid YAML: ${reason}`,
      ['Correct the file, or name the server with --server.'],
      1,
      cause,
    );
  }
  const result = schema.safeParse(content);
  if (!result.success) {
    const [issue] = result.error.issues;
    const key = issue === undefined || issue.path.length === 0 ? '' : `${issue.path.join('.')}: `;
    throw new UserError(`${path}: ${key}${issue?.message ?? 'not understood'}`, ['Correct the key, or use --server.']);
  }
  const { server, tailscale } = result.data;
  if (server !== undefined) return server;
  if (tailscale?.hostname === undefined && tailscale?.tailnet === undefined) return undefined;
  const { hostname = 'tka', port, tailnet = '' } = tailscale;
  const domain = tailnet === '' ? '' : `.${tailnet.replace(/^\./, '')}`;
  return `${hostname}${domain}${port === undefined ? '' : `:${port}`}`;
}

function readIfPresent(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    const code = systemCode(cause);
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw new UserError(
      `cannot read ${path}: ${code ?? 'unknown error'}`,
      ['Make it readable, or use --server.'],
      1,
      cause,
    );
  }
}
