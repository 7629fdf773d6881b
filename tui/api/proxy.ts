/**
 * How to get past the machine's proxy settings: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY, in either case.
 *
 * Also says what the cluster's entry must tell clients about them: kubectl knows all of these but ALL_PROXY, and some client
 * libraries know none of them, only `proxy-url`.
 */
import type { Agent } from 'node:http';
import { BlockList, isIP } from 'node:net';
import { usageError } from '../errors.ts';

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
  // Without a scheme it speaks http, as Go and curl have it.
  const proxy = URL.parse(text.includes('://') ? text : `http://${text}`);
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
  /** What the user has to do. */
  readonly warning?: string;
}

/**
 * What the cluster's entry must say so that clients find the way this command would take. `goesDirect`: past any proxy. In client-go
 * a `proxy-url` overrides NO_PROXY, so none is written for what NO_PROXY names, by tka's rules or by Go's.
 */
export async function kubectlProxyFor(clusterUrl: string, env: Environment, goesDirect = false): Promise<KubectlProxy> {
  if (goesDirect) return pastTheProxy(clusterUrl, env);
  if (isDirectInGo(new URL(clusterUrl), read(env, 'no_proxy'))) return {};
  const proxy = await proxyFor(clusterUrl, env);
  if (proxy === undefined) return {};
  // kubectl then needs no `proxy-url`, and can do what an entry cannot say.
  const readsVariable = read(env, 'https_proxy') !== '';
  if (proxy.username !== '' || proxy.password !== '') {
    if (readsVariable) return {};
    return {
      warning: 'kubectl ignores ALL_PROXY, and its password is not written to a file: set HTTPS_PROXY for kubectl',
    };
  }
  if (proxy.protocol.startsWith('socks4')) {
    return readsVariable
      ? {}
      : { warning: 'kubectl ignores ALL_PROXY and knows no SOCKS4: set HTTPS_PROXY for kubectl' };
  }
  return { url: proxyUrlOf(proxy) };
}

/** client-go knows http, https and socks5, and lets a socks5 proxy resolve names. */
function proxyUrlOf(proxy: URL): string {
  return withoutSecrets(proxy).replace(/^socks(5h?)?:/, 'socks5:');
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

/**
 * The rules of kubectl and every other program in Go (golang.org/x/net/http/httpproxy): this machine itself is never asked for by a
 * proxy, a name stands for the names below it too, and addresses may be given as CIDR.
 */
function isDirectInGo(target: URL, noProxy: string): boolean {
  const host = target.hostname.replace(/^\[|\]$/g, '');
  const port = target.port === '' ? (target.protocol === 'https:' ? '443' : '80') : target.port;
  if (host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host)) return true;
  return noProxy
    .toLowerCase()
    .split(',')
    .map((entry) => entry.trim())
    .some((entry) => {
      if (entry === '*') return true;
      if (entry.includes('/')) return isInSubnet(host, entry);
      const [, named = entry, onlyPort] = isIP(entry) === 0 ? (/^(.+):(\d+)$/.exec(entry) ?? []) : [];
      if (named === '' || (onlyPort !== undefined && onlyPort !== port)) return false;
      const name = named.replace(/^\[|\]$/g, '').replace(/^\*\./, '.');
      return name === host || host.endsWith(name.startsWith('.') ? name : `.${name}`);
    });
}

function isInSubnet(host: string, cidr: string): boolean {
  const [network = '', length = ''] = cidr.split('/');
  const version = isIP(network);
  if (version === 0 || isIP(host) !== version || !/^\d{1,3}$/.test(length)) return false;
  if (Number(length) > (version === 4 ? 32 : 128)) return false;
  const family = version === 4 ? 'ipv4' : 'ipv6';
  const subnet = new BlockList();
  subnet.addSubnet(network, Number(length), family);
  return subnet.check(host, family);
}
