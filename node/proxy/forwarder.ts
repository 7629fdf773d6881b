/**
 * Requests that the engine asks about, and forwards by itself if they are let through: their bytes never come here, but for a body
 * that is read before it is decided about. What ends one early, a cut or the API server's silence, is answered in words that are made here.
 */
import type {
  AskedRequest,
  Decider,
  ForwardingEngine,
  OwnAnswer,
  RecordingFailure,
  RequestEvents,
} from '../tsnet/decider.ts';
import type { Outcome, ProxyRequest } from './request.ts';
import { kubernetesRequests, prefixOf } from './classify.ts';
import { answerRules, ownLocation } from './headers.ts';
import type { Recording } from './recording.ts';
import { invalidAnswer, protectiveHeaders, Refusal, refusalBytes, statusObject } from './status-error.ts';
import type { Cut } from './streams.ts';
import { upgradeIn } from './upgrade.ts';
import type { Upstream } from './upstream.ts';

export interface Decided {
  /** For the API server, base path included. */
  readonly path: string;
  /** Everything the API server gets, the session's credential included. */
  readonly headers: Readonly<Record<string, string>>;
  /** Its answer may set cookies. */
  readonly withCookies: boolean;
  /** Of the session whose connections are used. */
  readonly uid: string;
  /** A watch's answer has a place for a last word; any other that is cut must be seen to be cut. */
  readonly isWatch: boolean;
  /** It may be long between its start and its end. */
  readonly isStream: boolean;
  readonly recording?: Recording;
  readonly requestId: string;
  /** Headers are there; told of streams at least. */
  readonly onStart: (status: number) => void;
  /** Once, at the very end. */
  readonly onEnd: (outcome: Outcome) => void;
}

export interface Forwarders {
  readonly decider: Decider;
  /** Ends the session's connections, those in use too. */
  forget(uid: string): void;
  /** From now on connections end after the answer they owe. */
  drain(): void;
  /** Resolves when nothing is under way, or the signal aborts. */
  idle(signal: AbortSignal): Promise<void>;
}

export function createForwarders(upstream: Upstream, serve: (forwarder: Forwarder) => void): Forwarders {
  const engines = new Set<ForwardingEngine>();
  let isDraining = false;
  let underWay = 0;
  let onIdle: (() => void) | undefined;
  const { ca, serverName, insecureSkipTlsVerify } = upstream.options;
  const { origin } = upstream.url;
  const decider: Decider = {
    settings: {
      match: kubernetesRequests,
      server: origin,
      ...(ca === undefined ? {} : { ca }),
      ...(serverName === undefined ? {} : { serverName }),
      ...(insecureSkipTlsVerify === undefined ? {} : { insecureSkipTlsVerify }),
      ...answerRules,
      added: Object.entries(protectiveHeaders).flat(),
    },
    decide(asked, listen) {
      const forwarder = new Forwarder(asked, origin, () => {
        underWay -= 1;
        if (underWay === 0) onIdle?.();
      });
      underWay += 1;
      listen(forwarder);
      serve(forwarder);
    },
    opened(engine) {
      engines.add(engine);
      if (isDraining) engine.drain();
    },
    closed: (engine) => void engines.delete(engine),
  };
  return {
    decider,
    forget(uid) {
      for (const engine of engines) engine.forget(uid);
    },
    drain() {
      isDraining = true;
      for (const engine of engines) engine.drain();
    },
    async idle(signal) {
      if (underWay === 0 || signal.aborted) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      onIdle = resolve;
      signal.addEventListener('abort', () => resolve(), { once: true });
      await promise;
    },
  };
}

/** One request: refused or forwarded, once. */
export class Forwarder implements RequestEvents {
  readonly request: ProxyRequest;
  readonly #asked: AskedRequest;
  readonly #origin: string;
  readonly #onEnd: () => void;
  readonly #body = Promise.withResolvers<Buffer | undefined>();
  #decided: Decided | undefined;
  #onGone: (() => void) | undefined;
  #cutReason: string | undefined;
  #isOver = false;

  constructor(asked: AskedRequest, origin: string, onEnd: () => void) {
    const { method, target, httpVersion, rawHeaders, hasBody, connection } = asked;
    const upgrade = upgradeIn(method, hasBody, rawHeaders);
    this.request = { method, url: target, httpVersion, rawHeaders, hasBody, upgrade, connection };
    this.#asked = asked;
    this.#origin = origin;
    this.#onEnd = onEnd;
  }

