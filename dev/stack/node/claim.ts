/**
 * Takes the first free number on this machine, and makes the namespaces, the network interface and the cgroups that a
 * node of that number has (dev/stack/go/node). They go with the stack.
 */
import type { Processes } from '../processes.ts';
import { nodeAddresses, nodeCount } from './addresses.ts';
import type { NodeAddresses } from './addresses.ts';

export interface Claim {
  readonly addresses: NodeAddresses;
  /** Of the first process in the node's namespaces; its end is the end of everything in them. */
  readonly pid: number;
}

const nameIsTaken = 17;

export async function claimNode(processes: Processes, program: string, signal?: AbortSignal): Promise<Claim> {
  for (let number = 0; number < nodeCount; number++) {
    signal?.throwIfAborted();
    const addresses = nodeAddresses(number);
    const { name, host, node, prefixLength, pods } = addresses;
    const args = ['hold', `-name=${name}`, `-host=${host}/${prefixLength}`, `-node=${node}/${prefixLength}`];
    const held = await processes.hold({
      command: program,
      args: [...args, `-pods=${pods}`, `-share=${processes.alive}`],
    });
    if ('line' in held) return { addresses, pid: (JSON.parse(held.line) as { pid: number }).pid }; // our own program's
    if (held.code !== nameIsTaken) throw new Error(`the node has no place: ${held.stderr.trim()}`);
  }
  throw new Error(`there are ${nodeCount} nodes on this machine already`);
}
