/** Upgrades for tests: an API server that switches, and hands its side to the test. */
import type { Duplex } from 'node:stream';
import type { FixtureOptions } from './fixture.ts';

export const switching = (protocol = 'websocket', subprotocol = 'v5.channel.k8s.io'): string => {
  const field = protocol === 'websocket' ? 'Sec-WebSocket-Protocol' : 'X-Stream-Protocol-Version';
  return `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n${field}: ${subprotocol}\r\n\r\n`;
};

/** An API server that switches, and hands its side to the test. */
export function switches(answer = switching()): { options: FixtureOptions; far: Promise<Duplex> } {
  const { promise, resolve } = Promise.withResolvers<Duplex>();
  const upgrade = (_req: unknown, socket: Duplex): void => {
    socket.on('error', () => undefined);
    socket.write(answer);
    resolve(socket);
  };
  return { options: { apiServer: { upgrade } }, far: promise };
}
