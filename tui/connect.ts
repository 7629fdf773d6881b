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

/** `recordedProxy` is used where the environment names no proxy at all. */
export async function connect(
  runtime: Pick<Runtime, 'env'>,
  flag: string | undefined,
  recordedProxy?: string,
): Promise<Connection> {
  const { server } = await chooseServer(runtime, flag);
  const proxy = await proxyFor(server, runtime.env, recordedProxy);
  const transport = await createTransport(new URL(server), proxy);
  return {
    server,
    api: createApi(transport),
    proxy: proxy === undefined ? undefined : withoutSecrets(proxy),
    close: () => transport.close(),
  };
}
