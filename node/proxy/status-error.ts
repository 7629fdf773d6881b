/**
 * What the proxy itself answers, as Kubernetes `Status` objects, so that kubectl prints them as it prints the API server's.
 */
import type { ServerResponse } from 'node:http';

/** A request that is not forwarded. The message is for the caller: it never quotes a credential. */
export class Refusal extends Error {
  readonly status: number;
  readonly reason: StatusReason;

  constructor(status: keyof typeof reasons, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'Refusal';
    this.status = status;
    this.reason = reasons[status];
  }
}

/** For an answer that two readers could understand differently, of which nothing is relayed. */
export const invalidAnswer = 'the API server, or what it leads to, gave an answer that is not valid HTTP';

const reasons = {
  400: 'BadRequest',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  405: 'MethodNotAllowed',
  413: 'RequestEntityTooLarge',
  421: 'BadRequest',
  429: 'TooManyRequests',
  502: 'ServiceUnavailable',
  503: 'ServiceUnavailable',
  504: 'Timeout',
} as const;
type StatusReason = (typeof reasons)[keyof typeof reasons];

export interface StatusObject {
  readonly kind: 'Status';
  readonly apiVersion: 'v1';
  readonly metadata: object;
  readonly status: 'Failure';
  readonly message: string;
  readonly reason: string;
  readonly code: number;
}

export function statusObject({
  status,
  reason,
  message,
}: Pick<Refusal, 'status' | 'reason' | 'message'>): StatusObject {
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason, code: status };
}

/** On every answer, the API server's included: what comes from a pod must not run as a page of this host. */
export const protectiveHeaders: Readonly<Record<string, string>> = {
  'content-security-policy': 'sandbox',
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
};

/** `close`: the connection may hold the rest of a request that nobody will read. */
export function answerRefusal(
  res: ServerResponse,
  refusal: Refusal,
  { requestId, close }: { readonly requestId: string; readonly close: boolean },
): void {
  const body = JSON.stringify(statusObject(refusal));
  res.writeHead(refusal.status, {
    ...protectiveHeaders,
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    'x-request-id': requestId,
    ...retryAfter(refusal),
    ...(close ? { connection: 'close' } : {}),
  });
  res.end(body);
}

/** The same answer in bytes, for a connection that nobody here has a response for. */
export function refusalBytes(
  refusal: Refusal,
  { requestId, close }: { readonly requestId: string; readonly close: boolean },
): string {
  const body = JSON.stringify(statusObject(refusal));
  const headers = {
    ...protectiveHeaders,
    'content-type': 'application/json',
    'content-length': String(Buffer.byteLength(body)),
    'cache-control': 'no-store',
    'x-request-id': requestId,
    ...retryAfter(refusal),
    ...(close ? { connection: 'close' } : {}),
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${refusal.status} ${refusal.reason}\r\n${lines.join('')}\r\n${body}`;
}

/** Kubernetes' clients come again by themselves after these. */
function retryAfter({ status }: Refusal): Readonly<Record<string, string>> {
  return status === 429 || status === 503 ? { 'retry-after': '1' } : {};
}
