/**
 * The Kubernetes API under `/k8s` of the TLS port: (request, connection) → decided → forwarded.
 *
 * In this order, before anything goes to the API server: the request's origin, its path, foreign credentials, the caller by
 * the connection, the session by the token, the limits, the session's own token. Nothing is ever forwarded with a credential
 * of tka's. A stream is registered before its session is looked at for the last time, so that a cut misses none.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { attributesOf } from './attributes.ts';
import { type Audited, type AuditLog, auditEnd, auditRefused, auditStart } from './audit.ts';
import { decide, holds, type ProxyCaller, type ProxySession } from './decision.ts';
import { forward, type Outcome } from './forward.ts';
import { bearerTokenIn, forwardHeaders, type HeaderReject, pairsOf, refuseForeignCredentials } from './headers.ts';
import type { Recorder } from './recording.ts';
import { answerRefusal, Refusal, refusalBytes } from './refusal.ts';
import type { SessionKeys } from './session-key.ts';
import { type Cut, Streams } from './streams.ts';
import { isProxied, targetOf } from './target.ts';
import { protocolIn, upgrade } from './upgrade.ts';
import type { Upstream } from './upstream.ts';

export interface ProxyDeps {
  /** Who is at the other end of a connection; rejects with an error that has `status` and `expose`d message. Undefined: not from the tailnet. */
  caller(socket: Socket): Promise<ProxyCaller>;
  /** Whether the connection was TLS on the tailnet. */
  isTls(socket: Socket): boolean;
  /** Throws where a request is not meant for this server, or comes from a foreign web page. */
  refuseForeignRequest(req: IncomingMessage): void;
  /** From the reconciler's cache. */
  session(name: string): ProxySession | undefined;
  /** The session's own ServiceAccount token. */
  token(session: ProxySession, signal: AbortSignal): Promise<string>;
  readonly keys: SessionKeys;
  readonly upstream: Upstream;
  readonly limits: { readonly streamsPerSession: number; readonly streams: number };
  readonly metrics: ProxyMetrics;
  /** Absent: nothing is recorded. */
  readonly recorder?: Recorder;
  readonly log: AuditLog & { error(line: object, message: string): void };
  now(): number;
  newRequestId(): string;
}

export interface ProxyMetrics {
  headerRejected(kind: HeaderReject): void;
  /** A request is over; `seconds` from its head to its end. */
  served(request: { readonly verb: string; readonly status: number; readonly seconds: number }): void;
  streams(open: number): void;
  bytes(direction: 'in' | 'out', count: number): void;
}

export interface Proxy {
  handles(url: string | undefined): boolean;
  request(req: IncomingMessage, res: ServerResponse): void;
  upgrade(req: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** Ends everything that the session has open; the number of streams. */
  cut(uid: string, reason: string): number;
  /** Looks at the caller of everything that is open again, and cuts what is not covered any more. */
  recheck(): Promise<void>;
  /** Streams under way. */
  readonly open: number;
  /** Ends what would not end by itself, watches as the API server ends them at their time: clients watch again. */
  drain(): void;
  close(): Promise<void>;
}

const methods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);
const tokenDeadlineMs = 10_000;

