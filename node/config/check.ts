/**
 * Checks that the settings fit together and fit this machine: what `tka-server serve` would refuse before it starts, which
 * `tka-server config` therefore refuses too. Reads the files that settings name; uses no network.
 *
 * All problems are found in one pass. A check that involves a refused setting is skipped, because its value is not what the
 * operator wrote.
 */
import { readFileSync } from 'node:fs';
import { clusterInfoProblems } from './api-endpoint.ts';
import { type LoadedConfig, type Problem, type Reading, refuse, sourced, waysToSet } from './index.ts';
import { credentialProblems, joinProblems, unreadable } from './join-settings.ts';
import type { SettingKey } from './settings.ts';

/**
 * Throws a ConfigError with every problem. `isServing` leaves out what matters only to a node that has not joined: serve finds that out by
 * itself, when it knows whether the node has.
 */
export function checkedConfig({ loaded, problems }: Reading, { isServing = false } = {}): LoadedConfig {
  const refused = new Set(problems.flatMap(({ keys }) => keys));
  const further = [
    ...joinProblems(loaded),
    ...(isServing ? [] : credentialProblems(loaded)),
    ...secretProblems(loaded),
    ...clusterInfoProblems(loaded),
    ...namespaceProblems(loaded),
    ...roleProblems(loaded),
    ...fileProblems(loaded),
  ].filter(({ keys }) => !keys.some((key) => refused.has(key)));
  refuse([...problems, ...further]);
  return loaded;
}

function secretProblems({ values, sources }: LoadedConfig): readonly Problem[] {
  const keys = ['tailscale.stateSecret', 'api.serverKeySecret'] as const;
  const [stateName, keyName] = [values[keys[0]], values[keys[1]]];
  if (stateName === '') return [];
  const state = sourced({ sources }, keys[0]);
  if (keyName === '') {
    const message = `${state} without api.serverKeySecret: the server key would be lost with the directory, and with it every kubeconfig for the proxy; set it to another Secret (manifests/ makes tka-server-key) with ${waysToSet(keys[1])}`;
    return [{ keys, message }];
  }
  if (stateName === keyName) {
    const message = `${state} and ${sourced({ sources }, keys[1])} are the same Secret: each server has a state of its own, and all have one key; name two Secrets`;
    return [{ keys, message }];
  }
  return [];
}

function namespaceProblems(loaded: LoadedConfig): readonly Problem[] {
  const key = 'operator.namespace';
  const sessions = loaded.values[key];
  if (sessions !== 'tka-system') return [];
  const message = `${sourced(loaded, key)} is ${sessions}, tka's own namespace: sessions need one of their own; remove it for tka-sessions, or change ${waysToSet(key)}`;
  return [{ keys: [key], message }];
}

function roleProblems(loaded: LoadedConfig): readonly Problem[] {
  const keys = ['roles.clusterWide', 'roles.namespaced'] as const;
  if (keys.some((key) => loaded.values[key].length > 0)) return [];
  const message = `${keys.map((key) => sourced(loaded, key)).join(' and ')} are both empty: every login would be refused; name a role in one of them, for example with ${waysToSet(keys[0])}`;
  return [{ keys, message }];
}

function fileProblems(loaded: LoadedConfig): readonly Problem[] {
  return (['tailscale.caFile', 'kubernetes.kubeconfig'] as const satisfies readonly SettingKey[]).flatMap((key) => {
    const path = loaded.values[key];
    if (path === '') return [];
    let content: string;
    try {
      content = readFileSync(path, 'utf8');
    } catch (error) {
      return [unreadable(loaded, key, error)];
    }
    if (key !== 'tailscale.caFile' || content.includes('-----BEGIN CERTIFICATE-----')) return [];
    const message = `${sourced(loaded, key)}: ${path} holds no PEM certificate; change ${waysToSet(key)}`;
    return [{ keys: [key], message }];
  });
}
