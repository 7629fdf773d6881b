/**
 * The control pipe's messages, twin of engine/protocol.go: change both together, and PROTOCOL_VERSION with any change
 * that the other side would misread.
 *
 * One JSON object a line, UTF-8, at most MAX_LINE bytes, each with a `type`. Node writes requests to stdin, the engine
 * writes to stdout; nothing else is ever written there. The first line each way is `hello` with the protocol's version;
 * an engine that is greeted with another version ends. Each request but `hello` has an `id` and gets exactly one of
 * `done`, `identity`, `identities`, `address` or `failed` with that id, in any order. `state`, `peers`, `log` and `save` come unasked.
 * Secrets travel in `start`, `proxy` and `save` alone, bytes as base64. Numbers that may pass 2^53 (user ids) are strings. The end of stdin ends the engine.
 */
import * as z from 'zod';
import type { Identity } from './peer.ts';

export const PROTOCOL_VERSION = 8;
/** A Secret's worth of state in base64, and the rest of `start`. */
export const MAX_LINE = 2 << 20;

/**
 * Joins the tailnet; once in an engine's life. Answered when the client runs, not when it has joined: `state` messages
 * tell that.
 */
export interface StartRequest {
  readonly type: 'start';
  readonly hostname: string;
  readonly stateDir: string;
  /** Empty: Tailscale's own. */
  readonly controlUrl: string;
  /** At most one way to join, the others empty; none for a node that has joined, or that a person will approve. */
  readonly authKey: string;
  /** OAuth client secret, its attributes after a `?`. */
  readonly clientSecret: string;
  /** Workload identity, its attributes after a `?`. */
  readonly clientId: string;
  readonly idToken: string;
  /** Why there is no credential to give though one is configured; empty: there is one, or none is configured. Matters to a node alone that has not joined. */
  readonly noCredential: string;
  /**
   * Null: state is kept in stateDir. Otherwise all of it by key; each change is told by `save`, and stateDir is for what may
   * be lost, which the engine removes when Node is gone.
   */
  readonly state: Readonly<Record<string, string>> | null;
  readonly ephemeral: boolean;
  readonly tags: readonly string[];
  readonly capabilities: readonly string[];
  /** Where accepted connections are handed over. */
  readonly socketPath: string;
  /** Goes into each preamble. */
  readonly nonce: string;
  /** Addresses that a former engine served of late: the new one makes itself known to them. */
  readonly callers: readonly string[];
  /** Connections that ended with a former engine, which the new one ends for their callers. */
  readonly lost: readonly LostConnection[];
}

export interface LostConnection {
  readonly source: z.infer<typeof endpoint>;
  readonly destination: z.infer<typeof endpoint>;
}

export interface ListenRequest {
  readonly type: 'listen';
  /** Chosen by Node, names the listener in preambles. */
  readonly listener: string;
  readonly port: number;
  readonly tls: boolean;
  /** Requests are asked about, one by one, over a channel of their own (decisions-protocol.ts). */
  readonly decide: boolean;
}

/** Closes a listener; the connections it accepted go on. */
export interface UnlistenRequest {
  readonly type: 'unlisten';
  readonly listener: string;
}

export interface WhoIsRequest {
  readonly type: 'whoIs';
  /** `ip` or `ip:port`. */
  readonly address: string;
}

/** Who several nodes are now, by stable node ID; at most 200 at once. Answered by `identities`, in the order asked. */
export interface IdentifyRequest {
  readonly type: 'identify';
  readonly nodes: readonly string[];
}

/** Answered as whoIs is. */
export interface FindPeerRequest {
  readonly type: 'findPeer';
  /** MagicDNS name, short or full, or `ip`. */
  readonly name: string;
}

/** Serves an HTTP proxy into the tailnet on loopback, for the rest of the engine's life; once in it. */
export interface ProxyRequest {
  readonly type: 'proxy';
  /** 0: any. */
  readonly port: number;
  readonly user: string;
  readonly password: string;
}

/** Says what became of a `save`. With a problem Node goes on trying, and says so again once it is saved. */
export interface SavedRequest {
  readonly type: 'saved';
  readonly save: number;
  /** Empty: it is saved. */
  readonly problem: string;
}

