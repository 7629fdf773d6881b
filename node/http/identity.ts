/**
 * What node/http needs to know about a caller. The tailnet node's own types fit these; they are declared here because
 * node/http gets its tailnet as an argument.
 */

export interface Identity {
  /** Stable node ID. */
  readonly nodeId: string;
  readonly nodeName: string;
  /** Absent for a tagged node. */
  readonly user?: { readonly id: string; readonly loginName: string };
  readonly tags: readonly string[];
  /** Why this node must be refused whatever its grants. */
  readonly refusal?: 'unknown' | 'funnel' | 'shared-in' | 'expired' | 'foreign-address' | 'router';
  /** By capability name, each grant's JSON text as the policy has it, unparsed. */
  readonly capabilities: Readonly<Record<string, readonly string[]>>;
}

/** One connection from the tailnet. */
export interface Connection {
  readonly tls: boolean;
  /** Who is calling now; rejects when nobody can say. */
  identity(): Promise<Identity>;
}
