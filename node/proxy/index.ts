/**
 * The Kubernetes API on the TLS port (classify.ts): (request, connection) → decided (admission.ts) → forwarded, by this process
 * for upgrades and for bodies that it has to read, by the engine for all else (carrier.ts).
 *
 * Nothing is ever forwarded with a credential of tka's. Each request has one line of audit, a stream two. A stream is
 * registered before its session is looked at for the last time, so that a cut misses none.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Decider } from '../tsnet/decider.ts';
import type { TailnetConnection } from '../tsnet/node.ts';
import { type Admitted, createAdmission, type Entry, refusalOf } from './admission.ts';
import { createAccounts } from './accounts.ts';
import { type AuditLog, auditEnd, auditRefused, auditStart } from './audit.ts';
import type { Carrier, ProxyRequest } from './carrier.ts';
import { isForKubernetes } from './classify.ts';
import { Connections } from './connections.ts';
import type { ProxyCaller, ProxySession } from './decision.ts';
import { createEngineCarriers } from './engine-carrier.ts';
import { auditEphemeral, isEphemeral } from './ephemeral.ts';
import type { Outcome } from './forward.ts';
import { hangUp } from '../http/linger-close.ts';
import type { HeaderReject } from './headers.ts';
import type { Recorder, RecordingFailure } from './recording.ts';
import { Refusal, refusalBytes } from './refusal.ts';
import { carriedHere, requestOf } from './server-carrier.ts';
import type { SessionKeys } from './session-key.ts';
import { type Cut, Streams } from './streams.ts';
import { isPlainUpgrade, protocolIn, upgrade } from './upgrade.ts';
import type { Upstream } from './upstream.ts';

export interface ProxyDeps {
  /** The connection that a socket is. */
  connectionOf(socket: Socket): TailnetConnection | undefined;
  /** Who is at the other end of a connection; rejects with an error that has a `status` and says by `expose` what may be told. */
  caller(connection: TailnetConnection | undefined): Promise<ProxyCaller>;
  /** Throws where a request is not meant for this server, or comes from a foreign web page. */
  refuseForeignRequest(request: ProxyRequest): void;
  /** From the reconciler's cache. */
  session(name: string): ProxySession | undefined;
  /** The session's own ServiceAccount token. */
  token(session: ProxySession, withinMs: number): Promise<string>;
  /** The API server did not accept this token: the next one of the session is another. */
  tokenRefused(session: ProxySession, token: string): void;
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
  served(request: {
    readonly verb: string;
    readonly status: number;
    readonly seconds: number;
    readonly by: Carrier['by'];
  }): void;
  streams(open: number): void;
  /** Something could not be recorded, or not to its end. */
  recordingFailed(reason: RecordingFailure): void;
  bytes(direction: 'in' | 'out', count: number): void;
}

