/**
 * Which requests are a road into a container, and what a recording can make of each. Nothing here decides about a
 * session's rights: that is RBAC's.
 */
import type { Attributes } from './attributes.ts';
import { isKubeletRead, isKubeletTerminal } from './kubelet.ts';

/**
 * `terminal`: its streams can be recorded; `unreadable`: it runs something, or may, and cannot be recorded;
 * undefined: none, or one that is no terminal (`pods/portforward`, the applications behind `pods/proxy` and `services/proxy`).
 */
export function roadOf(what: Attributes, isUpgrade: boolean): 'terminal' | 'unreadable' | undefined {
  const { resource, subresource, verb, path = '/' } = what;
  if (resource === 'pods' && (subresource === 'exec' || subresource === 'attach'))
    return isUpgrade ? 'terminal' : 'unreadable';
  if (resource !== 'nodes' || subresource !== 'proxy') return undefined;
  if (isUpgrade) return isKubeletTerminal(path) ? 'terminal' : 'unreadable';
  return isKubeletRead(verb, path) ? undefined : 'unreadable';
}
