/**
 * Everything node/http needs, as one object that serve.ts fills. Errors that a caller should see are ApiErrors; any other is treated as a
 * bug.
 */
import type { Socket } from 'node:net';
import type { Logger } from 'pino';
import type { ClusterInfo, Mode, Replica } from './contract.ts';
import type { Rule } from './grants.ts';
import type { Connection } from './identity.ts';
import type { LoginLimiter } from './limits.ts';

/** One session as its owner sees it. */
export interface SessionView {
  readonly name: string;
  readonly username: string;
  readonly role: string;
  readonly namespaces?: readonly string[];
  /** RFC 3339. */
  readonly until: string;
  readonly ready: boolean;
  /** Why it cannot become ready until something changes: a missing role, for example. */
  readonly problem?: string;
}

export interface SignIn {
  readonly subject: string;
  readonly username: string;
  /** Stable node ID. */
  readonly node: string;
  readonly rule: Rule;
  readonly periodMs: number;
}

/** The sessions of callers. Calls with a subject never reach another subject's sessions; `usable`, `end` and `token` take a name. */
export interface Sessions {
  /** Stores the session; provisioning continues in the background. */
  signIn(request: SignIn, signal: AbortSignal): Promise<SessionView>;
  /** Live ones, newest first. */
  list(subject: string): readonly SessionView[];
  /** Resolves when the session's credential works; rejects with the reason if it never will. */
  usable(name: string, signal: AbortSignal): Promise<SessionView>;
  /** Resolves when the session's access is removed. */
  end(name: string, reason: string, signal: AbortSignal): Promise<void>;
  token(name: string, signal: AbortSignal): Promise<{ readonly token: string; readonly expiresAt: Date }>;
  /** The session's token for the proxy; throws where no session has that name. */
  proxyToken(name: string): string;
}

export interface HttpMetrics {
  login(result: 'accepted' | 'refused' | 'failed', reason: string): void;
  loginStage(stage: 'stored' | 'usable', seconds: number): void;
  headerRejected(kind: 'host' | 'origin' | 'target'): void;
}

export interface TracedCall {
  readonly method: string;
  /** Absent for an unknown path. */
  readonly route: string | undefined;
  /** The caller's header, not parsed. */
  readonly traceparent: string;
}

export interface HttpTrace {
  /** Runs a request; `answered` is called at its end. */
  request(
    call: TracedCall,
    work: () => Promise<void>,
    answered: () => { readonly status: number; readonly requestId: string },
  ): Promise<void>;
  /** Runs a step of the request under way. */
  step<T>(
    name: 'grant',
    work: () => T | Promise<T>,
    attributesOf: (result: T) => Readonly<Record<string, string | number>>,
  ): Promise<T>;
}

/** Why no session is opened or extended now; open sessions continue. */
export interface LoginHold {
  readonly code: 'control_unreachable' | 'installation_damaged';
  readonly message: string;
  readonly advice: string;
}

export interface HttpDeps {
  /** Undefined for a socket that did not come from the tailnet. */
  connectionOf(socket: Socket): Connection | undefined;
  /** Names and addresses that this server may be called by, lower case, without ports. */
  ownNames(): readonly string[];
  readonly sessions: Sessions;
  readonly limiter: LoginLimiter;
  /** Undefined while logins are served. */
  loginHold(): LoginHold | undefined;
  /** Undefined where the API server's address is unknown. */
  clusterInfo(): ClusterInfo | undefined;
  /** How kubectl reaches the proxy, at the root or below `/k8s`; undefined before the node has a name on the tailnet. */
  proxyInfo(place: 'root' | 'prefix'): ClusterInfo | undefined;
  /** All servers of this installation; empty where this is the only one. */
  replicas(): readonly Replica[];
  /** PEM of tka's own CA where port 443 is served with it. */
  ownCa(): string | undefined;
  readonly settings: HttpSettings;
  readonly metrics: HttpMetrics;
  readonly trace: HttpTrace;
  readonly log: Logger;
  now(): Date;
  newRequestId(): string;
}

export interface HttpSettings {
  readonly version: string;
  readonly clusterName: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly contextPrefix: string;
  readonly userPrefix: string;
  /** Name of the control server, the first part of every subject. */
  readonly controlHost: string;
  /** Name of the capability that holds the rules. */
  readonly capability: string;
  /** The namespaces tka itself lives in. */
  readonly ownNamespaces: readonly string[];
  readonly modes: readonly Mode[];
  readonly retryAfterSeconds: number;
  /** How long a logout waits for the access to be gone. */
  readonly logoutTimeoutMs: number;
  /** How long a kubeconfig call waits for a session that is about to be usable. */
  readonly readyGraceMs: number;
}
