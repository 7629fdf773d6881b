/**
 * How the home screen changes: state and event → state. Pure: what is to be done in the world is itself a part of the state
 * (an action, a search, a text to copy), which hooks carry out and report back about.
 */
import type { Cluster } from '../../discovery/index.ts';
import { begin, more, quit, stop, without } from './changes.ts';
import { paste, pressKey } from './keys.ts';
import {
  type Access,
  type Action,
  type HomeState,
  type KnownAccess,
  knownOf,
  type Notice,
  type Problem,
  rowsOf,
  selectedIndex,
  type View,
  type SessionRequest,
} from './state.ts';

export type HomeEvent =
  /** A character, or the name of a key (hooks/use-keys.ts). */
  | { readonly type: 'key'; readonly key: string; readonly isAlone?: boolean }
  | { readonly type: 'pasted'; readonly text: string }
  | { readonly type: 'clusters'; readonly clusters: readonly Cluster[] }
  | { readonly type: 'searched'; readonly problem?: Problem }
  | { readonly type: 'access'; readonly server: string; readonly access: Access }
  /** It is time to look again at what may have changed elsewhere. */
  | { readonly type: 'refresh' }
  | { readonly type: 'picked'; readonly request: SessionRequest }
  | { readonly type: 'unpicked' }
  | { readonly type: 'done'; readonly id: number; readonly notice: Notice; readonly session?: SessionChange }
  | { readonly type: 'failed'; readonly id: number; readonly problem: Problem }
  | { readonly type: 'stopped'; readonly id: number }
  /** Whatever is being done. */
  | { readonly type: 'stop' }
  | { readonly type: 'quit'; readonly isInterrupted?: true };

/** What an action made of a session, known before the server is asked again. */
export interface SessionChange {
  readonly session: string;
  /** Undefined: it is gone. */
  readonly endsAt: number | undefined;
}

export function update(state: HomeState, event: HomeEvent): HomeState {
  switch (event.type) {
    case 'key':
      return pressKey(state, event.key, event.isAlone);
    case 'pasted':
      return paste(state, event.text);
    case 'clusters':
      return found(state, event.clusters);
    case 'searched':
      return { ...without(state, 'problem'), searching: false, ...(event.problem && { problem: event.problem }) };
    case 'access':
      return heard(state, event.server, event.access);
    case 'refresh':
      return refreshed(state);
    case 'picked':
      return state.view.name === 'picker' ? picked(state, state.view, event.request) : state;
    case 'unpicked':
      return state.view.name === 'picker' ? { ...without(state, 'notice'), view: { name: 'list' } } : state;
    case 'stop':
      return stop(state);
    case 'quit':
      return event.isInterrupted === true ? { ...quit(state), isInterrupted: true } : quit(state);
    default:
      return state.action?.id === event.id ? over(state, state.action, event) : state;
  }
}

type ActionEvent = Extract<HomeEvent, { readonly type: 'done' | 'failed' | 'stopped' }>;

function over(state: HomeState, action: Action, event: ActionEvent): HomeState {
  if (event.type === 'done') {
    const about =
      event.session?.endsAt === undefined
        ? undefined
        : { server: action.cluster.server, session: event.session.session, isListed: false };
    const next = ended(state, action, about === undefined ? event.notice : { ...event.notice, about });
    return event.session === undefined ? next : withSession(next, action, event.session);
  }
  if (event.type === 'stopped') return ended(state, action, { tone: 'warning', text: 'Stopped.', advice: [] });
  const { message, advice, code } = event.problem;
  if (code !== 'ambiguous_grant') return ended(state, action, { tone: 'danger', text: message, advice });
  // The policy grants several with the same right to be first: only the person can say which. The picker is the advice.
  const next = ended(state, action, { tone: 'warning', text: message, advice: [] });
  const opens = action.kind === 'shell' ? ({ opens: 'shell' } as const) : {};
  return { ...next, view: { name: 'picker', server: action.cluster.server, ...opens } };
}

/** What a server that fails, or no longer knows a session, has told of it before still counts. */
function heard(state: HomeState, server: string, access: Access): HomeState {
  const before = knownOf(state.access[server]);
  const next = settle(state, {
    access: { ...state.access, [server]: before === undefined ? access : recalled(access, before) },
  });
  return withNoticeOf(next, server);
}

