/**
 * Whether a session ends with a shell: a pure function of the records and the kubeconfigs.
 *
 * It ends if a shell opened it and nothing else uses it. While another shell is logging in at the same server, it is
 * unknown whether it will use this session: a later command decides.
 */
import type { SameServer } from '../trust/same-server.ts';
import type { Phase } from './records.ts';

export interface Use {
  readonly server: string;
  /** Absent while opening. */
  readonly session?: string | undefined;
  readonly phase: Phase;
  /** The process that it belongs to runs, or may run on another machine. */
  readonly isLive: boolean;
}

export interface Ending {
  readonly server: string;
  readonly session: string;
  readonly opened: boolean;
}

export type Decision =
  | { readonly action: 'revoke' }
  | { readonly action: 'keep'; readonly because: string }
  | { readonly action: 'postpone' };

/** `contexts`: those of the session in the user's own kubeconfigs. */
export function decide(
  ending: Ending,
  others: readonly Use[],
  contexts: readonly string[],
  isSame: SameServer = (one, other) => one === other,
): Decision {
  if (!ending.opened) return { action: 'keep', because: 'it existed before this shell' };
  const near = others.filter(({ server, isLive }) => isLive && isSame(server, ending.server));
  if (near.some(({ phase, session }) => phase === 'open' && session === ending.session)) {
    return { action: 'keep', because: 'another shell uses it' };
  }
  const [context] = contexts;
  if (context !== undefined) return { action: 'keep', because: `the context ${context} in your kubeconfig uses it` };
  return near.some(({ phase }) => phase === 'opening') ? { action: 'postpone' } : { action: 'revoke' };
}
