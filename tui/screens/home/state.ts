/**
 * What the home screen knows, and what can be read off it. Plain values: model.ts says how they change, home.tsx draws
 * them, hooks carry out what they ask for. All texts are printable already.
 */
import type { GrantedRule } from '../../../node/http/contract.ts';
import type { Cluster } from '../../discovery/index.ts';
import type { SessionRow as ListedSession } from '../../sessions/session-list.ts';

/** A session, as the access to a cluster lists it. */
export interface HomeSession extends Pick<
  ListedSession,
  'session' | 'state' | 'contexts' | 'current' | 'role' | 'namespaces'
> {
  /** By this machine's clock, in ms. */
  readonly endsAt?: number;
  /** How long it was opened for, else how long the policy lets such a session last: a full bar. */
  readonly periodMs?: number;
}

/** Something went wrong: what, and what to do about it. */
export interface Problem {
  readonly message: string;
  readonly advice: readonly string[];
  /** The contract's word, where the server refused. */
  readonly code?: string;
}

/** What the caller has at one cluster. */
export type Access =
  | { readonly state: 'asking' }
  | {
      readonly state: 'known';
      readonly username: string;
      /** Best first. */
      readonly rules: readonly GrantedRule[];
      /** What the policy says that could not be honoured, each with its reason. */
      readonly dropped: readonly string[];
      readonly sessions: readonly HomeSession[];
    }
  | ({
      readonly state: 'refused' | 'failed';
      /** What it was before, which it still may be: a server that is away ends no session. */
      readonly before?: KnownAccess;
    } & Problem);

export type KnownAccess = Extract<Access, { readonly state: 'known' }>;

export interface About {
  readonly server: string;
  readonly session: string;
  /** The server has listed it since. */
  readonly isListed: boolean;
}

/** A line that stays until a key. */
export interface Notice {
  readonly tone: 'ok' | 'warning' | 'danger';
  readonly text: string;
  readonly advice: readonly string[];
  /** The session that it is about: it goes when the session does. */
  readonly about?: About;
}

export interface SessionRequest {
  readonly role?: string;
  readonly period?: string;
}

/** What is being done; one at a time. A new id means: begin. */
export interface Action {
  readonly id: number;
  readonly kind: 'login' | 'renew' | 'logout' | 'shell' | 'use';
  readonly cluster: Cluster;
  readonly session?: string;
  readonly request: SessionRequest;
  /** It was asked to stop, and has not yet. */
  readonly stopping: boolean;
}

export type View =
  | { readonly name: 'list' | 'filter' | 'help' }
  /** What is picked is logged in with, or opens a shell. */
  | { readonly name: 'picker'; readonly server: string; readonly opens?: 'shell' }
  /** A second key is waited for. */
  | { readonly name: 'confirm'; readonly server: string; readonly session: string };

export interface HomeState {
  readonly view: View;
  readonly searching: boolean;
  /** Counts the searches asked for; a new number means: search. */
  readonly searches: number;
  /** Why the tailnet could not be asked. */
  readonly problem?: Problem;
  readonly clusters: readonly Cluster[];
  /** By server. */
  readonly access: Readonly<Record<string, Access>>;
  /** By server, how often its access was asked for; another number means: read it. */
  readonly wanted: Readonly<Record<string, number>>;
  /** A row's key; undefined: the first, whichever that is. */
  readonly selected: string | undefined;
  /** Where the selected row was when it was last seen. */
  readonly position: number;
  readonly filter: string;
  readonly action?: Action;
  readonly notice?: Notice;
  /** To be put on the clipboard; a new id means: now. */
  readonly copied?: { readonly id: number; readonly text: string };
  readonly quitting: boolean;
  /** By Ctrl-C, which is an exit code of its own. */
  readonly isInterrupted?: true;
  readonly nextId: number;
}

export const initialState: HomeState = {
  view: { name: 'list' },
  searching: true,
  searches: 1,
  clusters: [],
  access: {},
  wanted: {},
  selected: undefined,
  position: 0,
  filter: '',
  quitting: false,
  nextId: 1,
};

export type Row = ClusterRow | SessionRow;
export interface ClusterRow {
  readonly kind: 'cluster';
  readonly key: string;
  readonly cluster: Cluster;
  /** Undefined until it was asked for. */
  readonly access: Access | undefined;
}
export interface SessionRow {
  readonly kind: 'session';
  readonly key: string;
  readonly cluster: Cluster;
  readonly session: HomeSession;
  /** The server does not answer: this is what it said last, or what this machine knows. */
  readonly isStale: boolean;
}

/** Each cluster that passes the filter, with its sessions below it. */
export function rowsOf({
  clusters,
  access,
  filter,
}: Pick<HomeState, 'clusters' | 'access' | 'filter'>): readonly Row[] {
  return clusters
    .filter((cluster) => passes(cluster, filter))
    .flatMap((cluster): Row[] => {
      const { server } = cluster;
      const here = access[server];
      return [
        { kind: 'cluster', key: server, cluster, access: here },
        ...sessionsOf(here).map((session): Row => ({
          kind: 'session',
          key: `${server} ${session.session}`,
          cluster,
          session,
          isStale: cluster.answer.state === 'away' || here?.state === 'failed',
        })),
      ];
    });
}

/** -1 where there are no rows. A selected row that has gone leaves its place selected. */
export function selectedIndex(
  rows: readonly Row[],
  { selected, position }: Pick<HomeState, 'selected' | 'position'>,
): number {
  if (selected === undefined) return rows.length > 0 ? 0 : -1;
  const index = rows.findIndex(({ key }) => key === selected);
  return index === -1 ? Math.min(position, rows.length - 1) : index;
}

export function selectedRow(state: HomeState): Row | undefined {
  const rows = rowsOf(state);
  return rows[selectedIndex(rows, state)];
}

/** As they were when the server last said; none where it never did, or refuses to. */
export function sessionsOf(access: Access | undefined): readonly HomeSession[] {
  return knownOf(access)?.sessions ?? [];
}

export function knownOf(access: Access | undefined): KnownAccess | undefined {
  if (access?.state === 'failed') return access.before;
  return access?.state === 'known' ? access : undefined;
}

export function isLive(session: HomeSession): boolean {
  return session.state === 'ready' || session.state === 'provisioning';
}

/** Undefined once the session that it is about has ended. */
export function liveNotice({ notice, access }: Pick<HomeState, 'notice' | 'access'>, now: number): Notice | undefined {
  if (notice?.about === undefined) return notice;
  const { server, session } = notice.about;
  const known = knownOf(access[server]);
  // Not asked yet since it began.
  if (known === undefined) return notice;
  const endsAt = known.sessions.find((candidate) => candidate.session === session)?.endsAt;
  return endsAt !== undefined && endsAt <= now ? undefined : notice;
}

function passes({ name, server }: Cluster, filter: string): boolean {
  const wanted = filter.trim().toLowerCase();
  return name.toLowerCase().includes(wanted) || server.toLowerCase().includes(wanted);
}
