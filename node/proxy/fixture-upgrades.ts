/** Upgrades for tests: what a caller asks, and an API server that switches and hands its side to the test. */
import type { Duplex } from 'node:stream';
import type { Fixture, FixtureOptions } from './fixture.ts';

/** The path of an exec. */
export const exec = '/k8s/api/v1/namespaces/a/pods/b/exec?command=sh&stdin=true';
export const asking = (
  at: Fixture,
  protocol = 'websocket',
  more = 'Sec-WebSocket-Protocol: v5.channel.k8s.io\r\n',
): string => `${at.head('GET', exec, 'alice')}Connection: Upgrade\r\nUpgrade: ${protocol}\r\n${more}\r\n`;
export const switching = (protocol = 'websocket', subprotocol = 'v5.channel.k8s.io'): string =>
  `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\nSec-WebSocket-Protocol: ${subprotocol}\r\n\r\n`;

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

/** What the API server sees of the stream. */
export function received(socket: Duplex): { text(): string; ended: Promise<void> } {
  let text = '';
  const { promise, resolve } = Promise.withResolvers<void>();
  socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
  socket.on('end', resolve).on('close', resolve);
  return { text: () => text, ended: promise };
}
