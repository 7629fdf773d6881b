/**
 * One HTTPS or HTTP request with everything stated: authority, client certificate, headers. The stack uses it to look
 * at what it started; nothing is added to what the caller says but Host and the body's length.
 */
import { readFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Socket } from 'node:net';
import { connect as tlsConnect } from 'node:tls';
import { text } from 'node:stream/consumers';

export interface RequestOptions {
  readonly method?: string;
  readonly headers?: OutgoingHttpHeaders;
  readonly body?: string;
  readonly caFile?: string;
  readonly certFile?: string;
  readonly keyFile?: string;
  /** Of a server on a unix socket. */
  readonly socketPath?: string;
  /** An open connection to the server. */
  readonly socket?: Socket;
  readonly timeoutMs?: number;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

export function send(url: string, options: RequestOptions = {}): Promise<Answer> {
  const {
    method = 'GET',
    headers = {},
    body,
    caFile,
    certFile,
    keyFile,
    socketPath,
    socket,
    timeoutMs = 5000,
  } = options;
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const isTls = url.startsWith('https:');
  const tls = caFile === undefined ? {} : { ca: readFileSync(caFile) };
  const request = (isTls ? httpsRequest : httpRequest)(url, {
    method,
    headers: { ...(body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }), ...headers },
    // A server that was stopped and started again must not get a connection from before. Any agent, false included,
    // would make a connection of its own and leave the given socket unused.
    ...(socket === undefined ? { agent: false } : {}),
    signal: AbortSignal.timeout(timeoutMs),
    ...tls,
    ...(certFile === undefined ? {} : { cert: readFileSync(certFile) }),
    ...(keyFile === undefined ? {} : { key: readFileSync(keyFile) }),
    ...(socketPath === undefined ? {} : { socketPath }),
    ...(socket === undefined
      ? {}
      : { createConnection: () => (isTls ? tlsConnect({ socket, host: new URL(url).hostname, ...tls }) : socket) }),
  });
  const fail = (cause: Error): void => reject(new Error(`${method} ${url}: ${cause.message}`, { cause }));
  request.once('error', fail);
  request.once('response', (response: IncomingMessage) => {
    text(response).then(
      (received) => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: received }),
      fail,
    );
  });
  request.end(body);
  return promise;
}

export async function httpsStatus(url: string, options: RequestOptions): Promise<number> {
  return (await send(url, options)).status;
}
