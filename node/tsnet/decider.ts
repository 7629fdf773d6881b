/**
 * What a program has to do with requests that the engine forwards by itself: decide about each, hear what became of it, and
 * stop it. Types alone; decisions.ts speaks to the engine.
 */
import type { RecordingFailure, RequestMatch } from './decisions-protocol.ts';
export type { RecordingFailure } from './decisions-protocol.ts';
import type { TailnetConnection } from './peer.ts';

/** Where requests are forwarded to, and by what rules their answers come back. */
export interface ForwardSettings {
  readonly match: RequestMatch;
  /** Scheme, host and port. */
  readonly server: string;
  /** PEM; absent: the system's roots. */
  readonly ca?: string;
  readonly serverName?: string;
  readonly insecureSkipTlsVerify?: boolean;
  /** Headers of answers that do not come back, lower case, and how such begin. */
  readonly withheld: readonly string[];
  readonly withheldPrefixes: readonly string[];
  /** To each answer: name, value, name, value. */
  readonly added: readonly string[];
}

export interface Decider {
  readonly settings: ForwardSettings;
  /** Must answer once, by `forward` or `answer`, unless the request has `ended` before. */
  decide(request: AskedRequest, events: (events: RequestEvents) => void): void;
  /** An engine asks from now on. */
  opened(engine: ForwardingEngine): void;
  /** All that it had asked has ended. */
  closed(engine: ForwardingEngine): void;
}

/** The other end. Whatever is said to one that has gone is lost, and nothing follows from it. */
export interface ForwardingEngine {
  /** Ends the connections of a pool, those in use too. */
  forget(pool: string): void;
  /** Connections end after the answer they owe. */
  drain(): void;
}

export interface AskedRequest {
  readonly connection: TailnetConnection;
  readonly httpVersion: string;
  readonly method: string;
  readonly target: string;
  /** Name, value, name, value; as sent. */
  readonly rawHeaders: readonly string[];
  readonly hasBody: boolean;
  /** Asks for the body, once, before `forward` or `answer`. */
  read(most: number): void;
  /** Of an upgrade; before `forward`. */
  record(order: RecordOrder): void;
  forward(order: ForwardOrder): void;
  answer(answer: OwnAnswer): void;
  /** Of one that is forwarded. */
  cut(cut: CutOrder): void;
}

export interface ForwardOrder {
  readonly path: string;
  /** All that the server gets, but Host and the body's length. */
  readonly headers: Readonly<Record<string, string>>;
  /** Set-Cookie comes back, although withheld. */
  readonly withCookies: boolean;
  /** Requests of different pools never share a connection. */
  readonly pool: string;
  /** To the answer: name, value, name, value. */
  readonly added: readonly string[];
  /** Whether to hear when the answer begins. */
  readonly tellBegun: boolean;
  readonly close: boolean;
}

/** What a terminal shows is appended to a file, in asciicast v2. */
export interface RecordOrder {
  readonly path: string;
  /** To append. */
  readonly maxBytes: number;
  /** The stream must not continue without it: one whose recording fails waits for a cut. */
  readonly required: boolean;
}

export interface OwnAnswer {
  readonly status: number;
  /** Head and body. */
  readonly text: string;
  /** It ends the connection. */
  readonly close: boolean;
}

export interface CutOrder {
  /** For a request that has no answer yet. */
  readonly answer: OwnAnswer;
  /** An answer in JSON lines ends in order, with the last word; any other must be seen to be cut. */
  readonly inOrder: boolean;
  /** On an upgraded connection: the Status for its error stream. */
  readonly lastWord: string;
  /** For the close frame of a websocket. */
  readonly reason: string;
}

export interface RequestEvents {
  begun(status: number): void;
  /** As it was asked for; undefined: longer. */
  body(bytes: Buffer | undefined): void;
  /** Its recording has failed, or ends early. */
  unrecorded(failure: RecordingFailure, reason: string): void;
  /**
   * The server does not answer; `isSent`: it may have acted on the request; `isInvalid`: its answer is not valid HTTP.
   * Returns what the caller hears.
   */
  failed(failure: { readonly isSent: boolean; readonly isInvalid: boolean; readonly reason: string }): OwnAnswer;
  /** Returns the Location that the caller gets. */
  moved(location: string): string | undefined;
  /** Once, whatever has happened. `status` is 0 where the caller had gone before there was an answer. */
  ended(outcome: { readonly status: number; readonly sentBytes: number; readonly receivedBytes: number }): void;
}