export interface Proxy {
  /** Whether it is for the Kubernetes API, by its path or its token. */
  handles(request: Pick<ProxyRequest, 'url' | 'rawHeaders'>): boolean;
  request(req: IncomingMessage, res: ServerResponse): void;
  upgrade(req: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** For requests that the engine asks about. */
  readonly decider: Decider;
  /** Ends everything that the session has open; the number of streams. */
  cut(uid: string, reason: string): number;
  /** Looks at the caller of everything that is open again, and cuts what is not covered any more. */
  recheck(): Promise<void>;
  /** Streams under way. */
  readonly open: number;
  /** Ends what would not end by itself, watches as the API server ends them at their time: clients watch again. */
  drain(): void;
  /** Resolves when the engine carries nothing any more, or the signal aborts. */
  idle(signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

export function createProxy(deps: ProxyDeps): Proxy {
  const streams = new Streams();
  const connections = new Connections();
  const admission = createAdmission(deps);

  const register = (request: ProxyRequest, entry: Entry, admitted: Admitted, cut: Cut): (() => void) => {
    const { uid } = admitted.session;
    if (streams.total >= deps.limits.streams || streams.count(uid) >= deps.limits.streamsPerSession) {
      throw new Refusal(429, 'too many requests of this session are under way');
    }
    const remove = streams.add(uid, {
      cut,
      isLong: () => entry.what.isStream,
      holds: () => admission.stillHolds(request, admitted),
    });
    deps.metrics.streams(streams.total);
    return () => {
      remove();
      deps.metrics.streams(streams.total);
    };
  };

  const begin = ({ method }: ProxyRequest, by: Carrier['by'], isUpgrade: boolean): Entry => ({
    requestId: deps.newRequestId(),
    by,
    who: {},
    // Until its path has been read.
    what: { verb: method.toLowerCase(), path: '/', isStream: isUpgrade },
    startedAt: performance.now(),
  });

  const accounts = createAccounts(
    ({ entry, outcome, seconds }: { entry: Entry; outcome: Outcome; seconds: number }) => {
      auditEnd(deps.log, entry, { ...outcome, seconds });
      deps.metrics.served({ verb: entry.what.verb, status: outcome.status, seconds, by: entry.by });
      deps.metrics.bytes('in', outcome.sentBytes);
      deps.metrics.bytes('out', outcome.receivedBytes);
    },
  );

  const ended = (entry: Entry, outcome: Outcome): void =>
    accounts.add({ entry, outcome, seconds: (performance.now() - entry.startedAt) / 1000 });

  const refused = (entry: Entry, error: unknown): Refusal => {
    const refusal = refusalOf(error);
    if (refusal === undefined) deps.log.error({ err: error, requestId: entry.requestId }, 'a proxied request failed');
    const answer = refusal ?? new Refusal(502, `something went wrong here (request ${entry.requestId})`);
    auditRefused(deps.log, entry, answer.status, answer.message);
    deps.metrics.served({
      verb: entry.what.verb,
      status: answer.status,
      seconds: (performance.now() - entry.startedAt) / 1000,
      by: entry.by,
    });
    return answer;
  };

  const serve = async (carrier: Carrier): Promise<void> => {
    const { request } = carrier;
    const entry = begin(request, carrier.by, false);
    let isSettled = false;
    let remove = (): void => {};
    const fail = (error: unknown): void => {
      if (isSettled) return;
      isSettled = true;
      remove();
      carrier.refuse(refused(entry, error), entry.requestId);
    };
    carrier.onGone(() => {
      if (isSettled) return;
      isSettled = true;
      remove();
      ended(entry, nothing);
    });
    try {
      carrier.begin();
      const admitted = await admission.admit(request, false, entry);
      if (isSettled) return;
      deps.recorder?.pass(entry);
      // Until it is forwarded, there is only the answer to cut.
      let cut: Cut = (...how) => fail(cutBefore(...how));
      remove = register(request, entry, admitted, (...how) => cut(...how));
      if (isEphemeral(entry.what)) await auditEphemeral(carrier, entry, deps);
      if (isSettled) return;
      const headers = await admission.authorize(admitted, entry.requestId);
      if (isSettled) return;
      cut = carrier.forward({
        path: admitted.path,
        headers,
        withCookies: admitted.withCookies,
        uid: admitted.session.uid,
        isWatch: entry.what.verb === 'watch',
        isStream: entry.what.isStream,
        requestId: entry.requestId,
        onStart: (status) => {
          if (entry.what.isStream) auditStart(deps.log, entry, status);
        },
        onEnd: (outcome) => {
          remove();
          admission.answered(admitted, outcome);
          ended(entry, outcome);
        },
      });
      // What cannot be forwarded is answered.
      isSettled = true;
    } catch (error) {
      fail(error);
    }
  };

  const serveUpgrade = async (req: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> => {
    const request = requestOf(req, deps);
    const entry = begin(request, 'server', true);
    let isSettled = false;
    let remove = (): void => {};
    let endTap = (): void => {};
    const fail = (error: unknown): void => {
      if (isSettled) return;
      isSettled = true;
      remove();
      endTap();
      hangUp(socket, refusalBytes(refused(entry, error), { requestId: entry.requestId, close: true }));
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
      const admitted = await admission.admit(request, true, entry);
      if (isSettled) return;
      if (protocol === undefined || !isPlainUpgrade(req)) {
        throw new Refusal(400, 'a connection can be upgraded to websocket or SPDY/3.1, and to nothing else');
      }
      let cut: Cut = (...how) => fail(cutBefore(...how));
      remove = register(request, entry, admitted, (...how) => cut(...how));
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
        withCookies: admitted.withCookies,
        ...(tap === undefined ? {} : { tap }),
        requestId: entry.requestId,
        onStart: (status) => auditStart(deps.log, entry, status),
        onEnd: (outcome) => {
          remove();
          admission.answered(admitted, outcome);
          ended(entry, outcome);
        },
      });
      isSettled = true;
      socket.off('error', onGone).off('end', onGone).off('close', onGone);
    } catch (error) {
      fail(error);
    }
  };

  const engines = createEngineCarriers(deps.upstream, (carrier) => void serve(carrier));
  const here = { ...deps, connections };

  return {
    handles: isForKubernetes,
    request: (req, res) => void serve(carriedHere(req, res, here)),
    upgrade: (req, socket, head) => void serveUpgrade(req, socket, head),
    decider: engines.decider,
    cut(uid, reason) {
      const count = streams.cut(uid, reason);
      deps.upstream.forget(uid);
      engines.forget(uid);
      return count;
    },
    recheck: () => streams.recheck(),
    get open() {
      return streams.total;
    },
    drain() {
      engines.drain();
      streams.drain();
    },
    idle: (signal) => engines.idle(signal),
    async close() {
      streams.cutAll('tka is being restarted');
      await deps.upstream.close();
      accounts.settle();
    },
  };
}

/** Of a request that is cut before it was forwarded. */
function cutBefore(...[reason, because]: Parameters<Cut>): Refusal {
  return new Refusal(because === 'revoked' ? 401 : 503, reason);
}

/** Of a request whose caller went before there was an answer. */
const nothing: Outcome = { status: 0, sentBytes: 0, receivedBytes: 0 };
