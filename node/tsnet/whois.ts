/**
 * Questions to the engine about who somebody is. A caller that loses interest gets its signal's reason; the answer that comes all
 * the same is dropped.
 */
import { abortable } from './abortable.ts';
import type { Engine } from './engine.ts';
import { EngineGoneError } from './errors.ts';
import type { Identity } from './peer.ts';
import type { EngineRequest } from './protocol.ts';

export const UNKNOWN: Identity = {
  nodeId: '',
  nodeKey: '',
  nodeName: '',
  tags: [],
  refusal: 'unknown',
  capabilities: {},
};

/** Who is at an address, or has a name. */
export function askIdentity(
  engine: Engine,
  request: EngineRequest,
  signal: AbortSignal | undefined,
): Promise<Identity> {
  const answer = engine.call(request).then((message) => {
    if (message.type !== 'identity') throw anotherAnswer();
    return message.identity;
  });
  return signal === undefined ? answer : abortable(answer, signal);
}

/** Who the nodes are, by stable node ID. */
export function askIdentities(
  engine: Engine,
  nodes: readonly string[],
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<string, Identity>> {
  const answer = engine.call({ type: 'identify', nodes }).then((message) => {
    if (message.type !== 'identities' || message.identities.length !== nodes.length) throw anotherAnswer();
    return new Map(nodes.map((node, i) => [node, message.identities[i] ?? UNKNOWN]));
  });
  return signal === undefined ? answer : abortable(answer, signal);
}

function anotherAnswer(): EngineGoneError {
  return new EngineGoneError('the engine gave another answer than was asked for');
}
