import type { ClusterAccess } from './cluster-access.ts';

/** A kubeconfig with the token in it; `name` is the name of its cluster, user and context. */
export function standaloneKubeconfig(
  access: ClusterAccess,
  { name = access.name, namespace = access.namespace } = {},
): object {
  const { url, ca, token } = access;
  const trust = ca === undefined ? {} : { 'certificate-authority-data': Buffer.from(ca).toString('base64') };
  const insecure = ca === undefined && access.insecureSkipTlsVerify ? { 'insecure-skip-tls-verify': true } : {};
  return {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name, cluster: { server: url, ...trust, ...insecure } }],
    users: [{ name, user: { token } }],
    contexts: [{ name, context: { cluster: name, user: name, ...(namespace === undefined ? {} : { namespace }) } }],
    'current-context': name,
  };
}
