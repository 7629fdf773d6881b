/**
 * How to get past the machine's proxy settings: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY, in either case.
 *
 * Also says what kubectl must be told about them, because it knows all of these but ALL_PROXY.
 */
import type { Agent } from 'node:http';
import { isIP } from 'node:net';
import { usageError } from './errors.ts';

type Environment = Readonly<Record<string, string | undefined>>;

const variables = ['http_proxy', 'https_proxy', 'all_proxy'];

/** The proxy for a URL, or undefined where the way is direct. `recorded` is used if the environment names no proxy at all. */
export async function proxyFor(url: string, env: Environment, recorded?: string): Promise<URL | undefined> {
  if (!variables.some((name) => read(env, name) !== '')) {
    return recorded === undefined ? undefined : (URL.parse(recorded) ?? undefined);
  }
  const target = new URL(url);
  const text = read(env, `${target.protocol.slice(0, -1)}_proxy`) || read(env, 'all_proxy');
  if (text === '' || isDirect(target, read(env, 'no_proxy'))) return undefined;
  // Without a scheme it speaks the one that it is for.
  const proxy = URL.parse(text.includes('://') ? text : `${target.protocol}//${text}`);
  if (proxy === null || !/^(https?|socks[45]?[ah]?):$/.test(proxy.protocol)) {
    throw usageError('the proxy in HTTP_PROXY, HTTPS_PROXY or ALL_PROXY is not a URL that can be used', [
      'It looks like http://host:port, https://host:port or socks5://host:port.',
    ]);
  }
  return proxy;
}

/** The proxy without its user and password: what messages name and files record. */
export function withoutSecrets(proxy: URL): string {
  return `${proxy.protocol}//${proxy.host}`;
}

/** The agent that tunnels to the server; undefined where the request goes to the proxy itself in absolute form. */
export async function tunnelAgent(server: URL, proxy: URL): Promise<Agent | undefined> {
  if (proxy.protocol.startsWith('socks')) {
    const { SocksProxyAgent } = await import('socks-proxy-agent');
    return new SocksProxyAgent(proxy, { keepAlive: true });
  }
  if (server.protocol === 'http:') return undefined;
  const { HttpsProxyAgent } = await import('https-proxy-agent');
  return new HttpsProxyAgent(proxy, { keepAlive: true });
}

export interface KubectlProxy {
  /** For `proxy-url` in the cluster's entry. */
  readonly url?: string;
  /** What the user has to do by hand. */
  readonly warning?: string;
}

/** What the cluster's entry must say so that kubectl finds the way this command would take. `goesDirect`: past any proxy. */
export async function kubectlProxyFor(clusterUrl: string, env: Environment, goesDirect = false): Promise<KubectlProxy> {
  if (goesDirect) return pastTheProxy(clusterUrl, env);
  if (read(env, 'all_proxy') === '' || read(env, 'https_proxy') !== '') return {};
  // Go never uses a proxy from the environment for the machine itself, and neither must a proxy-url.
  if (/^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(new URL(clusterUrl).hostname)) return {};
  const proxy = await proxyFor(clusterUrl, env);
  if (proxy === undefined) return {};
  if (proxy.username !== '' || proxy.password !== '') {
    return {
      warning: 'kubectl ignores ALL_PROXY, and its password is not written to a file: set HTTPS_PROXY for kubectl',
    };
  }
  // client-go knows http, https and socks5, and lets a socks5 proxy resolve names.
  const scheme = /^socks(5h?)?:$/.test(proxy.protocol) ? 'socks5:' : proxy.protocol;
  if (scheme.startsWith('socks4'))
    return { warning: 'kubectl ignores ALL_PROXY and knows no SOCKS4: set HTTPS_PROXY for kubectl' };
  return { url: `${scheme}//${proxy.host}` };
}

/** kubectl has no way to be told so but the environment. */
async function pastTheProxy(clusterUrl: string, env: Environment): Promise<KubectlProxy> {
  if (read(env, 'https_proxy') === '') return {};
  const proxy = await proxyFor(clusterUrl, env);
  if (proxy === undefined) return {};
  const { hostname } = new URL(clusterUrl);
  return {
    warning: `kubectl asks the proxy ${withoutSecrets(proxy)} for ${hostname} unless NO_PROXY names it: add it there`,
  };
}

/** Lower case before upper, as most programs have it; empty is not set. */
function read(env: Environment, name: string): string {
  return env[name] || env[name.toUpperCase()] || '';
}

/**
 * Whether a NO_PROXY names the target. Its entries, between commas or blanks, are hosts, suffixes (`.example.com`,
 * `*.example.com`) or `*`, each with a port or without.
 */
function isDirect({ hostname, port, protocol }: URL, noProxy: string): boolean {
  const effectivePort = port === '' ? (protocol === 'https:' ? '443' : '80') : port;
  return noProxy
    .toLowerCase()
    .split(/[,\s]+/)
    .some((entry) => {
      const [, host = entry, onlyPort] = isIP(entry) === 6 ? [entry, `[${entry}]`] : (/^(.+):(\d+)$/.exec(entry) ?? []);
      if (host === '' || (onlyPort !== undefined && onlyPort !== effectivePort)) return false;
      if (host.startsWith('*')) return hostname.endsWith(host.slice(1));
      return host.startsWith('.') ? hostname.endsWith(host) : hostname === host;
    });
}
