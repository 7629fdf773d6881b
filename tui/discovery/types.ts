/** A cluster as lists show it. */
import type { Mode } from '../../node/http/contract.ts';
import type { Peer } from '../tailnet/types.ts';
import type { Trust } from '../trust/trust.ts';

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
