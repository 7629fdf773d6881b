/**
 * One decided request, streamed to the API server and back: bodies re-framed, nothing buffered, the slower side sets the pace.
 *
 * Whatever ends early (the caller, the API server, a cut) ends the other side too, and a connection to the API server whose
 * exchange was not complete is never used again: undici destroys it. An answer that comes before the whole request is the
 * last one on its connection.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Dispatcher, errors } from 'undici';
import { prefixOf } from './classify.ts';
import { returnHeaders } from './headers.ts';
import { answerRefusal, invalidAnswer, protectiveHeaders, Refusal, statusObject } from './refusal.ts';
import type { Cut } from './streams.ts';

export interface Forwarding {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly pool: Dispatcher;
  readonly origin: string;
  /** For the API server, base path included. */
  readonly path: string;
  /** Everything the API server gets, the session's credential included. */
  readonly headers: Readonly<Record<string, string>>;
  /** Its answer may set cookies. */
  readonly withCookies: boolean;
  /** Of the request, where it has been read already. */
  readonly body?: Buffer;
  /** A watch's answer has a place for a last word; any other that is cut must be seen to be cut. */
  readonly isWatch: boolean;
  readonly requestId: string;
  /** Headers are there. */
  readonly onStart: (status: number) => void;
  /** Once, at the very end. `status` is 0 where the caller had gone before there was an answer. */
  readonly onEnd: (outcome: Outcome) => void;
}

export interface Outcome {
  readonly status: number;
  /** Bytes of bodies, from the caller's view. */
  readonly sentBytes: number;
  readonly receivedBytes: number;
  /** Why it ended early. */
  readonly cut?: string;
}

/** Returns how to cut it. */
export function forward(forwarding: Forwarding): Cut {
  const handler = new Exchange(forwarding);
  handler.begin();
  return (reason, because) => handler.cut(reason, because);
}

class Exchange implements Dispatcher.DispatchHandler {
  readonly #to: Forwarding;
  #controller: Dispatcher.DispatchController | undefined;
  #status = 0;
  #sentBytes = 0;
  #receivedBytes = 0;
  #cutReason: string | undefined;
  #isOver = false;
  #hasLastWord = false;
  #endsInNewline = true;

  constructor(forwarding: Forwarding) {
    this.#to = forwarding;
  }

  begin(): void {
    const { req, res, pool, path, headers, body } = this.#to;
    res.once('close', () => {
      if (!res.writableFinished) this.#controller?.abort(new Error('the caller has gone'));
      this.#finish();
    });
    const length = body === undefined ? req.headers['content-length'] : String(body.length);
    const hasBody = (body === undefined && req.headers['transfer-encoding'] !== undefined) || Number(length ?? 0) > 0;
    pool.dispatch(
      {
        path,
        // Only methods that index.ts let through.
        method: req.method as Dispatcher.HttpMethod,
        headers: hasBody && length !== undefined ? { ...headers, 'content-length': length } : headers,
        body: hasBody ? (body ?? req) : null,
        // undici would give up the connection after each DELETE with a body; where a body is unusual, or an answer has none
        // whatever its headers say, it should.
        reset: req.method === 'HEAD' || (req.method === 'GET' && hasBody),
      },
      this,
    );
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#isOver || this.#cutReason !== undefined) controller.abort(new Error('not wanted any more'));
  }

