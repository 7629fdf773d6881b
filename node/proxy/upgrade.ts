/**
 * exec, attach and port-forward: an upgraded connection, spliced to the API server once that has answered 101, and not before.
 *
 * Any other answer is relayed and the connection closed, so that bytes a caller sent too early are never read as anything. Both
 * sides end together. A cut puts a last word into the stream where the protocol has a place for it: the error channel of
 * Kubernetes' protocols for exec and attach, at a frame's boundary.
 */
import { request as httpRequest } from 'node:http';
import type { ClientRequest, IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Duplex } from 'node:stream';
import { prefixOf } from './classify.ts';
import type { Outcome } from './forward.ts';
import { FrameBoundary, serverFrame } from './frames.ts';
import { hangUp } from '../http/linger-close.ts';
import { returnHeaders } from './headers.ts';
import { invalidAnswer, protectiveHeaders, Refusal, refusalBytes, statusObject } from './refusal.ts';
import { ErrorStream, lastFrame } from './spdy.ts';
import type { Cut } from './streams.ts';
import type { Upstream } from './upstream.ts';

export interface Upgrading {
  readonly req: IncomingMessage;
  readonly socket: Duplex;
  /** What came after the request's head. */
  readonly head: Buffer;
  readonly upstream: Pick<Upstream, 'url' | 'tls'>;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly protocol: 'websocket' | 'SPDY/3.1';
  /** Its answer may set cookies. */
  readonly withCookies: boolean;
  readonly requestId: string;
  readonly onStart: (status: number) => void;
  /** Once, at the very end. `status` is 0 where the caller had gone before there was an answer. */
  readonly onEnd: (outcome: Outcome) => void;
  /** Sees what the caller gets, for a recording; throws to end the stream. */
  readonly tap?: Tap;
}

export interface Tap {
  /** The protocol that the API server chose. */
  begin(subprotocol: string): void;
  toCaller(chunk: Buffer): void;
  fromCaller(chunk: Buffer): void;
  /** Told when the stream must end although nothing passes. */
  onFailed(listener: () => void): void;
  end(): void;
}

const unrecorded = 'it could not be recorded any more';
/** How far one side may be read ahead of what the other has taken. At Node's own 64 KiB each chunk would stop the reader. */
const aheadBytes = 256 * 1024;
const handshakeMs = 60_000;
/** A caller that does not read must not keep the API server's side. */
const cutMs = 500;
const answerHeaders: ReadonlySet<string> = new Set([
  'sec-websocket-accept',
  'sec-websocket-extensions',
  'sec-websocket-protocol',
  'set-cookie',
  'x-stream-protocol-version',
]);

/** Without a body, whose bytes nobody could tell from the stream's. */
export function isPlainUpgrade(req: IncomingMessage): boolean {
  const tokens = (req.headers.connection ?? '').toLowerCase().split(',');
  return (
    (req.method === 'GET' || req.method === 'POST') &&
    tokens.some((token) => token.trim() === 'upgrade') &&
    Number(req.headers['content-length'] ?? 0) === 0 &&
    req.headers['transfer-encoding'] === undefined
  );
}

/** Only these are spliced; h2c and whatever comes next would be another protocol that we do not check. */
export function protocolIn(header: string | undefined): 'websocket' | 'SPDY/3.1' | undefined {
  const name = header?.trim().toLowerCase();
  return name === 'websocket' ? 'websocket' : name === 'spdy/3.1' ? 'SPDY/3.1' : undefined;
}

