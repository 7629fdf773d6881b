/**
 * Renders a kubeconfig in one of its three forms: `map` is client-go's internal `api.Config` as Go marshals it (clusters, users
 * and contexts as maps by name), what released clients decode; `yaml` and `json` are kubeconfig v1.
 */
import { stringify } from 'yaml';
import type { ClusterInfo } from './contract.ts';

export type KubeconfigForm = 'map' | 'yaml' | 'json';

export interface KubeconfigParts {
  readonly cluster: ClusterInfo;
  readonly clusterName: string;
  readonly contextName: string;
  readonly userName: string;
  readonly token: string;
  /** The context's default namespace. */
  readonly namespace?: string;
}

export interface RenderedKubeconfig {
  readonly type: string;
  readonly body: string;
}

export function renderKubeconfig(form: KubeconfigForm, parts: KubeconfigParts): RenderedKubeconfig {
  const { clusterName, contextName, userName, token, namespace } = parts;
  const cluster = clusterEntry(parts.cluster);
  const user = { token };
  const context = { cluster: clusterName, user: userName, ...(namespace === undefined ? {} : { namespace }) };
  const head = { kind: 'Config', apiVersion: 'v1', preferences: {} };
  if (form === 'map') {
    const config = {
      ...head,
      clusters: { [clusterName]: cluster },
      users: { [userName]: user },
      contexts: { [contextName]: context },
      'current-context': contextName,
    };
    return { type: 'application/json', body: JSON.stringify(config) };
  }
  const config = {
    ...head,
    clusters: [{ name: clusterName, cluster }],
    users: [{ name: userName, user }],
    contexts: [{ name: contextName, context }],
    'current-context': contextName,
  };
  return form === 'yaml'
    ? { type: 'application/yaml', body: stringify(config, { lineWidth: 0 }) }
    : { type: 'application/json', body: JSON.stringify(config) };
}

/** What a name looks like in a kubeconfig: `[a-z0-9.-]`, at most 63 characters, never empty. */
export function kubeconfigName(prefix: string, name: string): string {
  const plain = `${prefix}${name}`
    .toLowerCase()
    .replaceAll(/[^a-z0-9.-]+/g, '-')
    .slice(0, 63)
    .replaceAll(/^[.-]+|[.-]+$/g, '');
  return plain === '' ? 'tka' : plain;
}

/** client-go refuses an entry that has both a CA and insecure-skip-tls-verify. */
function clusterEntry({ server_url: server, ca_data: ca, insecure_skip_tls_verify: isInsecure }: ClusterInfo) {
  if (isInsecure) return { server, 'insecure-skip-tls-verify': true };
  return ca === '' ? { server } : { server, 'certificate-authority-data': ca };
}
