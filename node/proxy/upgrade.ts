/**
 * exec, attach and port-forward: an upgraded connection, spliced to the API server once that has answered 101, and not before.
 *
 * Any other answer is relayed and the connection closed, so that bytes a caller sent too early are never read as anything. Both
 * sides end together. A cut puts a last word into the stream where the protocol has a place for it: the error channel of
 * Kubernetes' websocket protocols, at a frame's boundary.
 */
import { request as httpRequest } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Duplex } from 'node:stream';
import type { Outcome } from './forward.ts';
import { FrameBoundary, serverFrame } from './frames.ts';
import { returnHeaders } from './headers.ts';
import { protectiveHeaders, Refusal, refusalBytes, statusObject } from './refusal.ts';
import type { Cut } from './streams.ts';
import { prefix } from './target.ts';
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
  readonly requestId: string;
  readonly onStart: (status: number) => void;
  readonly onEnd: (outcome: Outcome) => void;
  /** Sees what the caller gets, for a recording; throws to end the stream. */
  readonly tap?: Tap;
}

export interface Tap {
  /** The protocol that the API server chose. */
  begin(subprotocol: string): void;
  toCaller(chunk: Buffer): void;
  fromCaller(chunk: Buffer): void;
  end(): void;
}

const handshakeMs = 60_000;
const answerHeaders: ReadonlySet<string> = new Set([
  'sec-websocket-accept',
  'sec-websocket-extensions',
  'sec-websocket-protocol',
  'x-stream-protocol-version',
]);

/** Only these are spliced; h2c and whatever comes next would be another protocol that we do not check. */
export function protocolIn(header: string | undefined): 'websocket' | 'SPDY/3.1' | undefined {
  const name = header?.trim().toLowerCase();
  return name === 'websocket' ? 'websocket' : name === 'spdy/3.1' ? 'SPDY/3.1' : undefined;
}

/** Returns how to cut it. */
export function upgrade(upgrading: Upgrading): Cut {
  const { req, socket, head, upstream, path, headers, protocol, requestId, onStart, onEnd, tap } = upgrading;
  const { url, tls } = upstream;
  let status = 0;
  let received = 0;
  let sent = 0;
  let cutReason: string | undefined;
  let isOver = false;
  let lastWord: ((reason: string) => void) | undefined;

  const outgoing = (url.protocol === 'https:' ? httpsRequest : httpRequest)({
    ...(url.protocol === 'https:' ? tls : {}),
    agent: false,
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port),
    method: req.method,
    path,
    headers: { ...headers, host: url.host, connection: 'Upgrade', upgrade: protocol },
  });
  const timer = setTimeout(() => outgoing.destroy(new Error('no answer in time')), handshakeMs);

  const finish = (): void => {
    clearTimeout(timer);
    outgoing.destroy();
    socket.destroy();
    if (isOver) return;
    isOver = true;
    tap?.end();
    onEnd({ status, sentBytes: sent, receivedBytes: received, ...(cutReason === undefined ? {} : { cut: cutReason }) });
  };
  const refuse = (refusal: Refusal): void => {
    status = refusal.status;
    socket.end(refusalBytes(refusal, requestId));
  };

  socket.on('error', finish).on('close', finish);
  outgoing.on('error', (error) => {
    clearTimeout(timer);
    if (status === 0 && socket.writable)
      refuse(
        new Refusal(cutReason === undefined ? 503 : 401, cutReason ?? 'the API server does not answer tka', {
          cause: error,
        }),
      );
    else finish();
  });
  outgoing.on('response', (response) => {
    clearTimeout(timer);
    status = response.statusCode ?? 502;
    const pairs = returnHeaders(response.headers, { origin: url.origin, prefix });
    const lines = [`HTTP/1.1 ${status} ${response.statusMessage ?? ''}`];
    for (let i = 0; i < pairs.length; i += 2)
      if (pairs[i] !== 'content-length') lines.push(`${pairs[i] ?? ''}: ${pairs[i + 1] ?? ''}`);
    for (const [name, value] of Object.entries(protectiveHeaders)) lines.push(`${name}: ${value}`);
    lines.push(`x-request-id: ${requestId}`, 'connection: close', '', '');
    socket.write(lines.join('\r\n'), 'latin1');
    // The end of the connection is the end of the body.
    response.on('data', (chunk: Buffer) => (received += chunk.length));
    response.pipe(socket);
    onStart(status);
  });
  outgoing.on('upgrade', (response, far: Duplex, farHead: Buffer) => {
    clearTimeout(timer);
    if (protocolIn(response.headers.upgrade) !== protocol || !socket.writable) {
      far.destroy();
      refuse(new Refusal(502, 'the API server changed to another protocol than was asked for'));
      return;
    }
    status = 101;
    const lines = [
      'HTTP/1.1 101 Switching Protocols',
      'connection: Upgrade',
      `upgrade: ${protocol}`,
      `x-request-id: ${requestId}`,
    ];
    for (const [name, value] of Object.entries(response.headers))
      if (answerHeaders.has(name)) lines.push(`${name}: ${String(value)}`);
    socket.write(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
    const subprotocol = response.headers['sec-websocket-protocol'] ?? '';
    const frames = protocol === 'websocket' ? new FrameBoundary() : undefined;
    const onward = (chunk: Buffer): boolean => {
      received += chunk.length;
      frames?.push(chunk);
      tap?.toCaller(chunk);
      return socket.write(chunk);
    };
    const back = (chunk: Buffer): boolean => {
      sent += chunk.length;
      tap?.fromCaller(chunk);
      return far.write(chunk);
    };
    lastWord = (reason) => {
      if (frames?.isAtBoundary === true && socket.writable) socket.end(farewell(subprotocol, reason), finish);
      else finish();
    };
    try {
      tap?.begin(subprotocol);
      if (farHead.length > 0) onward(farHead);
      if (head.length > 0) back(head);
    } catch {
      finish();
      return;
    }
    splice(far, socket, onward, finish);
    splice(socket, far, back, finish);
    far.on('error', finish).on('close', () => socket.end(finish));
    onStart(101);
  });
  outgoing.end();

  return (reason) => {
    if (isOver || cutReason !== undefined) return;
    cutReason = reason;
    if (lastWord !== undefined) {
      lastWord(reason);
      // A caller that does not read must not keep the other side.
      setTimeout(finish, 500).unref();
    } else outgoing.destroy(new Error(reason));
  };
}

function splice(from: Duplex, to: Duplex, pass: (chunk: Buffer) => boolean, fail: () => void): void {
  from.on('data', (chunk: Buffer) => {
    try {
      if (!pass(chunk)) from.pause();
    } catch {
      fail();
    }
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
  const status = JSON.stringify(statusObject(new Refusal(401, reason)));
  return Buffer.concat([serverFrame('binary', Buffer.concat([Buffer.from([3]), Buffer.from(status)])), closing]);
}
