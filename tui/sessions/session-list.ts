/**
 * The caller's sessions at a server together with the contexts of this machine that use them, ready to be shown: a context
 * whose session is gone is listed as ended.
 */
import type { Session } from '../../node/http/contract.ts';
import { readCredential } from '../credential/cache.ts';
import type { OwnContext } from '../kubeconfig/entries.ts';
import { printable } from '../terminal/output.ts';
import type { SessionData } from './session-data.ts';
import type { Runtime } from '../runtime.ts';
import { type SameServer, sameServers } from '../trust/same-server.ts';

export type SessionRow = Omit<SessionData, 'server'>;

export interface SessionSources {
  readonly server: string;
  /** Undefined: the server was not asked, or did not answer. */
  readonly sessions: readonly Session[] | undefined;
  /** Of any server. */
  readonly contexts: readonly OwnContext[];
  /** Default: by what is pinned. */
  readonly isSame?: SameServer | undefined;
  /** How far the server's clock is ahead of ours. */
  readonly skewMs?: number;
}

/** Those that the server knows first, newest first. */
export function listSessions(
  { env, now }: Pick<Runtime, 'env' | 'now'>,
  { server, sessions, contexts, isSame = sameServers(env), skewMs = 0 }: SessionSources,
): readonly SessionRow[] {
  const local = contexts.filter((context) => isSame(context.server, server));
  const serverNow = now().getTime() + skewMs;
  const known = (sessions ?? []).map((session) => {
    const mine = local.filter((context) => context.session === session.session);
    return { ...readSession(session), ...inContexts(mine), ...ending(session.until, serverNow) };
  });
  const gone = local.filter((context) => !sessions?.some(({ session }) => session === context.session));
  const onlyHere = gone.map((context) => {
    const { session } = context;
    const until = readCredential(env, context)?.until;
    const state = sessions === undefined ? ('unknown' as const) : ('ended' as const);
    return { session, state, ...inContexts([context]), ...ending(until, serverNow) };
  });
  return [...known, ...onlyHere];
}

function readSession({ session, username, role, namespaces, ready }: Session) {
  return {
    session: printable(session, 63),
    state: ready ? ('ready' as const) : ('provisioning' as const),
    username: printable(username, 200),
    role: printable(role, 200),
    ...(namespaces === undefined ? {} : { namespaces: namespaces.map((name) => printable(name, 63)) }),
  };
}

function inContexts(own: readonly OwnContext[]): Pick<SessionRow, 'contexts' | 'current'> {
  return { contexts: own.map(({ context }) => context), current: own.some(({ current }) => current) };
}

function ending(until: string | undefined, serverNow: number): Pick<SessionRow, 'until' | 'remainingSeconds'> {
  const end = Date.parse(until ?? '');
  if (Number.isNaN(end)) return {};
  const remainingSeconds = Math.max(0, Math.floor((end - serverNow) / 1000));
  return { until: new Date(end).toISOString(), remainingSeconds };
}
