/**
 * The Kubernetes API under `/k8s` of the TLS port: (request, connection) → decided (admission.ts) → forwarded.
 *
 * Nothing is ever forwarded with a credential of tka's. Each request has one line of audit, a stream two. A stream is
 * registered before its session is looked at for the last time, so that a cut misses none.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type Admitted, createAdmission, type Entry, refusalOf } from './admission.ts';
import { type AuditLog, auditEnd, auditRefused, auditStart } from './audit.ts';
import { Connections } from './connections.ts';
import type { ProxyCaller, ProxySession } from './decision.ts';
import { forward, type Outcome } from './forward.ts';
import { hangUp } from './hang-up.ts';
import type { HeaderReject } from './headers.ts';
import type { Recorder } from './recording.ts';
import { answerRefusal, Refusal, refusalBytes } from './refusal.ts';
import type { SessionKeys } from './session-key.ts';
import { type Cut, Streams } from './streams.ts';
import { isProxied } from './target.ts';
import { protocolIn, upgrade } from './upgrade.ts';
import type { Upstream } from './upstream.ts';

export interface ProxyDeps {
  /** Who is at the other end of a connection; rejects with an error that has a `status` and says by `expose` what may be told. */
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
  headerRejected(kind: HeaderReject | 'host' | 'origin' | 'target'): void;
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

export function createProxy(deps: ProxyDeps): Proxy {
  const streams = new Streams();
  const connections = new Connections();
  const admission = createAdmission(deps);

  const register = (req: IncomingMessage, entry: Entry, admitted: Admitted, cut: Cut): (() => void) => {
    const { uid } = admitted.session;
    // undici takes it off a request whose body it gives up.
    const { socket } = req;
    if (streams.total >= deps.limits.streams || streams.count(uid) >= deps.limits.streamsPerSession) {
      throw new Refusal(429, 'too many requests of this session are under way');
    }
    const remove = streams.add(uid, {
      cut,
      isLong: () => entry.what.isStream,
      holds: () => admission.stillHolds(socket, admitted),
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
    // Until its path has been read.
    what: { verb: (req.method ?? '').toLowerCase(), path: '/', isStream: isUpgrade },
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
    let isSettled = false;
    let remove = (): void => {};
    const fail = (error: unknown): void => {
      if (isSettled) return;
      isSettled = true;
      remove();
      answerRefusal(res, refused(entry, error), { requestId: entry.requestId, close: !req.complete || isEarly });
    };
    const onGone = (): void => {
      if (isSettled) return;
      isSettled = true;
      remove();
      ended(entry, nothing);
    };
    res.once('close', onGone);
    const isEarly = !connections.begin(req, res);
    try {
      if (isEarly) throw new Refusal(400, 'a request must wait for the answer to the one before it');
      const admitted = await admission.admit(req, false, entry);
      if (isSettled) return;
      // Until it is forwarded, there is only the answer to cut.
      let cut: Cut = (...how) => fail(cutBefore(...how));
      remove = register(req, entry, admitted, (...how) => cut(...how));
      const headers = await admission.authorize(admitted, entry.requestId);
      if (isSettled) return;
      if (req.headers.expect !== undefined) res.writeContinue();
      isSettled = true;
      cut = forward({
        req,
        res,
        pool: deps.upstream.poolOf(admitted.session.uid),
        origin: deps.upstream.url.origin,
        path: admitted.path,
        headers,
        isWatch: entry.what.verb === 'watch',
        requestId: entry.requestId,
        onStart: (status) => {
          if (entry.what.isStream) auditStart(deps.log, entry, status);
        },
        onEnd: (outcome) => {
          remove();
          ended(entry, outcome);
        },
      });
    } catch (error) {
      fail(error);
    }
  };

  const serveUpgrade = async (req: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> => {
    const entry = begin(req, true);
    let isSettled = false;
    let remove = (): void => {};
    let endTap = (): void => {};
    const fail = (error: unknown): void => {
      if (isSettled) return;
      isSettled = true;
      remove();
      endTap();
      hangUp(socket, refusalBytes(refused(entry, error), entry.requestId));
    };
    const onGone = (): void => {
      socket.destroy();
      if (isSettled) return;
      isSettled = true;
      remove();
      endTap();
      ended(entry, nothing);
    };
    // Until somebody else listens.
    socket.on('error', onGone).on('end', onGone).on('close', onGone);
    try {
      // Its bytes would get into the answer that is owed.
      if (connections.isBusy(req.socket)) throw new Refusal(400, 'an upgrade must wait for the answer before it');
      const protocol = protocolIn(req.headers.upgrade);
      const admitted = await admission.admit(req, true, entry);
      if (isSettled) return;
      if (protocol === undefined || !isPlainUpgrade(req)) {
        throw new Refusal(400, 'a connection can be upgraded to websocket or SPDY/3.1, and to nothing else');
      }
      let cut: Cut = (...how) => fail(cutBefore(...how));
      remove = register(req, entry, admitted, (...how) => cut(...how));
      const headers = await admission.authorize(admitted, entry.requestId);
      if (isSettled) return;
      const tap = deps.recorder?.begin({ ...entry, protocol }, headers);
      endTap = () => tap?.end();
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
          remove();
          ended(entry, outcome);
        },
      });
      isSettled = true;
      socket.off('error', onGone).off('end', onGone).off('close', onGone);
    } catch (error) {
      fail(error);
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

/** Without a body, whose bytes nobody could tell from the stream's. */
function isPlainUpgrade(req: IncomingMessage): boolean {
  const tokens = (req.headers.connection ?? '').toLowerCase().split(',');
  return (
    (req.method === 'GET' || req.method === 'POST') &&
    tokens.some((token) => token.trim() === 'upgrade') &&
    Number(req.headers['content-length'] ?? 0) === 0 &&
    req.headers['transfer-encoding'] === undefined
  );
}

/** Of a request that is cut before it was forwarded. */
function cutBefore(...[reason, because]: Parameters<Cut>): Refusal {
  return new Refusal(because === 'revoked' ? 401 : 503, reason);
}

/** Of a request whose caller went before there was an answer. */
const nothing: Outcome = { status: 0, sentBytes: 0, receivedBytes: 0 };
