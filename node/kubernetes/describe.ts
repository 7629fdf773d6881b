/**
 * A request to the API server in RBAC's words: verb, resource with subresource, namespace, name. For metrics and
 * error messages; no decision depends on it.
 */
import { verbOf } from './verb.ts';

export interface Description {
  /** get, list, watch, create, update, patch, delete or deletecollection. */
  readonly verb: string;
  /** For example `serviceaccounts/token`; a path outside the resources as it is. */
  readonly resource: string;
  readonly namespace?: string;
  readonly name?: string;
}

export function describeRequest(method: string, url: URL): Description {
  const segments = url.pathname.split('/').filter((segment) => segment !== '');
  const rest = resourceSegments(segments);
  if (rest === undefined || rest.length === 0) return { verb: method.toLowerCase(), resource: url.pathname };
  // .../namespaces/NAME/RESOURCE..., but /namespaces and /namespaces/NAME are the namespaces themselves.
  const namespaced = rest[0] === 'namespaces' && rest.length > 2;
  const [resource = '', name, ...subresource] = namespaced ? rest.slice(2) : rest;
  return {
    verb: verbOf(method, name !== undefined, url.searchParams.get('watch') === 'true'),
    resource: [resource, ...subresource].join('/'),
    ...(namespaced && rest[1] !== undefined ? { namespace: decodeURIComponent(rest[1]) } : {}),
    ...(name === undefined ? {} : { name: decodeURIComponent(name) }),
  };
}

/** What follows the group and version; a path before /api or /apis is a proxy's. */
function resourceSegments(segments: readonly string[]): readonly string[] | undefined {
  const core = segments.indexOf('api');
  if (core !== -1 && segments[core + 1] === 'v1') return segments.slice(core + 2);
  const named = segments.indexOf('apis');
  return named === -1 ? undefined : segments.slice(named + 3);
}
