/**
 * What node/http needs to know about a caller. The tailnet node's own types match these; they are declared here because node/http gets
 * its tailnet node as an argument.
 */

export interface Identity {
  /** Stable node ID. */
  readonly nodeId: string;
  readonly nodeName: string;
  /** Absent for a tagged node. */
  readonly user?: { readonly id: string; readonly loginName: string };
  readonly tags: readonly string[];
  /** Why this node must be refused regardless of its grants. */
  readonly refusal?: 'unknown' | 'funnel' | 'shared-in' | 'expired' | 'foreign-address' | 'router';
  /** By capability name, the JSON text of each grant in the policy, not parsed. */
  readonly capabilities: Readonly<Record<string, readonly string[]>>;
}

/** One connection from the tailnet. */
export interface Connection {
  readonly tls: boolean;
  /** The caller's identity now; rejects where it cannot be determined. */
  identity(): Promise<Identity>;
}