export interface PingRequest {
  readonly type: 'ping';
}

/** Closes everything, logs an ephemeral node out, answers, and ends the engine. */
export interface StopRequest {
  readonly type: 'stop';
}

export type EngineRequest =
  | StartRequest
  | ListenRequest
  | UnlistenRequest
  | WhoIsRequest
  | IdentifyRequest
  | FindPeerRequest
  | ProxyRequest
  | SavedRequest
  | PingRequest
  | StopRequest;

const id = z.number().int().positive();

/** An unknown one has a refusal and nothing else. */
export const identity = z.object({
  nodeId: z.string(),
  nodeKey: z.string(),
  nodeName: z.string(),
  user: z.object({ id: z.string(), loginName: z.string(), displayName: z.string() }).exactOptional(),
  tags: z.array(z.string()),
  refusal: z.enum(['unknown', 'funnel', 'shared-in', 'expired', 'foreign-address', 'router']).exactOptional(),
  capabilities: z.record(z.string(), z.array(z.string())),
}) satisfies z.ZodType<Identity>;

const hello = z.object({ type: z.literal('hello'), version: z.number().int() });
const done = z.object({ type: z.literal('done'), id });
const identityAnswer = z.object({ type: z.literal('identity'), id, identity });
const identitiesAnswer = z.object({ type: z.literal('identities'), id, identities: z.array(identity) });
/** Answers proxy. */
const addressAnswer = z.object({ type: z.literal('address'), id, address: z.string() });
const failed = z.object({
  type: z.literal('failed'),
  id,
  code: z.enum(['BadRequest', 'NotStarted', 'StartFailed', 'StateDamaged', 'NoCredential', 'ListenFailed']),
  message: z.string(),
});
/** The whole state each time, not a difference. */
const state = z.object({
  type: z.literal('state'),
  status: z.enum(['Starting', 'NeedsLogin', 'Running', 'Failed']),
  ready: z.boolean(),
  authUrl: z.string().exactOptional(),
  reason: z.string().exactOptional(),
  addresses: z.array(z.string()),
  dnsName: z.string(),
  stableNodeId: z.string(),
  certDomains: z.array(z.string()),
  caPem: z.string().exactOptional(),
  keyExpiry: z.string().exactOptional(),
  controlHeard: z.string().exactOptional(),
  controlAway: z.string().exactOptional(),
  certExpiry: z.string().exactOptional(),
  health: z.array(z.string()),
  unsaved: z.string().exactOptional(),
});
/** Hints that an identity may have changed. */
const peers = z.object({ type: z.literal('peers') });
/** One change of a state that Node keeps; null: there is no value any more. Later changes of a key win. */
const save = z.object({
  type: z.literal('save'),
  save: id,
  key: z.string(),
  value: z.base64().nullable(),
});
const log = z.object({
  type: z.literal('log'),
  level: z.enum(['debug', 'info', 'warn', 'error']),
  message: z.string(),
});

export const engineMessage = z.discriminatedUnion('type', [
  hello,
  done,
  identityAnswer,
  identitiesAnswer,
  addressAnswer,
  failed,
  state,
  peers,
  log,
  save,
]);

export const endpoint = z.object({ address: z.string(), port: z.number().int().min(0).max(65535) });

/**
 * Comes before a connection's own bytes on the unix socket: four bytes of length, big endian, then this as JSON.
 */
export const preambleMessage = z.object({
  nonce: z.string(),
  listener: z.string(),
  source: endpoint,
  destination: endpoint,
  tls: z.boolean(),
  identity,
});

/** The same, before a decision channel's lines. */
export const decisionsPreamble = z.object({ nonce: z.string(), listener: z.string(), decisions: z.literal(true) });

export type EngineMessage = z.infer<typeof engineMessage>;
export type EngineAnswer =
  | z.infer<typeof done>
  | z.infer<typeof identityAnswer>
  | z.infer<typeof identitiesAnswer>
  | z.infer<typeof addressAnswer>;
export type EngineEvent = z.infer<typeof state> | z.infer<typeof peers> | z.infer<typeof log> | z.infer<typeof save>;
export type Preamble = z.infer<typeof preambleMessage>;
export type DecisionsPreamble = z.infer<typeof decisionsPreamble>;
