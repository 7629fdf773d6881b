/**
 * Changes of the home screen's state that both a key and a report from the world can make.
 */
import type { Action, HomeState } from './state.ts';

export function begin(
  state: HomeState,
  what: Pick<Action, 'kind' | 'cluster' | 'request'> & { session?: string },
): HomeState {
  if (state.action !== undefined) return state;
  const action: Action = { ...what, id: state.nextId, stopping: false };
  return { ...state, action, nextId: state.nextId + 1 };
}

/** When it stops, its report says so. */
export function stop(state: HomeState): HomeState {
  return state.action === undefined ? state : { ...state, action: { ...state.action, stopping: true } };
}

/** At once where nothing is being done; else when that has stopped; asked twice, at once. */
export function quit(state: HomeState): HomeState {
  if (state.action === undefined || state.quitting) return { ...without(state, 'action'), quitting: true };
  return { ...state, quitting: true, action: { ...state.action, stopping: true } };
}

export function without(state: HomeState, ...keys: ('notice' | 'action' | 'problem')[]): HomeState {
  const next: { -readonly [P in keyof HomeState]: HomeState[P] } = { ...state };
  for (const key of keys) delete next[key];
  return next;
}

/** Asks for the access of these once more. */
export function more(wanted: HomeState['wanted'], servers: readonly string[]): HomeState['wanted'] {
  if (servers.length === 0) return wanted;
  return { ...wanted, ...Object.fromEntries(servers.map((server) => [server, (wanted[server] ?? 0) + 1])) };
}
