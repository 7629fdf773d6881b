/**
 * A server that speaks the contract, for tests: real HTTP on a loopback port, with every answer replaceable. The caller
 * closes it.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { WhoamiResponse } from '../../node/http/contract.ts';

export interface StubServer {
  readonly url: string;
  /** `METHOD /path?query`, in order. */
  readonly calls: readonly string[];
  readonly requests: readonly ReceivedRequest[];
  /** Replaces the answer to `METHOD /path`. */
  answer(call: string, handler: Handler): void;
  close(): Promise<void>;
}

export interface ReceivedRequest {
  readonly call: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

export type Handler = (request: ReceivedRequest, response: ServerResponse) => void;

export interface StubSession {
  readonly session: string;
  readonly username: string;
  readonly role: string;
  readonly until: string;
}

export async function startStubServer(session: Partial<StubSession> = {}): Promise<StubServer> {
  const requests: ReceivedRequest[] = [];
  const handlers = new Map<string, Handler>(defaults({ ...defaultSession(), ...session }));
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      // A proxy's client asks in absolute form.
      const path = (request.url ?? '').replace(/^http:\/\/[^/]+/, '');
      const received = {
        call: `${request.method ?? ''} ${path}`,
        headers: request.headers,
        body: Buffer.concat(chunks).toString(),
      };
      requests.push(received);
      const handler = handlers.get(received.call.split('?', 1)[0] ?? '');
      if (handler === undefined) sendJson(response, 404, { message: 'no such call', advice: [], code: 'not_found' });
      else handler(received, response);
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  // Listening on a port, so the address is not a pipe.
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    get calls() {
      return requests.map(({ call }) => call);
    },
    answer: (call, handler) => void handlers.set(call, handler),
    close: () =>
      new Promise((resolve, reject) => {
        server.close((error) => (error === undefined ? resolve() : reject(error)));
        server.closeAllConnections();
      }),
  };
}

export function sendJson(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}

/** A JWT in shape alone, with an end. */
export function stubToken(expiresAt: Date, salt = 'x'): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part({ alg: 'RS256' })}.${part({ exp: Math.floor(expiresAt.getTime() / 1000), salt })}.c2lnbmF0dXJl`;
}

export function stubKubeconfig(token: string): Record<string, unknown> {
  return {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'prod', cluster: { server: 'https://127.0.0.1:6443', 'certificate-authority-data': stubCa } }],
    users: [{ name: 'tka-user-alice', user: { token } }],
    contexts: [{ name: 'tka-alice', context: { cluster: 'prod', user: 'tka-user-alice' } }],
    'current-context': 'tka-alice',
  };
}

function defaultSession(): StubSession {
  const until = new Date(Date.now() + 8 * 3_600_000).toISOString();
  return { session: 'alice-0123456789', username: 'alice@example.com', role: 'view', until };
}

function defaults(session: StubSession): [string, Handler][] {
  return [
    ['POST /api/v1alpha1/login', (_, response) => sendJson(response, 200, session)],
    ['GET /api/v1alpha1/login', (_, response) => sendJson(response, 200, session)],
    [
      'GET /api/v1alpha1/kubeconfig',
      (_, response) => sendJson(response, 200, stubKubeconfig(stubToken(new Date(session.until)))),
    ],
    ['POST /api/v1alpha1/logout', (_, response) => sendJson(response, 200, session)],
    [
      'GET /api/v1alpha1/sessions',
      (_, response) => sendJson(response, 200, { sessions: [{ ...session, ready: true }] }),
    ],
    ['GET /api/v1alpha1/whoami', (_, response) => sendJson(response, 200, stubWhoami(session))],
    [
      'GET /.well-known/tka',
      (_, response) => sendJson(response, 200, { cluster: 'prod', labels: {}, version: '9.8.7', modes: ['direct'] }),
    ],
  ];
}

export function stubWhoami({ username, role }: Pick<StubSession, 'username' | 'role'>): WhoamiResponse {
  const rules = [{ role, period: '8h', priority: 10 }];
  return { subject: 'control.example|user:7', username, node: 'laptop', tags: [], rules, dropped: [] };
}

/** A real certificate, self-signed; its key is gone. */
export const stubCa =
  'LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1JSUJlakNDQVNHZ0F3SUJBZ0lVSnMxbTlOUzR1UzdZVVNuQ2JGa2g0TjNnWVc0' +
  'd0NnWUlLb1pJemowRUF3SXcKRWpFUU1BNEdBMVVFQXd3SGMzUjFZaTFqWVRBZ0Z3MHlOakV4TWpJeE5UQTVNamRhR0E4eU1USTJN' +
  'VEF5T1RFMQpNRGt5TjFvd0VqRVFNQTRHQTFVRUF3d0hjM1IxWWkxallUQlpNQk1HQnlxR1NNNDlBZ0VHQ0NxR1NNNDlBd0VICkEw' +
  'SUFCUExoU3JKU2lMQjVpNU9rWEZCNHVqc3dUVWlhaEtzc2tKYjBKTVVYNHZmWkhoOThQRHRYZk9jR1ZCVkkKQzU0V1dUdHcwMU5s' +
  'OGk0dEhNNEhBb1V6MnRHalV6QlJNQjBHQTFVZERnUVdCQlFpOGM5R2VXZTNxSS9RWWxMbQpncEZsaWNvRmh6QWZCZ05WSFNNRUdE' +
  'QVdnQlFpOGM5R2VXZTNxSS9RWWxMbWdwRmxpY29GaHpBUEJnTlZIUk1CCkFmOEVCVEFEQVFIL01Bb0dDQ3FHU000OUJBTUNBMGNB' +
  'TUVRQ0lDZGlUdEs1MUVvM3FlRldiS3VJTGRjbHVLRHIKSXBZRlV0WjVQQkNzdnQwMEFpQmgvejk2UmNjMlpTN3g2WDJCS2tIY0s5' +
  'ejlnRnJFQUFVZG8xdmgybHV3ZXc9PQotLS0tLUVORCBDRVJUSUZJQ0FURS0tLS0tCg==';
