/**
 * Connections to the API server, apart for each session: what one session's bytes leave behind on a connection can never answer
 * another's request. They carry the API server's CA and nothing else of tka's: no client certificate, no token.
 */
import { Pool } from 'undici';

export interface UpstreamOptions {
  /** The API server's URL, with a path where it has one. */
  readonly server: string;
  /** PEM; absent: the system's roots. */
  readonly ca?: string;
  readonly insecureSkipTlsVerify?: boolean;
  readonly serverName?: string;
}

export type UpstreamTls = Partial<{
  readonly ca: string;
  readonly rejectUnauthorized: boolean;
  readonly servername: string;
}>;

export interface Upstream {
  readonly url: URL;
  /** What every path begins with, without a slash at its end; usually empty. */
  readonly basePath: string;
  readonly tls: UpstreamTls;
  readonly options: Omit<UpstreamOptions, 'server'>;
  poolOf(uid: string): Pool;
  /** Ends the session's connections, those in use too. */
  forget(uid: string): void;
  close(): Promise<void>;
}

export function createUpstream(options: UpstreamOptions): Upstream {
  const url = new URL(options.server);
  const tls: UpstreamTls = {
    ...(options.ca === undefined ? {} : { ca: options.ca }),
    ...(options.insecureSkipTlsVerify === true ? { rejectUnauthorized: false } : {}),
    ...(options.serverName === undefined ? {} : { servername: options.serverName }),
  };
  const pools = new Map<string, Pool>();
  return {
    url,
    basePath: url.pathname.replace(/\/+$/, ''),
    tls,
    options,
    poolOf(uid) {
      let pool = pools.get(uid);
      if (pool === undefined) {
        pool = new Pool(url.origin, { ...poolOptions, connect: tls });
        pools.set(uid, pool);
      }
      return pool;
    },
    forget(uid) {
      const pool = pools.get(uid);
      pools.delete(uid);
      pool?.destroy().catch(() => undefined);
    },
    async close() {
      const all = [...pools.values()];
      pools.clear();
      await Promise.all(all.map((pool) => pool.destroy()));
    },
  };
}

const poolOptions = {
  // HTTP/2 to the API server was measured slower, and one connection would be shared by all requests of a session.
  allowH2: false,
  pipelining: 1,
  // Bounded by what a session may have open (index.ts).
  connections: null,
  // Silence is normal in a watch; an answer may be as late as a webhook of the cluster makes it.
  bodyTimeout: 0,
  headersTimeout: 5 * 60_000,
  keepAliveTimeout: 30_000,
  maxHeaderSize: 64 * 1024,
} as const;