export function createProxy(deps: ProxyDeps): Proxy {
  const streams = new Streams();

  /** Everything up to the session; throws Refusal. */
  const admit = async (req: IncomingMessage, isUpgrade: boolean, entry: Entry): Promise<Admitted> => {
    const onReject = (kind: HeaderReject): void => deps.metrics.headerRejected(kind);
    deps.refuseForeignRequest(req);
    if (!deps.isTls(req.socket)) throw new Refusal(403, 'the Kubernetes API is served over https alone');
    const target = targetOf(req.url ?? '');
    const method = req.method ?? '';
    entry.what = attributesOf(method, target, isUpgrade);
    if (!methods.has(method)) throw new Refusal(405, 'the Kubernetes API has no such method');
    const headers = pairsOf(req.rawHeaders);
    refuseForeignCredentials(headers, onReject);
    const token = bearerTokenIn(headers, onReject);
    const caller = await deps.caller(req.socket);
    entry.who = { subject: caller.subject, username: caller.username, node: caller.node };
    const session = decide(deps, caller, token);
    entry.who = { ...entry.who, session: session.name, role: session.role };
    return { session, caller, path: `${deps.upstream.basePath}${target}`, headers: forwardHeaders(headers, isUpgrade) };
  };

  /** The credential; the session is looked at again after whatever it had to wait for. */
  const authorize = async (
    { session, caller, headers }: Admitted,
    requestId: string,
  ): Promise<Record<string, string>> => {
    const token = await deps.token(session, AbortSignal.timeout(tokenDeadlineMs));
    const now = deps.session(session.name);
    if (now === undefined || now.uid !== session.uid || !holds(deps, now, caller)) {
      throw new Refusal(401, 'the session has ended: run `tka login`');
    }
    // The API server's own audit then has the same ID.
    return { ...headers, authorization: `Bearer ${token}`, 'audit-id': requestId };
  };

  /** Whether the one who opened it may still have it; nobody who cannot be named. */
  const stillHolds = async (socket: Socket, { session }: Admitted): Promise<boolean> => {
    try {
      const caller = await deps.caller(socket);
      const now = deps.session(session.name);
      return now !== undefined && now.uid === session.uid && holds(deps, now, caller);
    } catch (error) {
      // While nobody can say (503) a stream goes on, as its session does.
      return refusalOf(error)?.status === 503;
    }
  };

  const register = (req: IncomingMessage, entry: Entry, admitted: Admitted, cut: Cut): (() => void) => {
    const { uid } = admitted.session;
    if (streams.total >= deps.limits.streams || streams.count(uid) >= deps.limits.streamsPerSession) {
      throw new Refusal(429, 'too many requests of this session are under way');
    }
    const remove = streams.add(uid, {
      cut,
      isLong: () => entry.what.isStream,
      holds: () => stillHolds(req.socket, admitted),
    });
    deps.metrics.streams(streams.total);
    return () => {
      remove();
      deps.metrics.streams(streams.total);
    };
  };

  const begin = (req: IncomingMessage, isUpgrade: boolean): Entry => ({
    requestId: deps.newRequestId(),
    who: {},
    what: attributesOf(req.method ?? '', '/', isUpgrade),
    startedAt: performance.now(),
  });

  const ended = (entry: Entry, outcome: Outcome): void => {
    const seconds = (performance.now() - entry.startedAt) / 1000;
    auditEnd(deps.log, entry, { ...outcome, seconds });
    deps.metrics.served({ verb: entry.what.verb, status: outcome.status, seconds });
    deps.metrics.bytes('in', outcome.sentBytes);
    deps.metrics.bytes('out', outcome.receivedBytes);
  };

  const refused = (entry: Entry, error: unknown): Refusal => {
    const refusal = refusalOf(error);
    if (refusal === undefined) deps.log.error({ err: error, requestId: entry.requestId }, 'a proxied request failed');
    const answer = refusal ?? new Refusal(502, `something went wrong here (request ${entry.requestId})`);
    auditRefused(deps.log, entry, answer.status, answer.message);
    deps.metrics.served({
      verb: entry.what.verb,
      status: answer.status,
      seconds: (performance.now() - entry.startedAt) / 1000,
    });
    return answer;
  };

  const serve = async (req: IncomingMessage, res: ServerResponse): Promise<void> => {
    const entry = begin(req, false);
    let remove: (() => void) | undefined;
    try {
      const admitted = await admit(req, false, entry);
      // Until it is forwarded, there is only the answer to cut.
      let cut: Cut = () => void res.destroy();
      remove = register(req, entry, admitted, (...how) => cut(...how));
      const headers = await authorize(admitted, entry.requestId);
      if (res.destroyed) {
        remove();
        return;
      }
      if (req.headers.expect !== undefined) res.writeContinue();
      cut = forward({
        req,
        res,
        pool: deps.upstream.poolOf(admitted.session.uid),
        origin: deps.upstream.url.origin,
        path: admitted.path,
        headers,
        requestId: entry.requestId,
        onStart: (status) => {
          if (entry.what.isStream) auditStart(deps.log, entry, status);
        },
        onEnd: (outcome) => {
          remove?.();
          ended(entry, outcome);
        },
      });
    } catch (error) {
      remove?.();
      const refusal = refused(entry, error);
      if (!res.headersSent && !res.destroyed) {
        answerRefusal(res, refusal, { requestId: entry.requestId, close: !req.complete });
      }
    }
  };

  const serveUpgrade = async (req: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> => {
    const entry = begin(req, true);
    let remove: (() => void) | undefined;
    let endTap = (): void => {};
    // Until somebody else listens.
    const onEarlyError = (): void => void socket.destroy();
    socket.on('error', onEarlyError);
    try {
      const protocol = protocolIn(req.headers.upgrade);
      const admitted = await admit(req, true, entry);
      if (protocol === undefined || !isConnectionUpgrade(req)) {
        throw new Refusal(400, 'a connection can be upgraded to websocket or SPDY/3.1, and to nothing else');
      }
      let cut: Cut = () => void socket.destroy();
      remove = register(req, entry, admitted, (...how) => cut(...how));
      const recorded = deps.recorder?.isRecorded(entry.what) === true;
      const tap = recorded ? deps.recorder?.begin({ ...entry, protocol }) : undefined;
      endTap = () => tap?.end();
      const headers = await authorize(admitted, entry.requestId);
      // Compressed frames could not be read.
      if (tap !== undefined) delete headers['sec-websocket-extensions'];
      if (socket.destroyed) {
        endTap();
        remove();
        return;
      }
      cut = upgrade({
        req,
        socket,
        head,
        upstream: deps.upstream,
        path: admitted.path,
        headers,
        protocol,
        ...(tap === undefined ? {} : { tap }),
        requestId: entry.requestId,
        onStart: (status) => auditStart(deps.log, entry, status),
        onEnd: (outcome) => {
          remove?.();
          ended(entry, outcome);
        },
      });
      socket.off('error', onEarlyError);
    } catch (error) {
      remove?.();
      endTap();
      const refusal = refused(entry, error);
      if (socket.writable) socket.end(refusalBytes(refusal, entry.requestId));
    }
  };

  return {
    handles: isProxied,
    request: (req, res) => void serve(req, res),
    upgrade: (req, socket, head) => void serveUpgrade(req, socket, head),
    cut(uid, reason) {
      const count = streams.cut(uid, reason);
      deps.upstream.forget(uid);
      return count;
    },
    async recheck() {
      await streams.recheck();
    },
    get open() {
      return streams.total;
    },
    drain: () => streams.drain(),
    async close() {
      streams.cutAll('tka is being restarted');
      await deps.upstream.close();
    },
  };
}

interface Entry extends Audited {
  who: Audited['who'];
  what: Audited['what'];
  readonly startedAt: number;
}

interface Admitted {
  readonly session: ProxySession;
  readonly caller: ProxyCaller;
  readonly path: string;
  readonly headers: Record<string, string>;
}

/** Errors of what was injected say by `status` and `expose` what a caller may hear. */
function refusalOf(error: unknown): Refusal | undefined {
  if (error instanceof Refusal) return error;
  if (!(error instanceof Error) || !('status' in error) || !('expose' in error) || error.expose !== true)
    return undefined;
  const status = [400, 401, 403, 421, 429, 503].find((known) => known === error.status);
  // One of the numbers above.
  return new Refusal((status ?? 503) as 503, error.message, { cause: error });
}

function isConnectionUpgrade(req: IncomingMessage): boolean {
  const tokens = (req.headers.connection ?? '').toLowerCase().split(',');
  return (
    tokens.some((token) => token.trim() === 'upgrade') &&
    Number(req.headers['content-length'] ?? 0) === 0 &&
    req.headers['transfer-encoding'] === undefined
  );
}
