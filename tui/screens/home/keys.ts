/**
 * What each key does on the home screen. Nothing that ends or costs anything happens at a single key: logging out takes a
 * second one. While an action runs the list can be looked through, but nothing else begun.
 */
import type { Cluster } from '../../discovery/index.ts';
import { begin, more, quit, stop, without } from './changes.ts';
import {
  type Action,
  type HomeSession,
  type HomeState,
  isLive,
  type KnownAccess,
  type Notice,
  type Row,
  rowsOf,
  selectedIndex,
  selectedRow,
  sessionsOf,
} from './state.ts';

/** A character, or a name: up, down, pageup, pagedown, home, end, enter, escape, backspace, ctrl-c and the like. */
export function pressKey(state: HomeState, key: string, isAlone = true): HomeState {
  if (key === 'ctrl-c') return { ...quit(state), isInterrupted: true };
  switch (state.view.name) {
    case 'help':
      return { ...state, view: { name: 'list' } };
    case 'filter':
      return inFilter(state, key);
    case 'confirm':
      // One key of several at once does not confirm: it may be part of a paste.
      return inConfirm(state, isAlone ? key : '');
    case 'list':
      return isAlone || steps[key] !== undefined ? inList(without(state, 'notice'), key) : state;
    default:
      // The picker reads its own keys.
      return state;
  }
}

/** What is pasted is typed into the filter, and means nothing elsewhere. */
export function paste(state: HomeState, text: string): HomeState {
  return state.view.name === 'filter' ? top({ ...state, filter: state.filter + text }) : state;
}

function inList(state: HomeState, key: string): HomeState {
  const step = steps[key];
  if (step !== undefined) return move(state, step);
  switch (key) {
    case '/':
      return { ...state, view: { name: 'filter' } };
    case '?':
      return { ...state, view: { name: 'help' } };
    case 'q':
      return quit(state);
    case 'escape':
      return state.action === undefined ? { ...state, filter: '' } : stop(state);
    case 'R':
      return {
        ...state,
        searching: true,
        searches: state.searches + 1,
        wanted: more(state.wanted, Object.keys(state.wanted)),
      };
    case 'y':
      return copy(state);
    default: {
      const act = actions[key];
      return act === undefined || state.action !== undefined ? state : act(state);
    }
  }
}

function inFilter(state: HomeState, key: string): HomeState {
  if (key === 'up' || key === 'down') return move(state, key === 'up' ? -1 : 1);
  if (key === 'enter') return { ...state, view: { name: 'list' } };
  if (key === 'escape') return { ...state, view: { name: 'list' }, filter: '' };
  if (key === 'backspace') return top({ ...state, filter: state.filter.slice(0, -1) });
  return key.length === 1 ? top({ ...state, filter: state.filter + key }) : state;
}

function inConfirm(state: HomeState, key: string): HomeState {
  if (state.view.name !== 'confirm') return state;
  const { server, session } = state.view;
  const list: HomeState = { ...state, view: { name: 'list' } };
  const cluster = state.clusters.find((one) => one.server === server);
  if (key !== 'o' || cluster === undefined) return list;
  return begin(list, { kind: 'logout', cluster, session, request: {} });
}

const steps: Readonly<Record<string, number>> = {
  up: -1,
  k: -1,
  down: 1,
  j: 1,
  pageup: -10,
  pagedown: 10,
  home: Number.NEGATIVE_INFINITY,
  g: Number.NEGATIVE_INFINITY,
  end: Number.POSITIVE_INFINITY,
  G: Number.POSITIVE_INFINITY,
};

const actions: Readonly<Record<string, (state: HomeState) => HomeState>> = {
  enter: (state) => atCluster(state, (row) => (row.kind === 'session' ? renew(state, row.session) : logIn(state, row))),
  n: (state) => atSession(state, 'renew', (_, session) => renew(state, session)),
  o: (state) =>
    atSession(state, 'log out of', ({ cluster: { server } }, { session }) => ({
      ...state,
      view: { name: 'confirm', server, session },
    })),
  u: (state) => {
    const row = selectedRow(state);
    const all =
      row?.kind === 'session'
        ? [row.session]
        : sessionsOf(row === undefined ? undefined : state.access[row.cluster.server]);
    const own = all.filter(({ contexts, state: standing }) => contexts.length > 0 && standing !== 'ended');
    const [only] = own;
    if (row === undefined) return state;
    if (only === undefined) return say(state, 'No context to use here.', ['enter logs in and creates one.']);
    if (own.length > 1) return say(state, `Which session at ${row.cluster.name}?`, ['Select the one to use.']);
    return begin(state, { kind: 'use', cluster: row.cluster, session: only.session, request: {} });
  },
  r: (state) => atCluster(state, (row) => pick(state, row)),
  s: (state) =>
    atCluster(state, (row) =>
      begin(state, { kind: 'shell', cluster: row.cluster, request: row.kind === 'session' ? roleOf(row.session) : {} }),
    ),
};

