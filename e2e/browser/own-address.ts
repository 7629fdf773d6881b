/** An address of this machine that the API server takes for a pod's, which one on loopback is not. */
import { networkInterfaces } from 'node:os';

export function ownAddress(): string | undefined {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  return all.find(({ family, internal }) => family === 'IPv4' && !internal)?.address;
}
