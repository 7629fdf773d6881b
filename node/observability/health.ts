/**
 * The health port: /livez, /readyz (and /ready), /metrics; /docs and /openapi.json describe the API. On its own address, never on the
 * tailnet.
 *
 * Ready: the tailnet node is ready, the sessions are known from a recent list, and logins are served. Live: the event loop answers and
 * the node has not failed permanently; a restart would not bring back anything else that is missing. The body says what is missing.
 */
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { reinstall } from '../../reconciler/kubernetes/installation.ts';
import type { OpenApiDocument } from '../http/openapi/document.ts';

export interface HealthSources {
  /** Undefined before the node was created. */
  node():
    | { readonly status: string; readonly ready: boolean; readonly authUrl?: string; readonly reason?: string }
    | undefined;
  /** Undefined before the reconciler runs. */
  reconciler():
    | { readonly synced: boolean; readonly lastListAt: number | undefined; readonly problem?: string | undefined }
    | undefined;
  /** What the start waits for; undefined once it serves. */
  startup(): string | undefined;
  isStopping(): boolean;
  /** Why logins are refused; undefined while they are served. */
  loginHold(): string | undefined;
  /** Problems that refuse nothing. */
  notes(): readonly string[];
  readonly version: string;
  scrape(): Promise<{ readonly type: string; readonly text: string }>;
  now(): number;
}

export interface Health {
  readonly port: number;
  close(): Promise<void>;
}

/** The port cannot be opened: the message names the setting. */
export class HealthPortError extends Error {
  override readonly name = 'HealthPortError';
}

/** Lists come every 60 s; after one missed list the server stays ready, after two it does not. */
const freshMs = 150_000;

export async function startHealth(address: string, port: number, sources: HealthSources): Promise<Health> {
  const server = createServer(
    { requestTimeout: 10_000, headersTimeout: 5_000 },
    (req, res) =>
      void answer(req, res, sources).catch(() => {
        if (!res.headersSent) res.writeHead(500, { 'Content-Type': 'application/json' });
        res.end(`${JSON.stringify({ message: 'this cannot be answered' })}\n`);
      }),
  );
  await listen(server, address, port);
  const bound = server.address();
  return {
    port: typeof bound === 'object' && bound !== null ? bound.port : port,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export interface Readiness {
  readonly status: 'ready' | 'not ready';
  /** What is missing; empty when ready. */
  readonly missing: readonly string[];
  /** Problems that refuse nothing; absent: none. */
  readonly notes?: readonly string[];
  /** Where a person can approve the node. */
  readonly authUrl?: string;
}

/** `isLocal`: the caller is on this machine. The person who opens the URL decides to which tailnet the node belongs. */
export function readiness(sources: HealthSources, isLocal: boolean): Readiness {
  const node = sources.node();
  const reconciler = sources.reconciler();
  const startup = sources.startup();
  const missing: string[] = [];
  if (sources.isStopping()) missing.push('the server is stopping');
  if (startup !== undefined) missing.push(startup);
  if (node?.ready !== true) missing.push(describeNode(node, isLocal));
  if (reconciler?.problem !== undefined) missing.push(`${reconciler.problem}: ${reinstall}`);
  else if (reconciler?.synced !== true) missing.push('the sessions of the cluster are not known yet');
  else if (reconciler.lastListAt === undefined || sources.now() - reconciler.lastListAt > freshMs) {
    missing.push('the list of sessions is old: the API server is away');
  }
  const hold = sources.loginHold();
  if (hold !== undefined) missing.push(hold);
  const notes = sources.notes();
  const authUrl = isLocal && node?.ready !== true ? node?.authUrl : undefined;
  return {
    status: missing.length === 0 ? 'ready' : 'not ready',
    missing,
    ...(notes.length === 0 ? {} : { notes }),
    ...(authUrl === undefined ? {} : { authUrl }),
  };
}

function describeNode(node: ReturnType<HealthSources['node']>, isLocal: boolean): string {
  if (node === undefined) return 'the tailnet node is not started yet';
  if (node.authUrl !== undefined) {
    return `the tailnet node waits for a person to approve it: the URL is ${isLocal ? 'below' : 'in the log'}`;
  }
  return `the tailnet node is ${node.status}${node.reason === undefined ? '' : `: ${node.reason}`}`;
}

async function answer(req: IncomingMessage, res: ServerResponse, sources: HealthSources): Promise<void> {
  const json = (status: number, body: unknown) => {
    res.writeHead(status, { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' });
    res.end(`${JSON.stringify(body)}\n`);
  };
  const path = (req.url ?? '').split('?', 1)[0];
  if (req.method !== 'GET' && req.method !== 'HEAD') return json(405, { message: 'only GET and HEAD' });
  switch (path) {
    case '/livez': {
      const hasFailed = sources.node()?.status === 'Failed';
      return json(
        hasFailed ? 503 : 200,
        hasFailed ? { status: 'failed', reason: sources.node()?.reason } : { status: 'live' },
      );
    }
    case '/readyz':
    case '/ready': {
      const state = readiness(sources, isLoopback(req.socket.remoteAddress));
      return json(state.status === 'ready' ? 200 : 503, state);
    }
    case '/metrics': {
      try {
        const { type, text } = await sources.scrape();
        res.writeHead(200, { 'Content-Type': type });
        res.end(text);
      } catch {
        json(500, { message: 'the metrics cannot be read' });
      }
      return;
    }
    case '/openapi.json':
      return json(200, await description(sources.version));
    case '/docs': {
      const { apiPage } = await import('../http/openapi/page.ts');
      const { html, policy } = apiPage(await description(sources.version));
      res.writeHead(200, {
        'Content-Type': 'text/html; charset=utf-8',
        'Content-Security-Policy': policy,
        'X-Content-Type-Options': 'nosniff',
        'Referrer-Policy': 'no-referrer',
      });
      res.end(html);
      return;
    }
    default:
      return json(404, { message: 'there is /livez, /readyz, /metrics, /openapi.json and /docs' });
  }
}

/** Loaded on demand: it is large and rarely requested. */
async function description(version: string): Promise<OpenApiDocument> {
  const { openApiDocument } = await import('../http/openapi/document.ts');
  return openApiDocument(version);
}

function isLoopback(address: string | undefined): boolean {
  return address === '::1' || /^(::ffff:)?127\./.test(address ?? '');
}

async function listen(server: Server, address: string, port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const reason = error.code === 'EADDRINUSE' ? 'another program has it' : (error.code ?? error.message);
      reject(
        new HealthPortError(
          `cannot listen on ${address}:${port}: ${reason}; choose another health.port or health.address`,
          { cause: error },
        ),
      );
    });
    server.listen(port, address, resolve);
  });
}
