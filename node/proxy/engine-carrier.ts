/**
 * Requests that the engine asks about, and carries by itself if they are let through: their bytes never come here. What ends
 * one in between, a cut or the API server's silence, is answered in words that are made here.
 */
import type { AskedRequest, Decider, ForwardingEngine, OwnAnswer, RequestEvents } from '../tsnet/decider.ts';
import type { Carrier, Decided } from './carrier.ts';
import { kubernetesRequests, prefixOf } from './classify.ts';
import { answerRules, ownLocation } from './headers.ts';
import { invalidAnswer, protectiveHeaders, Refusal, refusalBytes, statusObject } from './refusal.ts';
import type { Cut } from './streams.ts';
import type { Upstream } from './upstream.ts';

export interface EngineCarriers {
  readonly decider: Decider;
  /** Ends the session's connections, those in use too. */
  forget(uid: string): void;
  /** From now on connections end after the answer they owe. */
  drain(): void;
  /** Resolves when nothing is under way, or the signal aborts. */
  idle(signal: AbortSignal): Promise<void>;
}

export function createEngineCarriers(upstream: Upstream, serve: (carrier: Carrier) => void): EngineCarriers {
  const engines = new Set<ForwardingEngine>();
  let isDraining = false;
  let underWay = 0;
  let onIdle: (() => void) | undefined;
  const { ca, serverName, insecureSkipTlsVerify } = upstream.options;
  const { origin } = upstream.url;
  const decider: Decider = {
    settings: {
      match: kubernetesRequests,
      readHere: ['/ephemeralcontainers'],
      server: origin,
      ...(ca === undefined ? {} : { ca }),
      ...(serverName === undefined ? {} : { serverName }),
      ...(insecureSkipTlsVerify === undefined ? {} : { insecureSkipTlsVerify }),
      ...answerRules,
      added: Object.entries(protectiveHeaders).flat(),
    },
    decide(asked, listen) {
      const carrier = new EngineCarrier(asked, origin, () => {
        underWay -= 1;
        if (underWay === 0) onIdle?.();
      });
      underWay += 1;
      listen(carrier);
      serve(carrier);
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

class EngineCarrier implements Carrier, RequestEvents {
  readonly by = 'engine';
  readonly request;
  readonly #asked: AskedRequest;
  readonly #origin: string;
  readonly #onEnd: () => void;
  #decided: Decided | undefined;
  #onGone: (() => void) | undefined;
  #cutReason: string | undefined;
  #isOver = false;

  constructor(asked: AskedRequest, origin: string, onEnd: () => void) {
    const { method, target, httpVersion, rawHeaders, connection } = asked;
    this.request = { method, url: target, httpVersion, rawHeaders, connection };
    this.#asked = asked;
    this.#origin = origin;
    this.#onEnd = onEnd;
  }

  /** The engine asks about one request of a connection at a time. */
  begin(): void {}

  onGone(listener: () => void): void {
    this.#onGone = listener;
  }

  refuse(refusal: Refusal, requestId: string): void {
    this.#asked.answer(this.#answer(refusal, requestId));
  }

  /** The engine hands over what has to be read (`readHere`). */
  readBody(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  forward(decided: Decided): Cut {
    const { path, headers, withCookies, uid, requestId, isStream } = decided;
    const added = ['x-request-id', requestId];
    this.#asked.forward({ path, headers, withCookies, pool: uid, added, tellBegun: isStream, close: false });
    this.#decided = decided;
    return (reason, because) => this.#cut(reason, because);
  }

  begun(status: number): void {
    this.#decided?.onStart(status);
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

  #cut(...[reason, because]: Parameters<Cut>): void {
    if (this.#isOver || this.#cutReason !== undefined || this.#decided === undefined) return;
    this.#cutReason = reason;
    const { isWatch, requestId } = this.#decided;
    const answer = this.#answer(new Refusal(because === 'revoked' ? 401 : this.#awayStatus(true), reason), requestId);
    const object = statusObject(new Refusal(401, reason));
    const lastWord = because === 'revoked' ? `${JSON.stringify({ type: 'ERROR', object })}\n` : '';
    this.#asked.cut({ answer, ...(isWatch ? { lastWord } : {}) });
  }

  #answer(refusal: Refusal, requestId: string): OwnAnswer {
    // What is left of a body must not be taken for another request.
    const close = this.#asked.hasBody;
    return { status: refusal.status, text: refusalBytes(refusal, { requestId, close }), close };
  }

  /** A client that is told to come again (503) does so, and what may have been done would be done twice. */
  #awayStatus(isSent: boolean): 502 | 503 {
    const { method } = this.#asked;
    return !isSent || method === 'GET' || method === 'HEAD' ? 503 : 502;
  }
}
