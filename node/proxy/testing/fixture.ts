/**
 * The proxy behind a stand-in for the engine, on a loopback port; callers, sessions and the API server are stand-ins too. The API server's is a real HTTP server, or a bare socket, and remembers each connection's bytes.
 *
 * Callers speak in bytes, so that they can say what no HTTP client would. In one file, because each part is of use only to the
 * others.
 */
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import type { IncomingMessage, RequestListener } from 'node:http';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { refuseForeignRequest } from '../../http/origin.ts';
import type { TailnetConnection } from '../../tsnet/peer.ts';
import type { ProxyCaller, ProxySession } from '../decision.ts';
import { createProxy, type Proxy } from '../index.ts';
import type { ProxyDeps } from '../deps.ts';
import { createSessionKeys, type SessionKeys } from '../session-key.ts';
import { createUpstream } from '../upstream.ts';
import { createStandInEngine } from './stand-in-engine.ts';

export interface StandIn {
  /** A request, as an HTTP server reads it; absent: answered with `{}`. */
  readonly request?: RequestListener;
  readonly upgrade?: (req: IncomingMessage, socket: Duplex, head: Buffer) => void;
  /** A connection, instead of both. */
  readonly raw?: (socket: Socket) => void;
}

export interface FixtureOptions {
  readonly apiServer?: StandIn;
  readonly limits?: ProxyDeps['limits'];
  readonly deps?: Partial<ProxyDeps>;
}

export interface UpstreamConnection {
  readonly socket: Socket;
  /** What the proxy has sent on it so far. */
  bytes(): string;
  /** The proxy has ended or broken it. */
  isClosed: boolean;
}

export interface Fixture extends AsyncDisposable {
  readonly proxy: Proxy;
  readonly keys: SessionKeys;
  readonly port: number;
  /** Connections that the API server has seen, oldest first. */
  readonly upstream: readonly UpstreamConnection[];
  /** By name; tests may change, add and remove. */
  readonly sessions: Map<string, ProxySession>;
  /** By caller; tests may change. Absent: nobody can say who it is. */
  readonly callers: Map<string, ProxyCaller>;
  readonly log: readonly Record<string, unknown>[];
  readonly rejected: readonly string[];
  readonly tokensRefused: readonly string[];
  readonly served: readonly { readonly verb: string; readonly status: number }[];
  token(session: string): string;
  /** A request's first lines for `session`, its end left to the caller: `head('GET', '/api', 'alice') + '\r\n'`. */
  head(method: string, path: string, session: string): string;
  /** Ends the API server and every connection to it. */
  stopApiServer(): Promise<void>;
  dial(as: string, text?: string): Promise<Wire>;
  /** One request on a connection of its own; everything that came until it was closed. */
  ask(as: string, text: string): Promise<string>;
}

export const serviceAccountToken = (session: string): string => `service-account-token-of-${session}`;

export async function createFixture(options: FixtureOptions = {}): Promise<Fixture> {
  const log: Record<string, unknown>[] = [];
  const rejected: string[] = [];
  const tokensRefused: string[] = [];
  const served: { verb: string; status: number }[] = [];
  const upstream: UpstreamConnection[] = [];
  const sessions = new Map<string, ProxySession>();
  const callers = new Map<string, ProxyCaller>();
  const names = new Map<number, string>();
  for (const name of ['alice', 'bob']) {
    const subject = `control.example|user:${name}`;
    sessions.set(name, {
      name,
      uid: `uid-of-${name}`,
      subject,
      role: 'view',
      endsAt: Date.now() + 3_600_000,
      isEnding: false,
    });
    callers.set(name, { subject, username: `${name}@example.com`, node: `node-of-${name}`, covers: () => true });
  }
  const keys = createSessionKeys(() => Buffer.alloc(32, 7));
  const apiServer = await startApiServer(options.apiServer ?? {}, upstream);
  const line = (level: string) => (fields: object, message: string) => {
    const written = Object.entries({ level, message, ...fields }).filter(([, value]) => value !== undefined);
    log.push(Object.fromEntries(written));
  };
  let requests = 0;
  const proxy = createProxy({
    caller(connection) {
      const caller = callers.get(connection.remoteAddress);
      if (caller !== undefined) return Promise.resolve(caller);
      return Promise.reject(Object.assign(new Error('nobody can say who is calling'), { status: 503, expose: true }));
    },
    refuseForeignRequest: (req) =>
      refuseForeignRequest(req, true, {
        ownNames: () => ['tka'],
        metrics: { headerRejected: (kind) => void rejected.push(kind) },
      }),
    session: (name) => sessions.get(name),
    token: ({ name }) => Promise.resolve(serviceAccountToken(name)),
    tokenRefused: ({ name }, token) => void tokensRefused.push(`${name}: ${token}`),
    keys,
    upstream: createUpstream({ server: `http://127.0.0.1:${portOf(apiServer)}` }),
    limits: options.limits ?? { streamsPerSession: 64, streams: 1024 },
    metrics: {
      headerRejected: (kind) => void rejected.push(kind),
      served: ({ verb, status }) => void served.push({ verb, status }),
      streams: () => undefined,
      recordingFailed: () => undefined,
      bytes: () => undefined,
    },
    log: { info: line('info'), warn: line('warn'), error: line('error') },
    now: () => Date.now(),
    newRequestId: () => `request-${(requests += 1)}`,
    ...options.deps,
  });
  const { server: front } = createStandInEngine(proxy, (socket) =>
    connectionOf(names.get(socket.remotePort ?? 0) ?? ''),
  );
  front.listen(0, '127.0.0.1');
  await once(front, 'listening');
  const wires: Wire[] = [];
  const token = (session: string): string => keys.token({ name: session, uid: sessions.get(session)?.uid ?? '' });
  const dial = async (as: string, text = ''): Promise<Wire> => {
    const socket = connect({ port: portOf(front), host: '127.0.0.1', allowHalfOpen: true });
    await once(socket, 'connect');
    names.set(socket.localPort ?? 0, as);
    const wire = new Wire(socket);
    wires.push(wire);
    wire.send(text);
    return wire;
  };
  return {
    proxy,
    keys,
    port: portOf(front),
    upstream,
    sessions,
    callers,
    log,
    rejected,
    tokensRefused,
    served,
    token,
    head: (method, path, session) =>
      `${method} ${path} HTTP/1.1\r\nHost: tka\r\nAuthorization: Bearer ${token(session)}\r\n`,
    dial,
    async ask(as, text) {
      const wire = await dial(as, text);
      return await wire.closed;
    },
    stopApiServer: () =>
      stop(
        apiServer,
        upstream.map(({ socket }) => socket),
      ),
    async [Symbol.asyncDispose]() {
      for (const wire of wires) wire.socket.destroy();
      proxy.close();
      front.closeAllConnections();
      await stop(front, []);
      await stop(
        apiServer,
        upstream.map(({ socket }) => socket),
      );
    },
  };
}

