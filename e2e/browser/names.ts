/**
 * What the browser takes for the network: a SOCKS5 proxy that knows some names, and where each leads at the moment. Whoever
 * may say what a name means can change his mind, as in DNS rebinding.
 */
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';

/** Connects to the port of wherever the name leads. */
export type Place = (port: number) => Promise<Socket>;

export class Names {
  readonly #server: Server;
  readonly #places: Map<string, Place>;

  private constructor(server: Server, places: Map<string, Place>) {
    this.#server = server;
    this.#places = places;
  }

  static async serve(places: Readonly<Record<string, Place>>): Promise<Names> {
    const known = new Map(Object.entries(places));
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      void connect(socket, known).catch(() => socket.destroy());
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new Names(server, known);
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port; // it listens on a port
  }

  lead(name: string, place: Place): void {
    this.#places.set(name, place);
  }

  close(): void {
    this.#server.close();
  }
}

/** RFC 1928, without authentication, CONNECT alone. */
async function connect(socket: Socket, places: ReadonlyMap<string, Place>): Promise<void> {
  const [, methods = 0] = await read(socket, 2);
  await read(socket, methods);
  socket.write(Buffer.from([5, 0]));
  const [, command, , kind] = await read(socket, 4);
  const host = kind === 1 ? (await read(socket, 4)).join('.') : await readName(socket);
  const port = (await read(socket, 2)).readUInt16BE(0);
  const place = command === 1 ? places.get(host) : undefined;
  const far = await place?.(port).catch(() => undefined);
  socket.write(Buffer.from([5, far === undefined ? 4 : 0, 0, 1, 0, 0, 0, 0, 0, 0]));
  if (far === undefined) {
    socket.end();
    return;
  }
  far.on('error', () => socket.destroy()).on('close', () => socket.destroy());
  socket.on('close', () => far.destroy());
  socket.pipe(far).pipe(socket);
}

async function readName(socket: Socket): Promise<string> {
  const [length = 0] = await read(socket, 1);
  return (await read(socket, length)).toString('latin1');
}

async function read(socket: Socket, count: number): Promise<Buffer> {
  if (count === 0) return Buffer.alloc(0);
  for (;;) {
    const chunk = socket.read(count) as Buffer | null; // no encoding is set
    if (chunk !== null) return chunk;
    if (socket.readableEnded || socket.destroyed) throw new Error('it has hung up');
    await once(socket, 'readable');
  }
}