  /** The caller has gone before the request was refused or forwarded. */
  onGone(listener: () => void): void {
    this.#onGone = listener;
  }

  refuse(refusal: Refusal, requestId: string): void {
    this.#asked.answer(this.#answer(refusal, requestId));
  }

  /** The whole body, before it is forwarded. Throws Refusal beyond `most` bytes; never resolves where the caller goes. */
  async readBody(most: number): Promise<Buffer> {
    if (!this.request.hasBody) return Buffer.alloc(0);
    this.#asked.read(most);
    const body = await this.#body.promise;
    if (body === undefined)
      throw new Refusal(413, `the body is longer than the ${most} bytes that are read for the audit`);
    return body;
  }

  /** Returns how to cut it. */
  forward(decided: Decided): Cut {
    const { path, headers, withCookies, uid, requestId, isStream, recording } = decided;
    const added = ['x-request-id', requestId];
    if (recording !== undefined) this.#asked.record(recording.order);
    // What is sent ahead of an upgrade that is not granted must not be read as a request.
    this.#asked.forward({ path, headers, withCookies, pool: uid, added, tellBegun: isStream, close: this.#isUpgrade });
    this.#decided = decided;
    return (reason, because) => this.#cut(reason, because);
  }

  begun(status: number): void {
    this.#decided?.onStart(status);
  }

  body(bytes: Buffer | undefined): void {
    this.#body.resolve(bytes);
  }

  unrecorded(failure: RecordingFailure, reason: string): void {
    const recording = this.#decided?.recording;
    recording?.failed(failure, reason);
    if (recording?.order.required === true) this.#cut('it could not be recorded any more', 'revoked');
  }

  failed({ isSent, isInvalid }: { readonly isSent: boolean; readonly isInvalid: boolean }): OwnAnswer {
    const refusal =
      isInvalid && this.#cutReason === undefined
        ? new Refusal(502, invalidAnswer)
        : new Refusal(this.#awayStatus(isSent), this.#cutReason ?? 'the API server does not answer tka');
    return this.#answer(refusal, this.#decided?.requestId ?? '');
  }

  moved(location: string): string | undefined {
    return ownLocation(location, this.#origin, prefixOf(this.#asked.target));
  }

  ended(outcome: { readonly status: number; readonly sentBytes: number; readonly receivedBytes: number }): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#onEnd();
    const { status, sentBytes, receivedBytes } = outcome;
    const cut = this.#cutReason === undefined ? {} : { cut: this.#cutReason };
    if (this.#decided === undefined) this.#onGone?.();
    else this.#decided.onEnd({ status, sentBytes, receivedBytes, ...cut });
  }

  get #isUpgrade(): boolean {
    return this.request.upgrade !== undefined;
  }

  #cut(...[reason, because]: Parameters<Cut>): void {
    if (this.#isOver || this.#cutReason !== undefined || this.#decided === undefined) return;
    this.#cutReason = reason;
    const { isWatch, requestId } = this.#decided;
    const answer = this.#answer(new Refusal(because === 'revoked' ? 401 : this.#awayStatus(true), reason), requestId);
    const object = statusObject(new Refusal(401, reason));
    const event = because === 'revoked' ? `${JSON.stringify({ type: 'ERROR', object })}\n` : '';
    const lastWord = this.#isUpgrade ? JSON.stringify(object) : event;
    this.#asked.cut({ answer, inOrder: isWatch && !this.#isUpgrade, lastWord, reason });
  }

  #answer(refusal: Refusal, requestId: string): OwnAnswer {
    // What is left of a body, or sent ahead of an upgrade, must not be taken for another request.
    const close = this.request.hasBody || this.#isUpgrade;
    return { status: refusal.status, text: refusalBytes(refusal, { requestId, close }), close };
  }

  /** A client that is told to come again (503) does so, and what may have been done would be done twice. */
  #awayStatus(isSent: boolean): 502 | 503 {
    const { method } = this.#asked;
    return !isSent || method === 'GET' || method === 'HEAD' || this.#isUpgrade ? 503 : 502;
  }
}