/** Returns how to cut it. */
export function upgrade(upgrading: Upgrading): Cut {
  const { socket, head, protocol, requestId, onStart, onEnd, tap } = upgrading;
  let status = 0;
  let received = 0;
  let sent = 0;
  let cutReason: string | undefined;
  let isOver = false;
  let spliced: Duplex | undefined;
  let lastWord: ((reason: string) => void) | undefined;

  const outgoing = dial(upgrading);
  const timer = setTimeout(
    () => fail(new Refusal(504, 'the API server has not answered tka in time')),
    handshakeMs,
  ).unref();

  const finish = (): void => {
    clearTimeout(timer);
    outgoing.destroy();
    // Once upgraded it is no part of the request any more.
    spliced?.destroy();
    socket.destroy();
    if (isOver) return;
    isOver = true;
    tap?.end();
    onEnd({ status, sentBytes: sent, receivedBytes: received, ...(cutReason === undefined ? {} : { cut: cutReason }) });
  };
  /** Before there was an answer. */
  const fail = (refusal: Refusal): void => {
    clearTimeout(timer);
    status = refusal.status;
    outgoing.destroy();
    hangUp(socket, refusalBytes(refusal, { requestId, close: true }));
  };
  const cut = (reason: string, because: 'revoked' | 'restart'): void => {
    if (isOver || cutReason !== undefined) return;
    cutReason = reason;
    if (lastWord !== undefined) lastWord(reason);
    else if (status === 0) fail(new Refusal(because === 'revoked' ? 401 : 503, reason));
    else finish();
  };

  tap?.onFailed(() => cut(unrecorded, 'revoked'));
  // A caller that ends its side before there is a stream has gone.
  socket.on('error', finish).on('close', finish).on('end', finish);
  outgoing.on('error', (cause) => {
    if (status === 0) fail(failureOf(cause));
    // What fails in the middle of an answer must not look like its end.
    else if (cutReason === undefined) finish();
  });
  outgoing.on('response', (response) => {
    clearTimeout(timer);
    if (status !== 0) return;
    status = response.statusCode ?? 502;
    onStart(status);
    response.on('data', (chunk: Buffer) => (received += chunk.length));
    relay(response, upgrading, finish);
  });
  outgoing.on('upgrade', (response, far: Duplex, farHead: Buffer) => {
    clearTimeout(timer);
    far.on('error', finish);
    if (status !== 0) {
      far.destroy();
      return;
    }
    if (protocolIn(response.headers.upgrade) !== protocol) {
      far.destroy();
      fail(new Refusal(502, 'the API server changed to another protocol than was asked for'));
      return;
    }
    status = 101;
    spliced = far;
    socket.off('end', finish);
    socket.write(switching(response, upgrading), 'latin1');
    const subprotocol = response.headers['sec-websocket-protocol'] ?? '';
    const frames = new FrameBoundary(protocol);
    // Earlier versions have words there that no client shows, port-forward has a stream for each connection.
    const hasStatus = response.headers['x-stream-protocol-version'] === 'v4.channel.k8s.io';
    const errorStream = protocol === 'SPDY/3.1' && hasStatus ? new ErrorStream() : undefined;
    const lastBytes = (reason: string): Buffer | undefined => {
      if (!frames.isAtBoundary) return undefined;
      if (protocol === 'websocket') return farewell(subprotocol, reason);
      return errorStream?.id === undefined ? undefined : lastFrame(errorStream.id, statusBytes(reason));
    };
    let isFarewell = false;
    lastWord = (reason) => {
      isFarewell = true;
      // Nothing comes behind the last word.
      far.destroy();
      const bytes = lastBytes(reason);
      if (bytes === undefined) finish();
      else hangUp(socket, bytes, cutMs);
    };
    const onward = (chunk: Buffer): boolean => {
      received += chunk.length;
      frames.push(chunk);
      tap?.toCaller(chunk);
      return socket.write(chunk);
    };
    const back = (chunk: Buffer): boolean => {
      sent += chunk.length;
      errorStream?.push(chunk);
      tap?.fromCaller(chunk);
      return far.write(chunk);
    };
    const orEnd = (pass: (chunk: Buffer) => boolean) => (chunk: Buffer) => {
      if (isFarewell) return true;
      try {
        return pass(chunk);
      } catch {
        cut(unrecorded, 'revoked');
        return true;
      }
    };
    onStart(101);
    splice(far, socket, orEnd(onward));
    splice(socket, far, orEnd(back));
    far.on('close', () => {
      if (!isFarewell) hangUp(socket);
    });
    orEnd(() => {
      tap?.begin(subprotocol);
      if (farHead.length > 0) onward(farHead);
      return head.length === 0 || back(head);
    })(head);
  });
  outgoing.end();
  return cut;
}

