/** Upgrades for tests: what a caller asks, and an API server that switches and hands its side to the test. */
import type { Duplex } from 'node:stream';
import { deflateSync } from 'node:zlib';
import type { Fixture, FixtureOptions } from './fixture.ts';

/** The path of an exec. */
export const exec = '/k8s/api/v1/namespaces/a/pods/b/exec?command=sh&stdin=true';
export const asking = (
  at: Fixture,
  protocol = 'websocket',
  more = 'Sec-WebSocket-Protocol: v5.channel.k8s.io\r\n',
): string => `${at.head('GET', exec, 'alice')}Connection: Upgrade\r\nUpgrade: ${protocol}\r\n${more}\r\n`;
export const switching = (protocol = 'websocket', subprotocol = 'v5.channel.k8s.io'): string => {
  const field = protocol === 'websocket' ? 'Sec-WebSocket-Protocol' : 'X-Stream-Protocol-Version';
  return `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n${field}: ${subprotocol}\r\n\r\n`;
};

/** How SPDY connections begin on the caller's side; the headers as the library that Kubernetes' clients use packs them. */
export const openings = {
  settings: Buffer.from('800300040000000400000000', 'hex'),
  errorThenStdin: Buffer.from(
    '80030001000000290000000100000000000078f9e3c6a7c26260606004a7b392a2d4c45c6851c29a0a0a6800000000ffff' +
      '800300010000001700000003000000000000c22e555c92929907000000ffff',
    'hex',
  ),
  stdout: Buffer.from(
    '800300010000002b0000000100000000000078f9e3c6a7c26260606004a7b392a2d4c45c6851c2565c92925f5a02000000ffff',
    'hex',
  ),
  endless: synStream(deflateSync(Buffer.alloc(10_000_000))),
};

function synStream(block: Buffer): Buffer {
  const head = Buffer.from('800300010000000000000001000000000000', 'hex');
  head.writeUIntBE(10 + block.length, 5, 3);
  return Buffer.concat([head, block]);
}

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
