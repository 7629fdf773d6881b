/**
 * For tests of node/http: the app on a loopback server, a caller of the test's choice, sessions in memory. Nothing of node/http is
 * replaced; its dependencies are the simplest that work. Every answer is compared with the API's description.
 */
import { createServer, request } from 'node:http';
import type { IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pino } from 'pino';
import { createApp } from '../http/app.ts';
import type { HttpDeps, HttpSettings, SessionView, SignIn } from '../http/deps.ts';
import type { Connection, Identity } from '../http/identity.ts';
import { createLoginLimiter } from '../http/limits.ts';
import { createConformance } from './openapi-conformance.ts';
import { openApiDocument } from '../http/openapi/document.ts';

const conformance = createConformance(openApiDocument('1.2.3'));

export const capability = 'specht-labs.de/cap/tka';
export const start = new Date('2026-01-02T03:04:05Z');

export function rule(fields: Readonly<Record<string, unknown>> = {}): string {
  return JSON.stringify({ role: 'view', period: '1h', ...fields });
}

export function alice(rules: readonly string[] = [rule()], overrides: Partial<Identity> = {}): Identity {
  return {
    nodeId: 'nAlice',
    nodeName: 'laptop.tail.example',
    user: { id: '7', loginName: 'alice@example.com' },
    tags: [],
    capabilities: { [capability]: rules },
    ...overrides,
  };
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** Parsed; undefined where the body is not JSON. */
  readonly json: unknown;
}

export interface Fixture {
  readonly port: number;
  readonly log: readonly Record<string, unknown>[];
  readonly logins: readonly string[];
  readonly sessions: StoredSession[];
  readonly rejectedHeaders: readonly string[];
  call(method: string, path: string, options?: CallOptions): Promise<Answer>;
  [Symbol.asyncDispose](): Promise<void>;
}

interface CallOptions {
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
}

export type StoredSession = SessionView & { readonly subject: string; isUsable: boolean };

export interface FixtureOptions {
  readonly connection?: Connection | 'none';
  readonly identity?: () => Promise<Identity>;
  readonly settings?: Partial<HttpSettings>;
  readonly deps?: Partial<HttpDeps>;
  /** A session is usable as soon as it is stored. Default true. */
  readonly isInstant?: boolean;
  readonly loginsPerMinute?: number;
}

export async function createFixture(options: FixtureOptions = {}): Promise<Fixture> {
  const log: Record<string, unknown>[] = [];
  const logins: string[] = [];
  const rejectedHeaders: string[] = [];
  const sessions: StoredSession[] = [];
  const identity = options.identity ?? (() => Promise.resolve(alice()));
  const find = (name: string): StoredSession => {
    const session = sessions.find((candidate) => candidate.name === name);
    if (session === undefined) throw new Error(`no session ${name}`);
    return session;
  };
  const deps: HttpDeps = {
    connectionOf: () => (options.connection === 'none' ? undefined : (options.connection ?? { tls: false, identity })),
    ownNames: () => ['127.0.0.1', 'tka', 'tka.tail.example', '[fd7a::1]'],
    sessions: {
      signIn: ({ subject, username, rule: { role, namespaces }, periodMs }: SignIn) => {
        const name = `${subject.replaceAll(/[^a-z0-9]+/g, '-')}-${role}-${(namespaces ?? []).join('-')}`.slice(-63);
        const until = new Date(start.getTime() + periodMs + 30_000).toISOString();
        const isUsable = options.isInstant ?? true;
        const scope = namespaces === undefined ? {} : { namespaces };
        const stored = { subject, name, username, role, until, ready: isUsable, isUsable, ...scope };
        const at = sessions.findIndex((session) => session.name === name);
        if (at === -1) sessions.unshift(stored);
        else sessions[at] = stored;
        return Promise.resolve(stored);
      },
      list: (subject) => sessions.filter((session) => session.subject === subject),
      usable: (name, signal) =>
        new Promise((resolve, reject) => {
          const session = find(name);
          if (session.isUsable) resolve(session);
          else signal.addEventListener('abort', () => reject(signal.reason as Error));
        }),
      end: (name) => {
        sessions.splice(sessions.indexOf(find(name)), 1);
        return Promise.resolve();
      },
      proxyToken: (name) => `tka_${find(name).name}_0123456789abcdef0123456789abcdef`,
      token: (name) => Promise.resolve({ token: `secret-token-of-${find(name).name}`, expiresAt: start }),
    },
    loginHold: () => undefined,
    limiter: createLoginLimiter({ perSubjectPerMinute: options.loginsPerMinute ?? 120, totalPerMinute: 12_000 }, () =>
      start.getTime(),
    ),
    clusterInfo: () => ({
      server_url: 'https://api.example.com:6443',
      insecure_skip_tls_verify: false,
      ca_data: Buffer.from('a CA').toString('base64'),
      labels: { environment: 'test' },
    }),
    proxyInfo: (place) => ({
      server_url: `https://tka.example.ts.net${place === 'root' ? '' : '/k8s'}`,
      insecure_skip_tls_verify: false,
      ca_data: '',
      labels: {},
    }),
    replicas: () => [],
    ownCa: () => undefined,
    settings: {
      version: '1.2.3',
      clusterName: 'tka-cluster',
      labels: { environment: 'test' },
      contextPrefix: 'tka-context-',
      userPrefix: 'tka-user-',
      controlHost: 'control.example',
      capability,
      ownNamespaces: ['tka-system', 'tka-sessions'],
      modes: ['direct'],
      retryAfterSeconds: 1,
      logoutTimeoutMs: 1000,
      readyGraceMs: 50,
      ...options.settings,
    },
    metrics: {
      login: (result, reason) => logins.push(`${result} ${reason}`),
      loginStage: () => {},
      headerRejected: (kind) => rejectedHeaders.push(kind),
    },
    trace: { request: (_call, work) => work(), step: async (_name, work) => await work() },
    log: pino(
      { level: 'debug' },
      // One JSON line a call; the test reads them back.
      { write: (line: string) => log.push(JSON.parse(line) as Record<string, unknown>) },
    ),
    now: () => start,
    newRequestId: () => 'request-1',
    ...options.deps,
  };

  const handle = createApp(deps).callback();
  const server = createServer((req, res) => void handle(req, res));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  // A server that listens on TCP has an address with a port.
  const { port } = server.address() as AddressInfo;
  return {
    port,
    log,
    logins,
    sessions,
    rejectedHeaders,
    call: (method, path, { headers = {}, body } = {}) =>
      new Promise((resolve, reject) => {
        const req = request({ host: '127.0.0.1', port, method, path, headers, agent: false }, (res) => {
          const chunks: Buffer[] = [];
          res.on('data', (chunk: Buffer) => chunks.push(chunk));
          res.once('end', () => {
            const text = Buffer.concat(chunks).toString('utf8');
            const status = res.statusCode ?? 0;
            const problem = conformance({ method, path, status, headers: res.headers, body: text });
            if (problem !== undefined) reject(new Error(problem));
            resolve({ status, headers: res.headers, text, json: parseOrUndefined(text) });
          });
          res.once('error', reject);
        });
        req.once('error', reject);
        req.end(body);
      }),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function parseOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
