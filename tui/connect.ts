/**
 * From the user's settings to a server's API: which server, whether it may be believed, and the way to it. Whoever connects
 * closes.
 */
import { type Api, createApi } from './api.ts';
import { chooseServer } from './config.ts';
import { proxyFor, withoutSecrets } from './proxy.ts';
import type { Trust } from './clusters.ts';
import type { GlobalFlags } from './flags.ts';
import type { Interaction } from './interaction.ts';
import type { Runtime } from './runtime.ts';
import type { Peer } from './tailnet.ts';
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

// What follows is the contract that replaces `connect`, once all commands use it.

export interface ReachOptions {
  /** `act`: what the server says will change this machine or be handed to kubectl. `look`: it is only shown. */
  readonly purpose: 'act' | 'look';
  readonly interaction?: Interaction | undefined;
  readonly remembered?: Remembered;
  readonly warn: (line: string) => void;
  readonly signal: AbortSignal;
}

export interface Reached extends Connection {
  /** The tailnet node behind the server, as far as the local tailscaled knows it. */
  readonly peer?: Peer;
  readonly trust: Trust;
  /** Keeps the name of the cluster with the pin, where there is one. */
  named(cluster: string): void;
}

/** Throws UserError: usage (2) where there is no telling which server, denied (3) where it is not to be believed, TailnetError (4). */
export function reach(_runtime: Runtime, _flags: GlobalFlags, _options: ReachOptions): Promise<Reached> {
  throw new Error('not written yet');
}
