/**
 * From the user's settings to a server's API. Whoever connects closes.
 */
import { type Api, createApi } from './api.ts';
import { chooseServer } from './config.ts';
import { proxyFor, withoutSecrets } from './proxy.ts';
import type { Runtime } from './runtime.ts';
import { createTransport } from './transport.ts';

export interface Connection {
  /** The server's origin. */
  readonly server: string;
  readonly api: Api;
  /** The proxy in between, fit to be written to a file. */
  readonly proxy: string | undefined;
  close(): void;
}

export interface Remembered {
  /** The server of a login before, used before the default. */
  readonly server?: string | undefined;
  /** Used where the environment names no proxy at all. */
  readonly proxy?: string | undefined;
}

export async function connect(
  runtime: Pick<Runtime, 'env'>,
  flag: string | undefined,
  remembered: Remembered = {},
): Promise<Connection> {
  const server = await chooseServer(runtime, flag, remembered.server);
  const proxy = await proxyFor(server, runtime.env, remembered.proxy);
  const transport = await createTransport(new URL(server), proxy);
  return {
    server,
    api: createApi(transport),
    proxy: proxy === undefined ? undefined : withoutSecrets(proxy),
    close: () => transport.close(),
  };
}