  onBodySent(chunk: Buffer): void {
    this.#sentBytes += chunk.length;
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: Readonly<Record<string, string | string[] | undefined>>,
    message?: string,
  ): void {
    const { req, res, origin, withCookies, requestId, onStart } = this.#to;
    // 102 and 103 are the next hop's own business.
    if (status < 200) return;
    if (isAmbiguous(headers)) {
      controller.abort(new InvalidAnswer());
      return;
    }
    this.#status = status;
    const type = String(headers['content-type'] ?? '');
    this.#hasLastWord =
      this.#to.isWatch &&
      status === 200 &&
      /^application\/json\b/.test(type) &&
      headers['content-length'] === undefined &&
      headers['content-encoding'] === undefined;
    const pairs = returnHeaders(headers, { origin, prefix: prefixOf(req.url ?? ''), withCookies });
    for (const [name, value] of Object.entries(protectiveHeaders)) pairs.push(name, value);
    pairs.push('x-request-id', requestId);
    // The rest of the request may never be read, and must not be taken for another.
    if (!req.complete) pairs.push('connection', 'close');
    res.writeHead(status, message?.replaceAll(/[^\x20-\x7e]/g, ''), pairs);
    // Without a length it may be long until the first byte of a body.
    if (headers['content-length'] === undefined) res.flushHeaders();
    onStart(status);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    const { res } = this.#to;
    this.#receivedBytes += chunk.length;
    this.#endsInNewline = chunk.at(-1) === newline;
    if (res.write(chunk)) return;
    controller.pause();
    res.once('drain', () => controller.resume());
  }

  onResponseEnd(): void {
    this.#to.res.end();
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    const { res } = this.#to;
    if (this.#cutReason !== undefined || res.destroyed) return;
    // The end that a length or a chunk promises does not come: the caller must notice.
    if (res.headersSent) res.destroy();
    else if (isInvalid(error)) this.#refuse(new Refusal(502, invalidAnswer, { cause: error }));
    else this.#refuse(new Refusal(this.#awayStatus(), 'the API server does not answer tka', { cause: error }));
  }

  cut(...[reason, because]: Parameters<Cut>): void {
    if (this.#isOver || this.#cutReason !== undefined) return;
    this.#cutReason = reason;
    const { res } = this.#to;
    if (!res.headersSent) this.#refuse(new Refusal(because === 'revoked' ? 401 : this.#awayStatus(), reason));
    else if (this.#hasLastWord && this.#endsInNewline && !res.writableNeedDrain) {
      const object = statusObject(new Refusal(401, reason));
      res.end(because === 'revoked' ? `${JSON.stringify({ type: 'ERROR', object })}\n` : '');
      // A caller that does not read must not keep it open.
      setTimeout(() => res.destroy(), cutMs).unref();
    } else res.destroy();
    this.#controller?.abort(new Error(reason));
  }

  /** A client that is told to come again (503) does so, and what may have been done would be done twice. */
  #awayStatus(): 502 | 503 {
    const { method } = this.#to.req;
    return this.#controller === undefined || method === 'GET' || method === 'HEAD' ? 503 : 502;
  }

  #refuse(refusal: Refusal): void {
    const { req, res, requestId } = this.#to;
    this.#status = refusal.status;
    answerRefusal(res, refusal, { requestId, close: !req.complete });
  }

  #finish(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#to.onEnd({
      status: this.#status,
      sentBytes: this.#sentBytes,
      receivedBytes: this.#receivedBytes,
      ...(this.#cutReason === undefined ? {} : { cut: this.#cutReason }),
    });
  }
}

class InvalidAnswer extends Error {}

/** What undici reads without a complaint, and another reader might understand differently. */
function isAmbiguous(headers: Readonly<Record<string, string | string[] | undefined>>): boolean {
  const coding = headers['transfer-encoding'];
  return Array.isArray(headers['location']) || (coding !== undefined && String(coding).toLowerCase() !== 'chunked');
}

/** Bytes that are no answer, as opposed to none. */
function isInvalid(error: Error): boolean {
  if (error instanceof InvalidAnswer || error instanceof errors.HTTPParserError) return true;
  if (error instanceof errors.HeadersOverflowError || error instanceof errors.ResponseContentLengthMismatchError)
    return true;
  // undici's words for 100 and 101 that were not asked for.
  return error instanceof errors.SocketError && /^bad (?:response|upgrade)$/.test(error.message);
}

const newline = 0x0a;
const cutMs = 500;
