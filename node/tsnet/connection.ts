/**
 * One accepted connection as the rest of a program sees it, from what the engine says of it. It belongs to whom it belonged at
 * its start, and is destroyed when that changes.
 */
import { pinIdentity } from './identity.ts';
import type { NodeOptions } from './node.ts';
import type { Identity, TailnetConnection } from './peer.ts';
import type { Preamble } from './protocol.ts';

export type Accepted = Pick<Preamble, 'source' | 'destination' | 'tls' | 'identity'>;

export interface ConnectionDependencies {
  /** Who is at `ip:port` now. */
  readonly ask: (address: string) => Promise<Identity>;
  readonly nowMs: () => number;
  /** Grows with every hint that peers have changed. */
  readonly hints: () => number;
  readonly destroy: () => void;
  readonly log: NonNullable<NodeOptions['log']>;
}

export function connectionFrom(
  { source, destination, tls, identity }: Accepted,
  { ask, nowMs, hints, destroy, log }: ConnectionDependencies,
): TailnetConnection {
  const remote = source.address.includes(':') ? `[${source.address}]` : source.address;
  return {
    remoteAddress: source.address,
    localPort: destination.port,
    tls,
    identity: pinIdentity({
      first: identity,
      takenAtMs: nowMs(),
      ask: () => ask(`${remote}:${source.port}`),
      nowMs,
      hints,
      destroy(error) {
        log('warn', `the connection from ${source.address} was destroyed: ${error.message}`);
        destroy();
      },
    }),
  };
}