/** A connection of the tailnet node's; its address is the caller's name here. */
export function connectionOf(caller: string): TailnetConnection {
  return {
    remoteAddress: caller,
    localPort: 443,
    tls: true,
    identity: () => Promise.reject(new Error('callers are stand-ins')),
  };
}

/** A caller's end of a connection. */
export class Wire {
  readonly socket: Socket;
  /** Everything that came, once the other side has ended or broken it. */
  readonly closed: Promise<string>;
  readonly #chunks: Buffer[] = [];
  readonly #onProgress = new Set<() => void>();
  isEnded = false;
  /** The other side broke it off, instead of ending it. */
  isBroken = false;

  constructor(socket: Socket) {
    this.socket = socket;
    const { promise, resolve } = Promise.withResolvers<string>();
    this.closed = promise;
    const over = (): void => {
      this.isEnded = true;
      for (const look of this.#onProgress) look();
      resolve(this.text);
    };
    socket.on('data', (chunk: Buffer) => {
      this.#chunks.push(chunk);
      for (const look of this.#onProgress) look();
    });
    socket.on('error', () => (this.isBroken = true));
    socket.on('end', over).on('close', over);
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  get text(): string {
    return this.bytes.toString('latin1');
  }

  send(text: string | Buffer): void {
    if (text.length > 0) this.socket.write(text, 'latin1');
  }

  /** The bytes so far, as soon as they match. Rejects where they never will. */
  until(pattern: RegExp): Promise<string> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        const text = this.text;
        if (pattern.test(text)) resolve(text);
        else if (this.isEnded) reject(new Error(`no ${String(pattern)} in ${JSON.stringify(text.slice(0, 500))}`));
        else return;
        this.#onProgress.delete(look);
      };
      this.#onProgress.add(look);
      look();
    });
  }
}

/** Looks until it is so. The test's own time-out is the deadline. */
export async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 2));
}

/** A promise's state right now, after everything that is due has run. */
export async function turns(count = 5): Promise<void> {
  for (let i = 0; i < count; i += 1) await new Promise((resolve) => setImmediate(resolve));
}

/** The JSON body of an answer. */
export function bodyOf(answer: string): Record<string, unknown> {
  // A Status object, where the proxy itself has answered.
  return JSON.parse(answer.slice(answer.indexOf('\r\n\r\n') + 4)) as Record<string, unknown>;
}

export function statusOf(answer: string): number {
  return Number(/^HTTP\/1\.1 (\d{3}) /.exec(answer)?.[1]);
}

async function startApiServer(standIn: StandIn, connections: UpstreamConnection[]): Promise<Server> {
  const server =
    standIn.raw === undefined
      ? createHttpServer(
          standIn.request ?? ((_req, res) => res.setHeader('content-type', 'application/json').end('{}')),
        )
      : createServer({ allowHalfOpen: true }, standIn.raw);
  if (standIn.upgrade !== undefined) server.on('upgrade', standIn.upgrade);
  server.on('connection', (socket: Socket) => {
    const chunks: Buffer[] = [];
    const connection: UpstreamConnection = {
      socket,
      bytes: () => Buffer.concat(chunks).toString('latin1'),
      isClosed: false,
    };
    connections.push(connection);
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.on('error', () => undefined);
    const over = (): void => void (connection.isClosed = true);
    socket.on('end', over).on('close', over);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

async function stop(server: Server, sockets: readonly Socket[]): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  for (const socket of sockets) socket.destroy();
  await closed;
}

function portOf(server: Server): number {
  // They listen on TCP.
  return (server.address() as AddressInfo).port;
}
