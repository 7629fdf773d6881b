/**
 * The reconciler's contract with the rest of the program: types, and a trace that does nothing; `index.ts` starts one.
 */
import type { TkaSignin, TkaSigninSpec } from '../crd/tkasignin.ts';

/** What a login asks for. `endsAt` is the session's end; everything else identifies the session. */
export interface SignInRequest extends Omit<TkaSigninSpec, 'expiresAt'> {
  readonly endsAt: Date;
  /** Stable node ID of the node that logs in. */
  readonly node: string;
}

/** A token of the session's ServiceAccount. One that is handed out never outlives the session. */
export interface SessionToken {
  readonly token: string;
  readonly expiresAt: Date;
}

export interface Reconciler {
  /**
   * Creates the session's TkaSignin, or moves the end of the one that is there, and enqueues it. Resolves as soon as
   * the API server has stored it; provisioning continues in the background. Concurrent calls for one session share one write.
   * A session whose end would become earlier is replaced by another of the same name, because its tokens, valid until the
   * later end, die only with its account.
   * Rejects with SessionEndingError while a session of the same name is being revoked, ApiUnavailableError while the API server is unreachable.
   */
  signIn(request: SignInRequest, signal: AbortSignal): Promise<TkaSignin>;
  /**
   * Resolves when the session's credential works, seen by asking the API server with it. Rejects with SessionFailedError
   * (its message says what is missing), SessionEndingError or SessionNotFoundError where it never will.
   */
  usable(name: string, signal: AbortSignal): Promise<TkaSignin>;
  /** From the informer's cache. */
  get(name: string): TkaSignin | undefined;
  /** From the informer's cache; sessions being revoked included. */
  list(): readonly TkaSignin[];
  /**
   * Resolves when the ServiceAccount and the bindings are gone; a session that is not there resolves too. Any reason but
   * `logout` and `expired` is a revocation and gets an Event.
   */
  end(name: string, reason: string, signal: AbortSignal): Promise<void>;
  /**
   * A token that is good until the session's end, minted if the one in memory does not reach it; one mint at a time.
   * Rejects with SessionEndingError where less than 600 s are left, SessionNotReadyError before it is provisioned.
   */
  token(name: string, signal: AbortSignal): Promise<SessionToken>;
  /**
   * The same for tka's own use, never handed out: it may outlive the session, so that the last minutes have one too. Waits
   * at most `withinMs` for a TokenRequest, then rejects with a TimeoutError.
   */
  keptToken(name: string, withinMs: number): Promise<SessionToken>;
  /** The API server did not accept this token of the session: the next call requests another. */
  tokenRefused(name: string, token: string): void;
  /** Whether the session can be used as far as this process knows: it is provisioned, and none of its objects is known to be missing. */
  isReady(signin: TkaSignin): boolean;
  /** Whether the ClusterRole exists, cached for 10 s. Rejects with ForbiddenError where tka may not bind it. */
  roleExists(role: string, signal: AbortSignal): Promise<boolean>;
  /** Whether the namespace exists, cached for 10 s. */
  namespaceExists(namespace: string, signal: AbortSignal): Promise<boolean>;
  readonly state: ReconcilerState;
  stop(): Promise<void>;
}

export interface ReconcilerState {
  /** The first list is in the cache. */
  readonly synced: boolean;
  /** Milliseconds since the epoch; undefined before the first. */
  readonly lastListAt: number | undefined;
  readonly lastWatchEventAt: number | undefined;
  /** What is missing of the installation, so that sessions cannot be listed; undefined otherwise. */
  readonly problem: string | undefined;
  readonly queueDepth: number;
  /** Names of TkaSignins in the namespace of another schema, which are ignored. */
  readonly foreign: readonly string[];
  /** Whether this replica is the one that provisions, removes and sweeps. */
  readonly isLeading: boolean;
  /** What the replicas publish about themselves (`Replicas.card`), by key; empty with a single replica. */
  readonly cards: Readonly<Record<string, string>>;
  /** When the next session ends, in milliseconds since the epoch. */
  readonly nextEndAt: number | undefined;
}

/** Names of what the reconciler counts; node/observability/metrics/ gives them their Prometheus form. */
export interface ReconcilerObserver {
  sessionEnded(reason: string, lagSeconds: number): void;
  orphanRemoved(kind: string): void;
  cleanupStuck(name: string, stuck: boolean): void;
  /** Number of bindings of sessions' accounts that tka did not make, after each sweep that counted them. */
  foreignBindings(count: number): void;
  tokenMinted(seconds: number): void;
  retried(): void;
}

/** Makes traces of the reconciler's work; node/observability/tracing/ gives them their form. */
export interface ReconcilerTrace {
  /** Runs a step of the current trace. */
  step<T>(name: 'store' | 'usable' | 'token', work: () => Promise<T>): Promise<T>;
  /** Passes over the session belong to the current trace from now on, until one has succeeded. */
  follow(session: string): void;
  pass<T>(session: string, work: () => Promise<T>): Promise<T>;
}

export const noTrace: ReconcilerTrace = {
  step: (_name, work) => work(),
  follow: () => {},
  pass: (_session, work) => work(),
};
