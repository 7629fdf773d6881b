/**
 * One HTTP exchange at a time with one server, through a proxy where the environment names one.
 *
 * Every answer is capped at 1 MB, redirects are refused, and nothing is waited for without an end. Failures become
 * UnreachableError with what to look at. `close` ends the kept connection; the caller who made the transport calls it.
 */
import { isIP, type LookupFunction } from 'node:net';
import type { Agent, ClientRequest, IncomingMessage } from 'node:http';
import { type Described, explainFailure, type TimedOut, timedOut } from './connection-failure.ts';
import { RefusedError, UnreachableError, UserError } from '../errors.ts';
import { printable } from '../terminal/output.ts';
import { tunnelAgent, withoutSecrets } from './proxy.ts';

export interface Exchange {
  readonly method: 'GET' | 'POST';
  /** With its query. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** Whether it does no harm, and tells the same, if it is carried out twice. */
  readonly isRepeatable?: boolean;
  /** Called once the request has left: work that may as well be done while the server thinks. */
  readonly onSent?: () => void;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly text: string;
}

export interface Transport {
  readonly server: URL;
  send(exchange: Exchange): Promise<Answer>;
  close(): void;
}

/**
 * `addresses`: what the server's name means, where that is known better than by asking DNS. `connectMs`: how long a connection
 * may take.
 */
export async function createTransport(
  server: URL,
  proxy: URL | undefined,
  addresses: readonly string[] = [],
  connectMs = connectTimeoutMs,
): Promise<Transport> {
  const tunnel = proxy === undefined ? undefined : await tunnelAgent(server, proxy);
  // An absolute-form request goes to the proxy as if it were the server.
  const absoluteForm = proxy !== undefined && tunnel === undefined;
  const peer = absoluteForm ? proxy : server;
  // Importing these as modules evaluates lazy getters, WebSocket's among them: 20 to 40 ms for nothing.
  const http = process.getBuiltinModule(peer.protocol === 'https:' ? 'node:https' : 'node:http');
  const agent: Agent = tunnel ?? new http.Agent({ keepAlive: true });
  const described: Described = { server, proxy };
  const open = (exchange: Exchange): ClientRequest =>
    http.request({
      agent,
      ...(addresses.length === 0 || proxy !== undefined ? {} : { lookup: lookupIn(addresses) }),
      method: exchange.method,
      hostname: peer.hostname.replace(/^\[|\]$/g, ''),
      port: peer.port === '' ? (peer.protocol === 'https:' ? 443 : 80) : Number(peer.port),
      // Otherwise Node takes it from the Host header, which names the server even where the peer is a proxy.
      servername: isIP(peer.hostname) === 0 ? peer.hostname : '',
      path: absoluteForm ? `${server.origin}${exchange.path}` : exchange.path,
      headers: {
        ...exchange.headers,
        host: server.host,
        ...(exchange.body === undefined ? {} : { 'content-length': String(Buffer.byteLength(exchange.body)) }),
        ...(absoluteForm ? proxyCredentials(proxy) : {}),
      },
    });
  return {
    server,
    send: (exchange) => exchangeOnce(open, exchange, described, connectMs),
    close: () => agent.destroy(),
  };
}

/** As many sessions as one may have, each in a thousand namespaces. */
const maxAnswerBytes = 4 * 1024 * 1024;
const connectTimeoutMs = 10_000;
const checkName = 'Check the name of the server.';

function exchangeOnce(
  open: (exchange: Exchange) => ClientRequest,
  exchange: Exchange,
  described: Described,
  connectMs: number,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    exchange.signal.throwIfAborted();
    const request = open(exchange);
    const onAbort = (): void => void request.destroy(asError(exchange.signal.reason));
    const late = (what: TimedOut, ms: number) => (): void => void request.destroy(timedOut(described, what, ms));
    const connectTimer = setTimeout(late('connecting', connectMs), connectMs);
    const answerTimer = setTimeout(late('answering', exchange.timeoutMs), exchange.timeoutMs);
    const settle = (): void => {
      clearTimeout(connectTimer);
      clearTimeout(answerTimer);
      exchange.signal.removeEventListener('abort', onAbort);
    };
    exchange.signal.addEventListener('abort', onAbort, { once: true });
    request.on('error', (error) => {
      settle();
      reject(explainFailure(error, described));
    });
    request.on('finish', () => {
      clearTimeout(connectTimer);
      exchange.onSent?.();
    });
    // Unheard, it would leave this waiting for ever.
    request.on('upgrade', (_response, socket) => {
      socket.destroy();
      settle();
      reject(
        new UnreachableError(`${described.server.origin} changes to a protocol that was not asked for`, [checkName]),
      );
    });
    request.on('response', (response) => {
      collect(response, described)
        .then(resolve, (error: unknown) => {
          request.destroy();
          reject(explainFailure(asError(error), described));
        })
        .finally(settle);
    });
    request.end(exchange.body);
  });
}

async function collect(response: IncomingMessage, { server, proxy }: Described): Promise<Answer> {
  const status = response.statusCode ?? 0;
  if (status >= 300 && status < 400) {
    throw new RefusedError(
      status,
      undefined,
      `${server.origin} redirects to ${printable(response.headers.location ?? 'nowhere')}`,
      ['The command follows no redirect. If that is your tka server, name it with --server.'],
    );
  }
  if (status === 407 && proxy !== undefined) {
    throw new UnreachableError(`the proxy ${withoutSecrets(proxy)} asks for a user and a password`, [
      'Put them into the proxy variable: http://user:password@host:port.',
    ]);
  }
  const chunks: Buffer[] = [];
  let size = 0;
  // A stream of an IncomingMessage without an encoding yields Buffers.
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxAnswerBytes) {
      throw new UserError(`${server.origin} sent more than 1 MB, which no tka server does`, [checkName]);
    }
    chunks.push(chunk);
  }
  return { status, headers: response.headers, text: Buffer.concat(chunks).toString('utf8') };
}

/** A node:dns lookup that answers from the list. */
function lookupIn(addresses: readonly string[]): LookupFunction {
  const found = addresses.map((address) => ({ address, family: isIP(address) }));
  return (_name, { all }, done) => {
    const [{ address, family } = { address: '', family: 4 }] = found;
    if (all === true) done(null, found);
    else done(null, address, family);
  };
}

function proxyCredentials(proxy: URL): Record<string, string> {
  if (proxy.username === '' && proxy.password === '') return {};
  const text = `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`;
  return { 'proxy-authorization': `Basic ${Buffer.from(text).toString('base64')}` };
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}
