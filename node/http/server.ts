/**
 * The HTTP server behind the tailnet's listeners: limits for slow and large requests, and a stop that lets what is under way finish.
 *
 * `close()` answers what has begun with `Connection: close`, waits for it until the signal aborts, then hangs up on whoever is left.
 */
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { hangUp } from './linger-close.ts';

export interface TailnetServer {
  readonly server: Server;
  close(signal: AbortSignal): Promise<void>;
}

const limits = {
  /** From the first byte of a request to its last header, and to its last byte. A waiting login is neither. */
  headersTimeout: 10_000,
  requestTimeout: 5 * 60_000,
  connectionsCheckingInterval: 5_000,
  keepAliveTimeout: 60_000,
  maxHeaderSize: 16_384,
  insecureHTTPParser: false,
} as const;

export interface TailnetHandlers {
  request(req: IncomingMessage, res: ServerResponse): void;
  /** The rest of the connection is the handler's. */
  upgrade(req: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** Whether `request` answers to Expect, and an Upgrade is heeded; otherwise the request is served as if it had none. */
  isProxied(req: IncomingMessage): boolean;
}

export function createTailnetServer(
  handlers: TailnetHandlers,
  overrides: Partial<Record<keyof typeof limits, number>> = {},
): TailnetServer {
  let underWay = 0;
  let isClosing = false;
  const idle = Promise.withResolvers<void>();
  const shouldUpgradeCallback = (req: IncomingMessage): boolean => handlers.isProxied(req);
  const options = { ...limits, ...overrides, insecureHTTPParser: false, shouldUpgradeCallback };
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
    handlers.request(req, res);
  };
  const server = createServer(options, serve);
  // Headers beyond a number would be left out in silence; their size is limited anyway.
  server.maxHeadersCount = 0;
  server.on('checkContinue', (req: IncomingMessage, res: ServerResponse) => {
    if (!handlers.isProxied(req)) res.writeContinue();
    serve(req, res);
  });
  server.on('upgrade', (req: IncomingMessage, socket: Duplex, head: Buffer) => handlers.upgrade(req, socket, head));
  // A client that breaks off is no event of ours; the parser's own answer (400, 431) has been sent where it could be.
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    // In the middle of an answer, another would be read as a part of it.
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
      // Hangs up on the idle. It never listened by itself, so that it cannot say when the rest is done: requests are counted.
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
