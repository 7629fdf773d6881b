/**
 * Which tka servers there are: peers of the local tailscaled tagged `tag:tka*` or named `tka*` (or as the configuration file's
 * `discovery` says), and the servers that the configuration file names. Each is asked at `/.well-known/tka`, 8 at once, 1 s
 * each. Being found means nothing: trust is another question (connect.ts).
 */
import type { Mode } from '../node/http/contract.ts';
import type { Runtime } from './runtime.ts';
import type { Peer } from './tailnet.ts';

export interface Cluster {
  /** What the server calls its cluster, as `--cluster` takes it: `[a-z0-9.-]{1,63}`; the host's name until it has answered. */
  readonly name: string;
  /** The server's origin. */
  readonly server: string;
  readonly source: 'configuration' | 'tailnet';
  readonly peer?: Peer;
  readonly trust: Trust;
  readonly answer:
    | { readonly state: 'asking' }
    | {
        readonly state: 'here';
        readonly version: string;
        readonly modes: readonly Mode[];
        readonly labels: Readonly<Record<string, string>>;
      }
    | { readonly state: 'away'; readonly reason: string };
}

/**
 * pinned: the node that its user agreed to. new: never agreed to. changed: another node or tags than were agreed to.
 * unverifiable: no local tailscaled says which node it is.
 */
export type Trust = 'pinned' | 'new' | 'changed' | 'unverifiable';

export interface FindOptions {
  readonly signal: AbortSignal;
  /** Hears the whole list whenever something in it is known better. */
  readonly onChange?: (clusters: readonly Cluster[]) => void;
}

export interface Found {
  readonly clusters: readonly Cluster[];
  /** Why the tailnet could not be asked; then only configured servers are listed. */
  readonly problem?: Error;
}

/** Sorted by name. Rejects only when aborted, or where the configuration file is broken. */
export function findClusters(_runtime: Runtime, _options: FindOptions): Promise<Found> {
  throw new Error('not written yet');
}
