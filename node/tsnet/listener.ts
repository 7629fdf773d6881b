/**
 * From the engine's unix socket to an ordinary http.Server: each connection's preamble is read and believed only with
 * the nonce of the engine's present start; then the socket, its address set to the tailnet peer's, is given to whoever
 * listens, with every byte after the preamble still to be read. A connection without a valid preamble in time, or for no
 * listener, is destroyed. The socket lies in a directory that only this user may enter; closing removes both.
 */
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NodeOptions } from './node.ts';
import { createPreambleReader, PreambleError } from './preamble.ts';
import type { DecisionsPreamble, Preamble } from './protocol.ts';

/** The system's limit for a unix socket's path is 107 bytes on Linux, 103 on macOS. */
const MAX_SOCKET_PATH = 103;

export interface HandOverDependencies {
  /** Of the present start; undefined while there is no engine. */
  readonly nonce: () => string | undefined;
  /** False: nobody listens for it. */
  readonly onConnection: (socket: Socket, preamble: Preamble) => boolean;
  /** A channel of the engine's own, by which it asks. False: nobody decides for that listener. */
  readonly onDecisions: (socket: Socket, preamble: DecisionsPreamble) => boolean;
  readonly preambleWithinMs: number;
  readonly log: NonNullable<NodeOptions['log']>;
}

export interface HandOver {
  readonly socketPath: string;
  /** Ends every connection of engines before the present one, or of all. */
  destroyConnections(): void;
  close(): Promise<void>;
}

export async function openHandOver(deps: HandOverDependencies): Promise<HandOver> {
  const directory = await makeDirectory();
  const socketPath = join(directory, 's');
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    receive(socket, deps);
  });
  try {
    await listen(server, socketPath);
  } catch (error) {
    await rm(directory, { recursive: true, force: true });
    throw error;
  }
  const destroyConnections = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    socketPath,
    destroyConnections,
    async close() {
      const closed = Promise.withResolvers<void>();
      server.close(() => closed.resolve());
      destroyConnections();
      await closed.promise;
      await rm(directory, { recursive: true, force: true });
    },
  };
}

function receive(socket: Socket, deps: HandOverDependencies): void {
  const nonce = deps.nonce();
  // Errors of a connection are told by its `close`; until an http.Server adds its own listener nobody else looks.
  socket.on('error', () => {});
  if (nonce === undefined) {
    socket.destroy();
    return;
  }
  const reader = createPreambleReader(nonce);
  const drop = (reason: string): void => {
    stop();
    deps.log('warn', `a connection to the engine's socket was dropped: ${reason}`);
    socket.destroy();
  };
  const late = setTimeout(() => drop('its preamble did not come in time'), deps.preambleWithinMs);
  const stop = (): void => {
    clearTimeout(late);
    socket.off('readable', onReadable);
    socket.off('end', onEnd);
    socket.off('close', stop);
  };
  const onEnd = (): void => drop('it ended within its preamble');
  const onReadable = (): void => {
    for (let chunk = read(socket); chunk; chunk = read(socket)) {
      let result;
      try {
        result = reader.push(chunk);
      } catch (error) {
        if (!(error instanceof PreambleError)) throw error;
        return drop(error.message);
      }
      if (!result) continue;
      stop();
      if (result.rest.length > 0) socket.unshift(result.rest);
      if (!pass(socket, result.preamble, deps)) socket.destroy();
      return;
    }
  };
  socket.on('readable', onReadable);
  socket.on('end', onEnd);
  socket.on('close', stop);
}

function pass(socket: Socket, preamble: Preamble | DecisionsPreamble, deps: HandOverDependencies): boolean {
  if ('decisions' in preamble) return deps.onDecisions(socket, preamble);
  describePeer(socket, preamble);
  return deps.onConnection(socket, preamble);
}

function read(socket: Socket): Buffer | null {
  // Safe: no encoding is set, so what is read are bytes.
  return socket.read() as Buffer | null;
}

/** A unix socket has no addresses of its own; frameworks and logs look for these. */
function describePeer(socket: Socket, { source, destination, tls }: Preamble): void {
  const family = (address: string): string => (address.includes(':') ? 'IPv6' : 'IPv4');
  const values = {
    remoteAddress: source.address,
    remotePort: source.port,
    remoteFamily: family(source.address),
    localAddress: destination.address,
    localPort: destination.port,
    localFamily: family(destination.address),
    // What tells a framework that the request came by https.
    ...(tls ? { encrypted: true } : {}),
  };
  for (const [name, value] of Object.entries(values)) {
    Object.defineProperty(socket, name, { value, configurable: true, enumerable: true });
  }
}

async function makeDirectory(): Promise<string> {
  const parent = join(tmpdir(), 'tsnet-XXXXXX/s').length <= MAX_SOCKET_PATH ? tmpdir() : '/tmp';
  const directory = await mkdtemp(join(parent, 'tsnet-')); // 0700 by itself, unless the umask is stranger still
  await chmod(directory, 0o700);
  return directory;
}

async function listen(server: Server, path: string): Promise<void> {
  const listening = Promise.withResolvers<void>();
  server.once('error', listening.reject);
  server.listen(path, listening.resolve);
  await listening.promise;
  server.off('error', listening.reject);
}
