/**
 * Who carries a request, once it is decided: this process, for a request that an HTTP server here has read, or the engine, for
 * one that it asks about. What is decided, counted and written down is the same for both, and is not their business.
 */
import type { TailnetConnection } from '../tsnet/node.ts';
import type { Outcome } from './forward.ts';
import type { Refusal } from './refusal.ts';
import type { Cut } from './streams.ts';

/** All that a decision is made from. */
export interface ProxyRequest {
  readonly method: string;
  readonly url: string;
  readonly httpVersion: string;
  /** Name, value, name, value; as sent. */
  readonly rawHeaders: readonly string[];
  /** Undefined for one that did not come through the tailnet node. */
  readonly connection: TailnetConnection | undefined;
}

export interface Carrier {
  readonly by: 'engine' | 'server';
  readonly request: ProxyRequest;
  /** Throws Refusal for a request that has not waited for its turn. */
  begin(): void;
  /** The caller has gone before the request was refused or forwarded. */
  onGone(listener: () => void): void;
  /** The whole body, before it is forwarded; undefined where its bytes do not come to this process. Throws Refusal beyond `limit`. */
  readBody(limit: number): Promise<Buffer | undefined>;
  /** Exactly one of these two, once. */
  refuse(refusal: Refusal, requestId: string): void;
  /** Returns how to cut it. */
  forward(decided: Decided): Cut;
}

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
  readonly requestId: string;
  /** Headers are there; told of streams at least. */
  readonly onStart: (status: number) => void;
  /** Once, at the very end. `status` is 0 where the caller had gone before there was an answer. */
  readonly onEnd: (outcome: Outcome) => void;
}
