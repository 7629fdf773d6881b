/**
 * Which server the user named: --server, else TKA_SERVER, else the configuration file. Where none is named, another is chosen
 * (connection/choose-server.ts).
 */
import { usageError } from '../errors.ts';
import type { GlobalFlags } from '../flags.ts';
import type { Runtime } from '../runtime.ts';
import { readSettings } from './settings.ts';

/** The server's origin, without a trailing slash: `http://tka`, `https://tka.example.ts.net`; undefined where none is named. */
export async function namedServer(
  runtime: Pick<Runtime, 'env'>,
  { server, port, config }: Pick<GlobalFlags, 'server' | 'port' | 'config'>,
): Promise<string | undefined> {
  if (server !== undefined) return withPort(server, port, '--server');
  const variable = runtime.env['TKA_SERVER'];
  if (variable !== undefined && variable !== '') return withPort(variable, port, 'TKA_SERVER');
  const settings = await readSettings(runtime, config === undefined ? {} : { config });
  if (settings.server !== undefined) {
    const source = settings.path ?? 'the configuration file';
    // The port of the file goes with a host that has none, the flag before it.
    const chosen = port ?? (hasPort(settings.server) ? undefined : settings.port);
    return withPort(settings.server, chosen, source);
  }
  if (port !== undefined) {
    throw usageError(`--port ${port} needs a server`, ['Name it: --server tka --port 8080']);
  }
  return undefined;
}

/** `port`, where it is given, is the port of a server that says none itself. */
function withPort(server: string, port: number | undefined, source: string): string {
  if (port === undefined) return parseServer(server, source);
  if (hasPort(server)) throw usageError(`${source} already has a port, so --port ${port} cannot be used`);
  const bare = server.trim();
  const isAddress = !bare.includes('//') && bare.split(':').length > 2 && !bare.startsWith('[');
  return parseServer(`${isAddress ? `[${bare}]` : bare.replace(/\/$/, '')}:${port}`, source);
}

function hasPort(server: string): boolean {
  return /^(?:[a-z][a-z0-9+.-]*:\/\/)?(?:\[[^\]]*\]|[^:/]*):\d+\/?$/i.test(server.trim());
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
  if (url === null || url.hostname === '') throw usageError(`invalid ${source} ${JSON.stringify(text)}`, advice);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw usageError(`${source}: unsupported scheme "${url.protocol.slice(0, -1)}" (use http or https)`, advice);
  }
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '' || url.pathname !== '/') {
    throw usageError(`${source}: give only a host, without user, path or query`, advice);
  }
  return url.origin;
}

/** Reached without a tailnet. */
export function isThisMachine(server: string): boolean {
  return /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(new URL(server).hostname);
}
