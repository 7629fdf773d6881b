/**
 * What the users of a node see of its engine's states.
 */
import type { NodeState } from './node.ts';
import type { EngineEvent } from './protocol.ts';

export const FIRST_STATE: NodeState = {
  status: 'Starting',
  ready: false,
  addresses: [],
  dnsName: '',
  stableNodeId: '',
  certDomains: [],
  health: [],
  restarts: 0,
};

/** A node that is coming back is still Restarting to them. */
export function stateFrom(event: Extract<EngineEvent, { readonly type: 'state' }>, before: NodeState): NodeState {
  const { type: _, status, ...rest } = event;
  const isComingBack = before.status === 'Restarting' && status === 'Starting';
  return { ...rest, status: isComingBack ? 'Restarting' : status, restarts: before.restarts };
}
