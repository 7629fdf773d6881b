/**
 * Which requests are for the Kubernetes API; every other request is for tka's own.
 *
 * Either its path is the Kubernetes API's alone: `/k8s`, where it has always been, or one that tka's own API does not have. Or it
 * brings a token of tka's: then its path does not matter, because clients that ignore a base path expect the Kubernetes API at the root,
 * and tka's own API has no use for a token. The engine chooses by these rules on the port of the Kubernetes API (../tsnet, `match`); this
 * function is for what reaches the HTTP server of this process. its testdata/matched.json holds both to the same answers.
 *
 * Wide on purpose: what looks like a token is one here, and admission.ts refuses it. A request that is for the Kubernetes API in
 * error is refused there; none gets to tka's own API by looking like both.
 */
import type { RequestMatch } from '../tsnet/decisions-protocol.ts';
import type { ProxyRequest } from './request.ts';

/** Where kubeconfigs that were written before the API was served at the root have it. */
export const prefix = '/k8s';

export const kubernetesRequests: RequestMatch = {
  paths: [prefix, '/api', '/apis', '/openapi', '/version', '/livez', '/readyz', '/healthz'],
  exceptPaths: ['/api/v1alpha1'],
  bearerPrefix: 'tka_',
};

export function isForKubernetes({ url, rawHeaders }: Pick<ProxyRequest, 'url' | 'rawHeaders'>): boolean {
  const { paths, exceptPaths, bearerPrefix } = kubernetesRequests;
  const [path = ''] = url.split('?', 1);
  if (paths.some((parent) => isAtOrBelow(path, parent)) && !exceptPaths.some((parent) => isAtOrBelow(path, parent)))
    return true;
  return rawHeaders.some(
    (name, i) =>
      i % 2 === 0 && name.toLowerCase() === 'authorization' && isBearer(rawHeaders[i + 1] ?? '', bearerPrefix),
  );
}

/** What a redirect of the API server's has in front when it comes back to the caller. */
export function prefixOf(url: string): string {
  const [path = ''] = url.split('?', 1);
  return isAtOrBelow(path, prefix) ? prefix : '';
}

function isAtOrBelow(path: string, parent: string): boolean {
  return path.startsWith(parent) && (path.length === parent.length || path[parent.length] === '/');
}

function isBearer(value: string, start: string): boolean {
  const [scheme = ''] = /^bearer[ \t]+/i.exec(value) ?? [];
  return scheme !== '' && value.startsWith(start, scheme.length);
}
