/**
 * An engine's part in the proxy without an engine: requests that an HTTP server has read are put to the decider, and forwarded as it
 * says, so that tests can speak in bytes and look at what leaves for the API server. How well the real one carries is for its
 * own tests.
 */
import { createServer, request as httpRequest } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type {
  AskedRequest,
  CutOrder,
  Decider,
  ForwardOrder,
  OwnAnswer,
  RecordOrder,
  RequestEvents,
} from '../../tsnet/decider.ts';
import type { TailnetConnection } from '../../tsnet/peer.ts';
import type { Proxy } from '../index.ts';

export interface StandInEngine {
  readonly server: Server;
  /** What was to be recorded, oldest first. */
  readonly records: readonly RecordOrder[];
}

export function createStandInEngine(
  { decider, handles }: Pick<Proxy, 'decider' | 'handles'>,
  connectionOf: (socket: Socket) => TailnetConnection,
): StandInEngine {
  const records: RecordOrder[] = [];
  const server = createServer({ shouldUpgradeCallback: () => false, maxHeaderSize: 16_384 }, (req, res) => {
    const { url = '', rawHeaders } = req;
    if (!url.startsWith('/') || !handles({ url, rawHeaders })) {
      res.writeHead(url.startsWith('/') ? 404 : 400).end('not the proxy');
      return;
    }
    const exchange = new Exchange(req, res, { decider, connection: connectionOf(req.socket), records });
    decider.decide(exchange, (events) => (exchange.events = events));
  });
  server.maxHeadersCount = 0;
  return { server, records };
}

interface Around {
  readonly decider: Decider;
  readonly connection: TailnetConnection;
  readonly records: RecordOrder[];
}

class Exchange implements AskedRequest {
  readonly connection;
  readonly httpVersion;
  readonly method;
  readonly target;
  readonly rawHeaders;
  readonly hasBody;
  events: RequestEvents | undefined;
  readonly #req: IncomingMessage;
  readonly #res: ServerResponse;
  readonly #around: Around;
  readonly #abort = new AbortController();
  #body: Buffer | undefined;
  #status = 0;
  #sentBytes = 0;
  #receivedBytes = 0;

  constructor(req: IncomingMessage, res: ServerResponse, around: Around) {
    this.connection = around.connection;
    this.httpVersion = req.httpVersion;
    this.method = req.method ?? '';
    this.target = req.url ?? '';
    this.rawHeaders = req.rawHeaders;
    this.hasBody = req.headers['transfer-encoding'] !== undefined || Number(req.headers['content-length'] ?? 0) > 0;
    this.#req = req;
    this.#res = res;
    this.#around = around;
    res.once('close', () => {
      this.#abort.abort();
      const [status, sentBytes, receivedBytes] = [this.#status, this.#sentBytes, this.#receivedBytes];
      this.events?.ended({ status, sentBytes, receivedBytes });
    });
    req.socket.once('end', () => res.destroy());
  }

  read(most: number): void {
    const chunks: Buffer[] = [];
    this.#req.on('data', (chunk: Buffer) => chunks.push(chunk));
    this.#req.on('end', () => {
      const body = Buffer.concat(chunks);
      this.#sentBytes = body.length;
      if (body.length <= most) this.#body = body;
      this.events?.body(this.#body);
    });
  }

  record(order: RecordOrder): void {
    this.#around.records.push(order);
  }

  forward(order: ForwardOrder): void {
    const url = new URL(this.#around.decider.settings.server);
    const length = this.#body === undefined ? {} : { 'content-length': this.#body.length };
    const out = httpRequest({
      host: url.hostname,
      port: url.port,
      method: this.method,
      path: order.path,
      headers: { ...order.headers, ...length },
      signal: this.#abort.signal,
    });
    out.on('response', (answer) => this.#relay(answer, order));
    out.on('upgrade', (answer, socket) => {
      this.#relay(answer, order);
      socket.on('error', () => undefined).on('close', () => this.#req.socket.destroySoon());
      socket.pipe(this.#req.socket);
    });
    out.on('error', () => {
      if (this.#abort.signal.aborted) return;
      if (this.#res.headersSent) this.#res.destroy();
      else
        this.#say(this.events?.failed({ isSent: out.socket?.bytesWritten !== 0, isInvalid: false, reason: 'error' }));
    });
    if (this.#body !== undefined || !this.hasBody) out.end(this.#body);
    else this.#req.on('data', (chunk: Buffer) => (this.#sentBytes += chunk.length)).pipe(out);
  }

  answer(answer: OwnAnswer): void {
    this.#say(answer);
  }

  cut({ answer, inOrder, lastWord }: CutOrder): void {
    if (!this.#res.headersSent) this.#say(answer);
    else if (inOrder) this.#res.end(lastWord);
    else this.#res.destroy();
    this.#abort.abort();
  }

  #relay(answer: IncomingMessage, order: ForwardOrder): void {
    const { withheld, added } = this.#around.decider.settings;
    this.#status = answer.statusCode ?? 0;
    if (order.tellBegun) this.events?.begun(this.#status);
    const headers: string[] = [];
    for (let i = 0; i + 1 < answer.rawHeaders.length; i += 2) {
      const [name = '', text = ''] = answer.rawHeaders.slice(i, i + 2);
      const plain = name.toLowerCase();
      const value = plain === 'location' ? this.events?.moved(text) : text;
      if (value === undefined) continue;
      if (!withheld.includes(plain) || (order.withCookies && plain === 'set-cookie')) headers.push(plain, value);
    }
    headers.push(...added, ...order.added, ...(order.close ? ['connection', 'close'] : []));
    if (this.#status === 101) {
      this.#req.socket.write(`HTTP/1.1 101 Switching Protocols\r\n${linesOf(headers)}\r\n`);
      return;
    }
    this.#res.writeHead(this.#status, headers);
    this.#res.flushHeaders();
    answer.on('data', (chunk: Buffer) => (this.#receivedBytes += chunk.length)).pipe(this.#res);
    answer.on('close', () => {
      if (!answer.complete) this.#res.destroy();
    });
  }

  /** A whole answer in bytes. */
  #say(answer: OwnAnswer | undefined): void {
    if (answer === undefined) return;
    this.#status = answer.status;
    const end = answer.text.indexOf('\r\n\r\n');
    const lines = answer.text.slice(0, end).split('\r\n').slice(1);
    this.#res.writeHead(
      answer.status,
      lines.flatMap((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]),
    );
    this.#res.end(answer.text.slice(end + 4));
  }
}

function linesOf(headers: readonly string[]): string {
  return headers.map((text, i) => (i % 2 === 0 ? `${text}: ` : `${text}\r\n`)).join('');
}
