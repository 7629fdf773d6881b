/** A peer on the tailnet: who it is, and a connection from it. Types alone. */
/** Why a caller must be refused whatever its grants. */
export type Refusal = 'unknown' | 'funnel' | 'shared-in' | 'expired' | 'foreign-address' | 'router';

/** Who is at a tailnet address, as the node's netmap has it now. */
export interface Identity {
  /** Stable node ID. */
  readonly nodeId: string;
  readonly nodeKey: string;
  /** MagicDNS name without the trailing dot, or the host name. */
  readonly nodeName: string;
  /** Absent for a tagged node. */
  readonly user?: { readonly id: string; readonly loginName: string; readonly displayName: string };
  readonly tags: readonly string[];
  readonly refusal?: Refusal;
  /** By capability name, each grant's JSON text as the policy has it, unparsed. */
  readonly capabilities: Readonly<Record<string, readonly string[]>>;
}

/** One accepted tailnet connection. */
export interface TailnetConnection {
  /** Address and port of the peer. */
  readonly remoteAddress: string;
  readonly localPort: number;
  readonly tls: boolean;
  /**
   * Who is calling. Taken at accept; asked again after a change among the peers, or 10 s. If the answer names another
   * node, node key or user than at accept, the connection is destroyed and this rejects with an IdentityChangedError.
   */
  identity(): Promise<Identity>;
}
