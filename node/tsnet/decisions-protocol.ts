/**
 * The decision channel's messages, twin of engine/decisions_protocol.go: change both together, and PROTOCOL_VERSION with any
 * change that the other side would misread.
 *
 * A connection to the same unix socket as callers' connections come by, one for each listener that was opened with
 * `decide`; its preamble has `decisions`. After that, one message a line each way, UTF-8, at most MAX_LINE bytes: a JSON
 * object with a `type`, but for the three that each request needs, `ask`, `forward` and `ended`: those are fields with U+001F
 * between them, the name first, flags as 0 or 1, in the order in which they are here, lists last. Node begins with
 * `settings`. The engine tells of each caller's connection (`opened`, at last `closed`), and asks
 * for each request on it (`ask`, numbered over all connections). Node answers each question once: `forward`, or
 * `answer`, with one of its own; it may `read` the `body` first. A decision is good for that one request. Each question has an end
 * (`ended`), always; before it
 * come at most one each of `begun` (if wanted), `unrecorded`, `failed` and `moved`, of which Node answers the last two with
 * `answer` and `location`. An upgrade is forwarded like any other request; Node may want it recorded (`record`, before `forward`). Node
 * may `cut` what it has let forward, `hangUp` on a caller, `forget` a pool, and `drain`. What names a request or connection that
 * has ended meanwhile is ignored. The end of the channel ends every connection that it was asked for: nothing is forwarded that
 * Node cannot stop. The credentials in `ask` and `forward` are kept by neither side for longer than the request.
 */
import * as z from 'zod';
import { endpoint, identity } from './protocol.ts';

/** Which requests are asked about; any other is handed over. */
export interface RequestMatch {
  /** A path that is one of these or below one, as written, */
  readonly paths: readonly string[];
  /** and neither one of these nor below one; */
  readonly exceptPaths: readonly string[];
  /** or any path, where a bearer token begins so. */
  readonly bearerPrefix: string;
}

const number = z.number().int().positive();

const opened = z.object({
  type: z.literal('opened'),
  connection: number,
  source: endpoint,
  destination: endpoint,
  tls: z.boolean(),
  identity,
});
const closed = z.object({ type: z.literal('closed'), connection: number });
/** The answer's head is there. */
const begun = z.object({ type: z.literal('begun'), request: number, status: z.number().int() });
/** There is no answer to be had. */
const failed = z.object({
  type: z.literal('failed'),
  request: number,
  /** The server may have acted on the request. */
  sent: z.boolean(),
  /** What it answered is not valid HTTP. */
  invalid: z.boolean(),
  /** For the log. */
  reason: z.string(),
});
/** The answer has a Location, which is Node's to write. */
const moved = z.object({ type: z.literal('moved'), request: number, location: z.string() });

/** Answers `read`. */
const body = z.object({
  type: z.literal('body'),
  request: number,
  /** Null: longer. */
  body: z.base64().nullable(),
});
/** A recording has failed. One that is required waits for a cut. */
const unrecorded = z.object({
  type: z.literal('unrecorded'),
  request: number,
  failure: z.enum(['unreadable', 'unwritable', 'disk_full', 'disk_slow', 'too_large']),
  /** For the log. */
  reason: z.string(),
});

/** Those that are JSON. */
export const jsonMessage = z.discriminatedUnion('type', [opened, closed, begun, body, failed, moved, unrecorded]);
export type RecordingFailure = z.infer<typeof unrecorded>['failure'];

export interface AskMessage {
  readonly type: 'ask';
  readonly connection: number;
  readonly request: number;
  readonly hasBody: boolean;
  /** Of HTTP: `1.1`. */
  readonly version: string;
  readonly method: string;
  readonly target: string;
  /** Name, value, name, value; as sent. */
  readonly headers: readonly string[];
}

export interface EndedMessage {
  readonly type: 'ended';
  readonly request: number;
  /** 0 where the caller had gone before there was an answer. */
  readonly status: number;
  /** Of bodies, by the caller. */
  readonly sentBytes: number;
  readonly receivedBytes: number;
}

export type DecisionMessage = z.infer<typeof jsonMessage> | AskMessage | EndedMessage;
export type OpenedMessage = z.infer<typeof opened>;

/** The same for every request of the listener. */
export interface SettingsMessage {
  readonly type: 'settings';
  /** Which requests are asked about; any other is handed over. */
  readonly match: RequestMatch;
  /** Scheme, host and port. */
  readonly server: string;
  /** Empty: the system's roots. */
  readonly caPem: string;
  readonly serverName: string;
  readonly insecureSkipVerify: boolean;
  /** Headers of answers that do not come back, lower case. */
  readonly withheld: readonly string[];
  /** The same, by how they begin. */
  readonly withheldPrefixes: readonly string[];
  /** To each answer: name, value, name, value. */
  readonly added: readonly string[];
}

export interface ForwardMessage {
  readonly type: 'forward';
  readonly request: number;
  readonly tellBegun: boolean;
  /** The answer is the last on the caller's connection. */
  readonly close: boolean;
  /** Set-Cookie comes back, although withheld. */
  readonly withCookies: boolean;
  readonly path: string;
  /** Requests of different pools never share a connection. */
  readonly pool: string;
  /** To the answer, after those of the settings. In the line: how many fields, then they. */
  readonly added: readonly string[];
  /** All that the server gets, but Host and the body's length: name, value, name, value. */
  readonly headers: readonly string[];
}

export interface AnswerMessage {
  readonly type: 'answer';
  readonly request: number;
  readonly status: number;
  /** Head and body. */
  readonly answer: string;
  readonly close: boolean;
}

export interface LocationMessage {
  readonly type: 'location';
  readonly request: number;
  /** Empty: none. */
  readonly location: string;
}

/** Asks for the body before anything is decided; it is forwarded as it was read. */
export interface ReadMessage {
  readonly type: 'read';
  readonly request: number;
  /** Bytes. */
  readonly most: number;
}

/**
 * Comes before the `forward` of an upgrade: what the caller's terminal shows is appended to the file at `path`, in asciicast v2.
 * `required`: the stream must not continue without it.
 */
export interface RecordMessage {
  readonly type: 'record';
  readonly request: number;
  readonly path: string;
  /** To append. */
  readonly maxBytes: number;
  readonly required: boolean;
}

/**
 * Ends both sides. The answer is for a request that has none yet; the last word for one whose answer is under way, without a
 * length, in JSON lines, between two of them: then it ends in order, with that line. Without `inOrder`, and in any other
 * case, it must be seen to be cut. On an upgraded connection the last word is the Status for its error stream, and the reason is for a
 * websocket's close frame.
 */
export interface CutMessage {
  readonly type: 'cut';
  readonly request: number;
  readonly status: number;
  readonly answer: string;
  readonly inOrder: boolean;
  readonly lastWord: string;
  readonly reason: string;
}

export type DecisionAnswer =
  | SettingsMessage
  | ForwardMessage
  | AnswerMessage
  | LocationMessage
  | ReadMessage
  | RecordMessage
  | CutMessage
  | { readonly type: 'hangUp'; readonly connection: number }
  | { readonly type: 'forget'; readonly pool: string }
  /** Each connection ends after the answer it owes. */
  | { readonly type: 'drain' };
