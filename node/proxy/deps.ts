/** Everything the proxy needs, as one object that cluster-proxy.ts fills. */
import type { TailnetConnection } from '../tsnet/peer.ts';
import type { Audited, AuditLog } from './audit.ts';
import type { ProxyCaller, ProxySession } from './decision.ts';
import type { HeaderReject } from './headers.ts';
import type { Recorder, RecordingFailure } from './recording.ts';
import type { SessionKeys } from './session-key.ts';
import type { Upstream } from './upstream.ts';

/** As much of a request as says where it was meant to go, and where it comes from. */
export interface RequestHead {
  readonly url: string | undefined;
  readonly rawHeaders: readonly string[];
}

export interface ProxyDeps {
  /** Who is at the other end of a connection; rejects with an error that has a `status` and says by `expose` what may be told. */
  caller(connection: TailnetConnection): Promise<ProxyCaller>;
  /** Throws where a request is not meant for this server, or comes from a foreign web page. */
  refuseForeignRequest(request: RequestHead): void;
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
    readonly by: Audited['by'];
  }): void;
  streams(open: number): void;
  /** Something could not be recorded, or not to its end. */
  recordingFailed(reason: RecordingFailure): void;
  bytes(direction: 'in' | 'out', count: number): void;
}