/** A notice about a session goes when the server, which has listed the session, no longer does. */
function withNoticeOf(state: HomeState, server: string): HomeState {
  const { notice } = state;
  const access = state.access[server];
  if (notice?.about?.server !== server || access?.state !== 'known') return state;
  const { about } = notice;
  const isListed = access.sessions.some((one) => one.session === about.session && one.state !== 'ended');
  if (isListed) return { ...state, notice: { ...notice, about: { ...about, isListed } } };
  return about.isListed ? without(state, 'notice') : state;
}

function recalled(access: Access, before: KnownAccess): Access {
  if (access.state === 'failed') return { ...access, before };
  if (access.state !== 'known') return access;
  const sessions = access.sessions.map((one) =>
    one.role === undefined ? { ...before.sessions.find(({ session }) => session === one.session), ...one } : one,
  );
  return { ...access, sessions };
}

/** Looks for clusters too where one is missing: it may be back. */
function refreshed(state: HomeState): HomeState {
  const { clusters, access, searching, searches } = state;
  const isMissing =
    clusters.length === 0 ||
    state.problem !== undefined ||
    clusters.some(({ answer, server }) => answer.state === 'away' || access[server]?.state === 'failed');
  return {
    ...state,
    wanted: more(state.wanted, Object.keys(state.wanted)),
    searches: isMissing && !searching ? searches + 1 : searches,
  };
}

/** Whatever became of it, what the server has may be another now, and so may be what the user makes of the server. */
function ended(state: HomeState, action: Action, notice: Notice): HomeState {
  const { server, trust } = action.cluster;
  const next = { ...without(state, 'action'), notice, wanted: more(state.wanted, [server]) };
  return trust === 'pinned' ? next : { ...next, searching: true, searches: state.searches + 1 };
}

function withSession(state: HomeState, { cluster: { server } }: Action, { session, endsAt }: SessionChange): HomeState {
  const access = state.access[server];
  if (access?.state !== 'known') return state;
  const sessions = access.sessions.flatMap((one) => {
    if (one.session !== session) return one;
    return endsAt === undefined ? [] : { ...one, endsAt };
  });
  return settle(state, { access: { ...state.access, [server]: { ...access, sessions } } });
}

function found(state: HomeState, reported: readonly Cluster[]): HomeState {
  const clusters = reported.map((one) => answered(one, state.clusters)).toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const here = clusters.filter(({ answer }) => answer.state === 'here').map(({ server }) => server);
  const isNew = (server: string): boolean => state.wanted[server] === undefined;
  // Of one that is away this machine may know sessions.
  const recallable = clusters.flatMap(({ answer, server }) => (answer.state === 'away' && isNew(server) ? server : []));
  const fresh = here.filter(isNew);
  const asking = Object.fromEntries(fresh.map((server) => [server, { state: 'asking' } as const]));
  const away = new Set(state.clusters.flatMap(({ answer, server }) => (answer.state === 'away' ? server : [])));
  const wanted = [...fresh, ...recallable, ...here.filter((server) => away.has(server) && !fresh.includes(server))];
  return settle(state, { clusters, access: { ...state.access, ...asking }, wanted: more(state.wanted, wanted) });
}

/** One that is asked once more stays as it was until it has answered. */
function answered(cluster: Cluster, before: readonly Cluster[]): Cluster {
  if (cluster.answer.state !== 'asking') return cluster;
  const known = before.find(({ server }) => server === cluster.server);
  return known === undefined ? cluster : { ...cluster, name: known.name, answer: known.answer };
}

/** Keeps the place of the selected row, in case that it goes. */
function settle(state: HomeState, change: Partial<HomeState>): HomeState {
  const next = { ...state, ...change };
  const position = selectedIndex(rowsOf(next), next);
  return { ...next, position: Math.max(0, position) };
}

type Picker = Extract<View, { readonly name: 'picker' }>;

function picked(state: HomeState, { server, opens }: Picker, request: SessionRequest): HomeState {
  const list: HomeState = { ...without(state, 'notice'), view: { name: 'list' } };
  const cluster = state.clusters.find((one) => one.server === server);
  return cluster === undefined ? list : begin(list, { kind: opens ?? 'login', cluster, request });
}