/** The parser's errors have these codes: bytes that are no answer, as opposed to none. */
function failureOf(cause: NodeJS.ErrnoException): Refusal {
  if (cause.code?.startsWith('HPE_') === true) return new Refusal(502, invalidAnswer, { cause });
  return new Refusal(503, 'the API server does not answer tka', { cause });
}

function dial({ req, upstream: { url, tls }, path, headers, protocol }: Upgrading): ClientRequest {
  const isTls = url.protocol === 'https:';
  return (isTls ? httpsRequest : httpRequest)({
    ...(isTls ? tls : {}),
    agent: false,
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? (isTls ? 443 : 80) : Number(url.port),
    method: req.method,
    path,
    headers: { ...headers, host: url.host, connection: 'Upgrade', upgrade: protocol },
  });
}

function switching(
  response: IncomingMessage,
  { req, protocol, requestId, withCookies, upstream: { url } }: Upgrading,
): string {
  const lines = [
    'HTTP/1.1 101 Switching Protocols',
    'connection: Upgrade',
    `upgrade: ${protocol}`,
    `x-request-id: ${requestId}`,
  ];
  const pairs = returnHeaders(response.headers, { origin: url.origin, prefix: prefixOf(req.url ?? ''), withCookies });
  for (let i = 0; i < pairs.length; i += 2) {
    const [name = '', value = ''] = pairs.slice(i, i + 2);
    if (answerHeaders.has(name)) lines.push(`${name}: ${value}`);
  }
  return `${lines.join('\r\n')}\r\n\r\n`;
}

/** An answer that is no 101, framed so that its end can be told from its breaking off; `fail` where it breaks off. */
function relay(
  response: IncomingMessage,
  { req, socket, upstream, withCookies, requestId }: Upgrading,
  fail: () => void,
): void {
  const status = response.statusCode ?? 502;
  const pairs = returnHeaders(response.headers, {
    origin: upstream.url.origin,
    prefix: prefixOf(req.url ?? ''),
    withCookies,
  });
  const isChunked = response.headers['content-length'] === undefined && status !== 204 && status !== 304;
  const lines = [`HTTP/1.1 ${status} ${response.statusMessage ?? ''}`];
  for (let i = 0; i < pairs.length; i += 2) lines.push(`${pairs[i] ?? ''}: ${pairs[i + 1] ?? ''}`);
  for (const [name, value] of Object.entries(protectiveHeaders)) lines.push(`${name}: ${value}`);
  if (isChunked) lines.push('transfer-encoding: chunked');
  lines.push(`x-request-id: ${requestId}`, 'connection: close', '', '');
  socket.write(lines.join('\r\n'), 'latin1');
  // What the caller has sent too early is read by nobody.
  socket.resume();
  socket.on('drain', () => response.resume());
  response.on('data', (chunk: Buffer) => {
    if (isChunked) socket.write(`${chunk.length.toString(16)}\r\n`);
    const isDrained = socket.write(chunk);
    if (isChunked) socket.write('\r\n');
    if (!isDrained) response.pause();
  });
  response.on('end', () => hangUp(socket, isChunked ? '0\r\n\r\n' : ''));
  response.on('close', () => {
    if (!response.complete) fail();
  });
}

function splice(from: Duplex, to: Duplex, pass: (chunk: Buffer) => boolean): void {
  from.on('data', (chunk: Buffer) => {
    if (!pass(chunk) && to.writableLength >= aheadBytes) from.pause();
  });
  to.on('drain', () => from.resume());
  from.on('end', () => to.end());
}

/** The error channel's last message, as the API server ends an exec, and a close frame. */
function farewell(subprotocol: string, reason: string): Buffer {
  const closing = serverFrame(
    'close',
    Buffer.concat([Buffer.from([1008 >> 8, 1008 & 0xff]), Buffer.from(reason.slice(0, 120))]),
  );
  if (!/^v[45]\.channel\.k8s\.io$/.test(subprotocol)) return closing;
  return Buffer.concat([serverFrame('binary', Buffer.concat([Buffer.from([3]), statusBytes(reason)])), closing]);
}

function statusBytes(reason: string): Buffer {
  return Buffer.from(JSON.stringify(statusObject(new Refusal(401, reason))));
}
