/**
 * What the rest of a program sees of a tailnet node. Types alone; `index.ts` makes one.
 */
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Decider } from './decider.ts';
import type { Identity, TailnetConnection } from './peer.ts';

export interface NodeOptions {
  /** The name asked for on the tailnet; the control server may add a suffix. */
  readonly hostname: string;
  /** Directory of the node's keys and certificates; made with mode 0700 if absent. Needed unless `state` is given. */
  readonly stateDir?: string;
  /** Keeps the node's keys and certificates in place of the directory. */
  readonly state?: StateStore;
  /** Base URL of the control server; absent: Tailscale's own. */
  readonly controlUrl?: string;
  /** Needed only to join; a node with state joins again without. A function is asked before each start of an engine; where it rejects, only a node that has not joined fails, with that message. */
  readonly join?: JoinCredential | (() => Promise<JoinCredential>);
  readonly ephemeral?: boolean;
  /** Tags to advertise, each as `tag:name`. */
  readonly tags?: readonly string[];
  /** Names of the capabilities whose grants WhoIs answers carry. */
  readonly capabilities: readonly string[];
  /** The engine's binary; absent: found by engine-path.ts. */
  readonly enginePath?: string;
  /** Extra root certificates (a PEM file) for the control server, as SSL_CERT_FILE. */
  readonly caFile?: string;
  /** Send the client's own logs to Tailscale. Default false. */
  readonly uploadLogs?: boolean;
  /** Engine log lines, free of secrets. */
  readonly log?: (level: 'debug' | 'info' | 'warn' | 'error', message: string) => void;
}

/**
 * One way to join, the rest left out or empty; nothing at all lets a person approve the node. Travels over the control pipe alone.
 * What an auth key is made from (a client's secret, a workload's identity) needs `tags`, and may have attributes after a `?` as
 * Tailscale's client takes them: `ephemeral`, `preauthorized`, and with a secret `baseURL`.
 */
export interface JoinCredential {
  readonly authKey?: string;
  /** Of an OAuth client that may make auth keys: `tskey-client-…`. */
  readonly clientSecret?: string;
  /** Of a federated identity, with the token that its issuer signed. */
  readonly clientId?: string;
  readonly idToken?: string;
}

/** Every value is a secret. */
export interface StateStore {
  /** For messages, such as `Secret tka-system/tka-0-state`. */
  readonly name: string;
  /** All there is, by key. Asked before each start of an engine, which is not started when this rejects. */
  read(): Promise<ReadonlyMap<string, Buffer>>;
  /**
   * Resolves when it is kept for good; undefined: there is no value any more. Called in the order of the changes, the next
   * before the former is kept. `onTrouble` hears why it is not kept yet while it is tried again; rejects where it never will be.
   */
  write(key: string, value: Buffer | undefined, onTrouble: (problem: string) => void): Promise<void>;
}

export interface NodeState {
  readonly status: 'Starting' | 'NeedsLogin' | 'Running' | 'Restarting' | 'Failed' | 'Stopped';
  /** Running with a netmap that has this node's peers: WhoIs answers can be believed. */
  readonly ready: boolean;
  /** Where a person can approve this node; only with NeedsLogin. */
  readonly authUrl?: string;
  /** Why it is NeedsLogin, Restarting or Failed, in words for an operator. */
  readonly reason?: string;
  readonly addresses: readonly string[];
  /** Full MagicDNS name without the trailing dot; empty before Running. */
  readonly dnsName: string;
  readonly stableNodeId: string;
  /** Names the tailnet issues certificates for; empty: TLS uses the node's own CA. */
  readonly certDomains: readonly string[];
  /** PEM of the node's own CA; absent while certDomains is not empty. */
  readonly caPem?: string;
  /** RFC 3339; absent: the key does not expire. */
  readonly keyExpiry?: string;
  /** RFC 3339, to the minute or so: when the control server last said anything; absent before it did. */
  readonly controlHeard?: string;
  /** RFC 3339: when contact with the control server was lost, so that nothing it says reaches this node; absent while there is contact. */
  readonly controlAway?: string;
  /** RFC 3339: the end of the certificate that TLS listeners serve; absent before there is one. */
  readonly certExpiry?: string;
  readonly health: readonly string[];
  /** Why something of the node's own state is not saved; absent: it is. */
  readonly unsaved?: string;
  /** Times the engine was started again. */
  readonly restarts: number;
}

export interface TailnetListener {
  readonly port: number;
  /** Hands every connection of this listener to the server, as if it had accepted it. */
  attach(server: Server): void;
  close(): Promise<void>;
}

export interface TailnetProxy {
  /** `http://user:password@127.0.0.1:port`: a secret, because loopback is open to everybody on the machine. */
  readonly url: string;
}

export interface TailnetNode {
  readonly state: NodeState;
  /** Resolves once ready; rejects when it has failed for good (bad key, bad control URL) or the signal aborts. */
  whenReady(signal?: AbortSignal): Promise<void>;
  /**
   * Ports survive an engine restart. With a decider, plain requests are forwarded by the engine, each as it is decided here, and
   * only connections with something else to say come to the attached server, from that on.
   */
  listen(port: number, options: { readonly tls: boolean; readonly decider?: Decider }): Promise<TailnetListener>;
  /** `address` is `ip` or `ip:port`. Rejects with EngineGoneError, or answers with refusal `unknown`. */
  whoIs(address: string, signal?: AbortSignal): Promise<Identity>;
  /**
   * Who the nodes are now, by stable node ID, in one question to the engine; one that is no peer has the refusal `unknown`. The
   * address that is judged is each node's own. Rejects with EngineGoneError, also before the node is ready.
   */
  identify(nodeIds: readonly string[], signal?: AbortSignal): Promise<ReadonlyMap<string, Identity>>;
  /** The peer that has the MagicDNS name, short or full, or the address; refusal `unknown` where none has. As `whoIs` else. */
  findPeer(name: string, signal?: AbortSignal): Promise<Identity>;
  /**
   * Serves an HTTP proxy into the tailnet on loopback, for programs that know nothing of it; the same one each time. It lasts
   * as long as the node, through engine restarts, on one port. Rejects where no port can be had.
   */
  proxy(signal?: AbortSignal): Promise<TailnetProxy>;
  /** Undefined for a socket that did not come through this node. */
  connectionOf(socket: Socket): TailnetConnection | undefined;
  on(event: 'state', listener: (state: NodeState) => void): void;
  /** Something about the peers may have changed: a hint, not a guarantee. */
  on(event: 'peers', listener: () => void): void;
  off(event: 'state' | 'peers', listener: (...args: never[]) => void): void;
  /** Leaves listeners, engine and socket directory closed. An ephemeral node is logged out. */
  close(): Promise<void>;
}
