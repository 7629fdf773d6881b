/**
 * What the rest of a program sees of the reconciler. Types alone; `index.ts` starts one.
 */
import type { TkaSignin, TkaSigninSpec } from '../crd/tkasignin.ts';

/** What a login asks for. `endsAt` is the session's end; everything else identifies the session. */
export interface SignInRequest extends Omit<TkaSigninSpec, 'expiresAt'> {
  readonly endsAt: Date;
  /** Stable node ID of the node that logs in. */
  readonly node: string;
}

/** A token of the session's ServiceAccount. It never outlives the session. */
export interface SessionToken {
  readonly token: string;
  readonly expiresAt: Date;
}

export interface Reconciler {
  /**
   * Creates the session's TkaSignin, or moves the end of the one that is there, and enqueues it. Resolves as soon as
   * the API server has stored it: provisioning goes on behind. Calls for one session at once share one write.
   * Rejects with SessionEndingError while a namesake is being revoked, ApiUnavailableError while the API server is away.
   */
  signIn(request: SignInRequest, signal: AbortSignal): Promise<TkaSignin>;
  /** Resolves when the session's credential works, seen by asking the API server with it; rejects with the reason if it never will. */
  usable(name: string, signal: AbortSignal): Promise<TkaSignin>;
  /** From the informer's cache. */
  get(name: string): TkaSignin | undefined;
  /** From the informer's cache; sessions being revoked included. */
  list(): readonly TkaSignin[];
  /** Resolves when the ServiceAccount and the bindings are gone; a session that is not there resolves too. */
  end(name: string, reason: string, signal: AbortSignal): Promise<void>;
  /**
   * A token that is good until the session's end, minted if the one in memory does not reach it; one mint at a time.
   * Rejects with SessionEndingError where less than 600 s are left, SessionNotReadyError before it is provisioned.
   */
  token(name: string, signal: AbortSignal): Promise<SessionToken>;
  readonly state: ReconcilerState;
  stop(): Promise<void>;
}

export interface ReconcilerState {
  /** The first list is in the cache. */
  readonly synced: boolean;
  /** Milliseconds since the epoch; undefined before the first. */
  readonly lastListAt: number | undefined;
  readonly lastWatchEventAt: number | undefined;
  readonly queueDepth: number;
}

/** Names of what the reconciler counts; node/metrics.ts gives them their Prometheus form. */
export interface ReconcilerObserver {
  sessionEnded(reason: string, lagSeconds: number): void;
  orphanRemoved(kind: string): void;
  cleanupStuck(name: string, stuck: boolean): void;
  tokenMinted(seconds: number): void;
  retried(): void;
}
