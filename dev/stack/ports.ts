/**
 * Free loopback ports. A port is free when asked and may be taken a moment later, so whatever starts on one is started
 * through `onFreePorts`, which tries again with others.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { GiveUpError } from './until.ts';

/** A program found its port taken: start it again on another. */
export class PortTakenError extends GiveUpError {
  override readonly name = 'PortTakenError';
}

const attempts = 5;

/** Runs `start` with as many ports as asked for, again with others as long as it rejects with a PortTakenError. */
export async function onFreePorts<T>(
  count: { readonly tcp: number; readonly udp?: number },
  start: (ports: readonly number[]) => Promise<T>,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await start(await freePorts(count));
    } catch (error) {
      if (!(error instanceof PortTakenError) || attempt === attempts) throw error;
    }
  }
}

/** TCP ports first, then UDP. All are bound at the same moment, so they differ from each other. */
async function freePorts({ tcp, udp = 0 }: { readonly tcp: number; readonly udp?: number }): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: tcp }, async () => {
      const server = createServer().listen(0, '127.0.0.1');
      await once(server, 'listening');
      return server;
    }),
  );
  const sockets = await Promise.all(
    Array.from({ length: udp }, async () => {
      const socket = createSocket('udp4').bind(0, '127.0.0.1');
      await once(socket, 'listening');
      return socket;
    }),
  );
  const ports = [
    // A listening TCP server has an AddressInfo; strings are for pipes.
    ...servers.map((server) => (server.address() as AddressInfo).port),
    ...sockets.map((socket) => socket.address().port),
  ];
  for (const bound of [...servers, ...sockets]) bound.close();
  return ports;
}
