/**
 * The HTTP server behind the tailnet's listeners: limits for slow and large requests, and a stop that lets requests under way finish.
 *
 * `close()` answers requests under way with `Connection: close`, waits for them until the signal aborts, then closes what is left.
 */
import { createServer } from 'node:http';
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { hangUp } from './linger-close.ts';

export interface TailnetServer {
  readonly server: Server;
  close(signal: AbortSignal): Promise<void>;
}

const limits = {
  /** From the first byte of a request to its last header, and to its last byte. A login that waits for its answer is not limited. */
  headersTimeout: 10_000,
  requestTimeout: 5 * 60_000,
  connectionsCheckingInterval: 5_000,
  keepAliveTimeout: 60_000,
  maxHeaderSize: 16_384,
  insecureHTTPParser: false,
} as const;

export function createTailnetServer(
  listener: RequestListener,
  overrides: Partial<Record<keyof typeof limits, number>> = {},
): TailnetServer {
  let underWay = 0;
  let isClosing = false;
  const idle = Promise.withResolvers<void>();
  const options = { ...limits, ...overrides, insecureHTTPParser: false };
  /** How many answers each connection owes. */
  const owed = new WeakMap<Duplex, number>();
  const owe = (socket: Duplex, change: 1 | -1): void => void owed.set(socket, (owed.get(socket) ?? 0) + change);
  const serve = (req: IncomingMessage, res: ServerResponse): void => {
    const { socket } = req;
    underWay += 1;
    owe(socket, 1);
    if (isClosing) res.setHeader('Connection', 'close');
    res.once('close', () => {
      underWay -= 1;
      owe(socket, -1);
      if (isClosing && underWay === 0) idle.resolve();
    });
    listener(req, res);
  };
  const server = createServer(options, serve);
  // A maximum count would silently drop headers; their size is limited anyway.
  server.maxHeadersCount = 0;
  // A client that disconnects needs no handling; the parser's own answer (400, 431) was sent where possible.
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    // During an answer, a second one would be read as part of it.
    if (!socket.writable || error.code === 'ECONNRESET' || (owed.get(socket) ?? 0) > 0) {
      socket.destroy();
      return;
    }
    const status =
      { HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large', ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout' }[
        error.code ?? ''
      ] ?? '400 Bad Request';
    hangUp(socket, `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
  });
  return {
    server,
    async close(signal) {
      isClosing = true;
      // Closes idle connections. The server never listens itself and cannot tell when the rest is done, so requests are counted.
      server.close();
      if (underWay > 0) {
        const aborted = Promise.withResolvers<void>();
        const onAbort = (): void => aborted.resolve();
        if (signal.aborted) onAbort();
        signal.addEventListener('abort', onAbort, { once: true });
        await Promise.race([idle.promise, aborted.promise]);
        signal.removeEventListener('abort', onAbort);
      }
      server.closeAllConnections();
    },
  };
}