function logIn(state: HomeState, { cluster }: Row): HomeState {
  const access = state.access[cluster.server];
  if (access?.state === 'refused') return say(state, access.message, access.advice);
  if (access?.state === 'known' && access.rules.length === 0) return sayNoGrant(state, cluster, access);
  return begin(state, { kind: 'login', cluster, request: {} });
}

/** Renewing is logging in once more with the same role: the session is the same one, and its end moves. One that has ended is gone. */
function renew(state: HomeState, session: HomeSession): HomeState {
  const row = selectedRow(state);
  if (row === undefined) return state;
  if (session.state === 'ended') return begin(state, { kind: 'login', cluster: row.cluster, request: roleOf(session) });
  return begin(state, { kind: 'renew', cluster: row.cluster, session: session.session, request: roleOf(session) });
}

function pick(state: HomeState, { cluster }: Row): HomeState {
  const access = state.access[cluster.server];
  if (access === undefined || access.state === 'asking') {
    return say(state, `${cluster.name} has not reported your grants yet.`, []);
  }
  if (access.state !== 'known') return say(state, access.message, access.advice);
  if (access.rules.length === 0) return sayNoGrant(state, cluster, access);
  return { ...state, view: { name: 'picker', server: cluster.server } };
}

/** With the selected row, if its cluster can be acted on. */
function atCluster(state: HomeState, act: (row: Row) => HomeState): HomeState {
  const row = selectedRow(state);
  if (row === undefined) return state;
  const { name, answer } = row.cluster;
  if (answer.state === 'asking') return say(state, `${name} has not answered yet.`, []);
  if (answer.state === 'away') return say(state, `${name} cannot be reached: ${answer.reason}`, ['R refreshes.']);
  return act(row);
}

/** With the selected session, or the only live one of the selected cluster. */
function atSession(state: HomeState, verb: string, act: (row: Row, session: HomeSession) => HomeState): HomeState {
  return atCluster(state, (row) => {
    if (row.kind === 'session') return act(row, row.session);
    const access = state.access[row.cluster.server];
    const live = sessionsOf(access).filter(isLive);
    const [only] = live;
    if (only === undefined) return say(state, `No session at ${row.cluster.name} to ${verb}.`, ['enter logs in.']);
    if (live.length > 1) return say(state, `Which session at ${row.cluster.name}?`, [`Select the one to ${verb}.`]);
    return act(row, only);
  });
}

function copy(state: HomeState): HomeState {
  const row = selectedRow(state);
  if (row === undefined) return state;
  const access = state.access[row.cluster.server];
  const all = sessionsOf(access);
  const sessions =
    row.kind === 'session' ? [row.session] : [...all].sort((a, b) => Number(b.current) - Number(a.current));
  const text = sessions.flatMap(({ contexts }) => contexts)[0];
  if (text === undefined) return say(state, 'No context to copy.', ['enter logs in and creates one.']);
  const notice: Notice = {
    tone: 'ok',
    text: `Context ${text} was copied to the clipboard.`,
    advice: ['If your terminal does not support this, copy it from here.'],
  };
  return { ...state, notice, copied: { id: state.nextId, text }, nextId: state.nextId + 1 };
}

function move(state: HomeState, step: number): HomeState {
  const rows = rowsOf(state);
  if (rows.length === 0) return state;
  const index = Math.max(0, Math.min(rows.length - 1, selectedIndex(rows, state) + step));
  return { ...state, selected: rows[index]?.key, position: index };
}

function top(state: HomeState): HomeState {
  return { ...state, selected: undefined, position: 0 };
}

function roleOf({ role }: HomeSession): Action['request'] {
  return role === undefined ? {} : { role };
}

function say(state: HomeState, text: string, advice: readonly string[]): HomeState {
  return { ...state, notice: { tone: 'warning', text, advice } };
}

function sayNoGrant(state: HomeState, { name }: Cluster, { dropped }: KnownAccess): HomeState {
  return say(state, `The tailnet policy grants you nothing at ${name}.`, [
    ...dropped.map((line) => `Dropped: ${line}`),
    'Ask your tailnet admin for a grant; see: tka roles',
  ]);
}
