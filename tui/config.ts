/**
 * Which server to talk to: --server, else TKA_SERVER, else the configuration file, else http://tka.
 *
 * The file is `$XDG_CONFIG_HOME/tka/config.yaml`, else `/etc/tka/config.yaml`; the first that exists (config-file.ts). A file
 * in the working directory is not looked at: a checkout must not choose who hands out credentials.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { configDirectory } from './directories.ts';
import { systemCode, usageError, UserError } from './errors.ts';
import type { Runtime } from './runtime.ts';

const defaultServer = 'http://tka';

/**
 * The server's origin, without a trailing slash: `http://tka`, `https://tka.example.ts.net`. `remembered` is the server of a
 * login before, for commands that go on from there; it comes before the default.
 */
export async function chooseServer(
  runtime: Pick<Runtime, 'env'>,
  flag: string | undefined,
  remembered?: string,
): Promise<string> {
  if (flag !== undefined) return parseServer(flag, '--server');
  const variable = runtime.env['TKA_SERVER'];
  if (variable !== undefined && variable !== '') {
    return parseServer(variable, 'TKA_SERVER');
  }
  for (const path of [join(configDirectory(runtime.env), 'config.yaml'), '/etc/tka/config.yaml']) {
    const text = readIfPresent(path);
    if (text === undefined) continue;
    // Most people have no such file, so its parser and its schema load only here.
    const named = (await import('./config-file.ts')).serverIn(text, path);
    if (named !== undefined) return parseServer(named, path);
    break;
  }
  return remembered === undefined ? defaultServer : parseServer(remembered, 'the kubeconfig');
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
