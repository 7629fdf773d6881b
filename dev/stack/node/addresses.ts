/**
 * The names and addresses of a stack's node. Several stacks run on one machine, so all that the machine would see twice
 * follows from a number, which belongs to the stack that holds the network interface of that name.
 *
 * Both ranges are those set apart for benchmarks (RFC 2544): no network that a machine is in has them.
 */
export interface NodeAddresses {
  /** Of the Node, its network interface on the machine, its cgroups, and its hostname. */
  readonly name: string;
  /** The machine's, as the node and its pods see it. */
  readonly host: string;
  readonly node: string;
  /** The prefix of the network that `host` and `node` are in. */
  readonly prefixLength: number;
  /** Subnet of the pods, routed from the machine. */
  readonly pods: string;
}

/** How many nodes one machine can have. */
export const nodeCount = 256;

/** `number` is at least 0 and less than `nodeCount`. */
export function nodeAddresses(number: number): NodeAddresses {
  if (!Number.isInteger(number) || number < 0 || number >= nodeCount) throw new RangeError(`no node ${number}`);
  return {
    name: `tka-node-${number}`,
    host: `198.19.${number}.1`,
    node: `198.19.${number}.2`,
    prefixLength: 30,
    pods: `198.18.${number}.0/24`,
  };
}

/** Of a cluster's Services; they exist only inside a node, so that all clusters can have the same. */
export const serviceSubnet = '10.96.0.0/24';
/** The API server's, the first of them. */
export const apiService = '10.96.0.1';
