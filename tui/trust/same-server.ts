/**
 * Which origins are one server: `http://tka`, its full name and its address are, where each is pinned to the same node of the
 * same tailnet, and so are its replicas. An origin that is not pinned, or is pinned on several tailnets, is only itself.
 */
import { isSameTailnet, type KnownServer, readKnownServers } from './known-servers.ts';
import type { Runtime } from '../runtime.ts';
import { isSameService } from './trust.ts';

export type SameServer = (one: string, other: string) => boolean;

/** By what is pinned at the moment; throws UserError where that file is broken. */
export function sameServers(env: Runtime['env']): SameServer {
  return sameServersAmong(readKnownServers(env));
}

export function sameServersAmong(known: readonly KnownServer[]): SameServer {
  const pinOf = (server: string): KnownServer | undefined => {
    const pins = known.filter((one) => one.server === server);
    return pins.length === 1 ? pins[0] : undefined;
  };
  return (one, other) => {
    if (one === other) return true;
    const [pin, otherPin] = [pinOf(one), pinOf(other)];
    if (pin === undefined || otherPin === undefined) return false;
    if (!isSameTailnet(pin, otherPin) || !isSameService(one, other)) return false;
    const [nodes, otherNodes] = [nodesOf(pin, known), nodesOf(otherPin, known)];
    return nodes.some((node) => otherNodes.includes(node));
  };
}

/** One of each server, the first of its names; `servers` may repeat. */
export function distinctServers(servers: readonly string[], isSame: SameServer): readonly string[] {
  return servers.filter((server, index) => !servers.slice(0, index).some((before) => isSame(before, server)));
}

/** Its own, and that of the server that it is a replica of, by any name of it. */
function nodesOf(pin: KnownServer, known: readonly KnownServer[]): readonly string[] {
  const names = known.filter((one) => one.nodeId === pin.nodeId && isSameTailnet(one, pin));
  const groups = new Set(names.flatMap(({ replicaOf }) => replicaOf ?? []));
  const heads = known.filter((one) => groups.has(one.server) && isSameTailnet(one, pin));
  return [pin.nodeId, ...heads.map(({ nodeId }) => nodeId)];
}
