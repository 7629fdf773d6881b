/** Where the API server is, for requests that the engine forwards. */

export interface UpstreamOptions {
  /** The API server's URL, with a path where it has one. */
  readonly server: string;
  /** PEM; absent: the system's roots. */
  readonly ca?: string;
  readonly insecureSkipTlsVerify?: boolean;
  readonly serverName?: string;
}

export interface Upstream {
  readonly url: URL;
  /** What every path begins with, without a slash at its end; usually empty. */
  readonly basePath: string;
  readonly options: Omit<UpstreamOptions, 'server'>;
}

export function createUpstream({ server, ...options }: UpstreamOptions): Upstream {
  const url = new URL(server);
  return { url, basePath: url.pathname.replace(/\/+$/, ''), options };
}
