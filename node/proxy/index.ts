/**
 * The Kubernetes API on the TLS port (classify.ts): the engine asks about each request, (request, connection) → decided
 * (admission.ts) → forwarded by the engine (forwarder.ts).
 *
 * Nothing is ever forwarded with a credential of tka's. Each request has one line of audit, a stream two. A stream is
 * registered before its session is looked at for the last time, so that a cut misses none.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Decider } from '../tsnet/decider.ts';
import { type Admitted, createAdmission, type Entry, refusalOf } from './admission.ts';
import { createAccounts } from './accounts.ts';
import { type Audited, auditEnd, auditRefused, auditStart } from './audit.ts';
import { isForKubernetes } from './classify.ts';
import type { ProxyDeps } from './deps.ts';
import { auditEphemeral, isEphemeral } from './ephemeral.ts';
import { createForwarders, type Forwarder } from './forwarder.ts';
import type { Outcome, ProxyRequest } from './request.ts';
import type { Recording } from './recording.ts';
import { answerRefusal, Refusal } from './status-error.ts';
import { type Cut, Streams } from './streams.ts';

export interface Proxy {
  /** Whether it is for the Kubernetes API, by its path or its token. */
  handles(request: Pick<ProxyRequest, 'url' | 'rawHeaders'>): boolean;
  /** Answers a request that did not come by TLS. */
  refuse(req: IncomingMessage, res: ServerResponse): void;
  /** For all others. */
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
  close(): void;
}

export function createProxy(deps: ProxyDeps): Proxy {
  const streams = new Streams();
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

  const begin = (method: string, by: Audited['by'], isUpgrade: boolean): Entry => ({
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

  const recordingOf = (
    { request }: Forwarder,
    entry: Entry,
    headers: Record<string, string>,
  ): Recording | undefined => {
    const protocol = request.upgrade?.protocol;
    if (protocol !== undefined) return deps.recorder?.begin({ ...entry, protocol }, headers);
    deps.recorder?.pass(entry);
    return undefined;
  };

  const serve = async (forwarder: Forwarder): Promise<void> => {
    const { request } = forwarder;
    const entry = begin(request.method, 'engine', request.upgrade !== undefined);
    let isSettled = false;
    let remove = (): void => {};
    const fail = (error: unknown): void => {
      if (isSettled) return;
      isSettled = true;
      remove();
      forwarder.refuse(refused(entry, error), entry.requestId);
    };
    forwarder.onGone(() => {
      if (isSettled) return;
      isSettled = true;
      remove();
      ended(entry, nothing);
    });
    try {
      const admitted = await admission.admit(request, entry);
      if (isSettled) return;
      // Until it is forwarded, there is only the answer to cut.
      let cut: Cut = (...how) => fail(cutBefore(...how));
      remove = register(request, entry, admitted, (...how) => cut(...how));
      if (isEphemeral(entry.what)) await auditEphemeral(forwarder, entry, deps);
      if (isSettled) return;
      const headers = await admission.authorize(admitted, entry.requestId);
      if (isSettled) return;
      const recording = recordingOf(forwarder, entry, headers);
      cut = forwarder.forward({
        path: admitted.path,
        headers,
        withCookies: admitted.withCookies,
        uid: admitted.session.uid,
        isWatch: entry.what.verb === 'watch',
        isStream: entry.what.isStream,
        ...(recording === undefined ? {} : { recording }),
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

  /** On a port without TLS, which the engine does not ask about. */
  const refuse = (req: IncomingMessage, res: ServerResponse): void => {
    const { method = '', url, rawHeaders } = req;
    const entry = begin(method, 'server', false);
    const close = !req.complete;
    const answer = (error: unknown): void =>
      answerRefusal(res, refused(entry, error), { requestId: entry.requestId, close });
    try {
      deps.refuseForeignRequest({ url, rawHeaders });
      answer(new Refusal(403, 'the Kubernetes API is served over https alone'));
    } catch (error) {
      answer(error);
    }
  };

  const forwarders = createForwarders(deps.upstream, (forwarder) => void serve(forwarder));

  return {
    handles: isForKubernetes,
    refuse,
    decider: forwarders.decider,
    cut(uid, reason) {
      const count = streams.cut(uid, reason);
      forwarders.forget(uid);
      return count;
    },
    recheck: () => streams.recheck(),
    get open() {
      return streams.total;
    },
    drain() {
      forwarders.drain();
      streams.drain();
    },
    idle: (signal) => forwarders.idle(signal),
    close() {
      streams.cutAll('tka is being restarted');
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
