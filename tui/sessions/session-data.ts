/**
 * A session as `-o json` and `-o yaml` have it, the same for every command; docs/schemas/session.json describes it. These names
 * stay.
 */
export interface SessionData {
  readonly server: string;
  readonly session: string;
  readonly state: 'ready' | 'provisioning' | 'ended' | 'unknown';
  readonly username?: string;
  readonly role?: string;
  /** Absent: the whole cluster. */
  readonly namespaces?: readonly string[];
  /** RFC 3339, by the server's clock. */
  readonly until?: string;
  readonly remainingSeconds?: number;
  /** Of this machine's kubeconfig. */
  readonly contexts: readonly string[];
  /** One of them is the current one. */
  readonly current: boolean;
}

/** A session that was opened or renewed. Texts are printable. */
export interface LiveSession {
  readonly server: string;
  readonly session: string;
  readonly username: string;
  readonly role: string;
  /** Absent: the whole cluster. */
  readonly namespaces?: readonly string[];
  /** By the server's clock. */
  readonly until: Date;
  /** How far the server's clock is ahead of this machine's; 0 within a minute. */
  readonly skewMs?: number;
  /** What the server calls its cluster, `[a-z0-9.-]{1,63}`. */
  readonly cluster: string;
}

/** Of a session that has just been opened or renewed. */
export function liveSessionData(
  { server, session, username, role, namespaces, until, skewMs = 0 }: Omit<LiveSession, 'cluster'>,
  { contexts, current, now }: Pick<SessionData, 'contexts' | 'current'> & { readonly now: Date },
): SessionData {
  return {
    server,
    session,
    state: 'ready',
    username,
    role,
    ...(namespaces === undefined ? {} : { namespaces }),
    until: until.toISOString(),
    remainingSeconds: Math.max(0, Math.floor((until.getTime() - skewMs - now.getTime()) / 1000)),
    contexts,
    current,
  };
}
