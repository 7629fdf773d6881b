/**
 * A request in Kubernetes' words, for audit and metrics; nothing is decided by it. The same reading of paths as the API server's
 * own request attributes.
 */
import { verbOf } from '../kubernetes/verb.ts';
import { kubeletCallIn } from './kubelet.ts';

export interface Attributes {
  /** get, list, watch, create, update, patch, delete, deletecollection; the method in lower case for a path that is no resource. */
  readonly verb: string;
  readonly group?: string;
  readonly resource?: string;
  readonly subresource?: string;
  readonly namespace?: string;
  readonly name?: string;
  /** Of what is no resource; of a `proxy` subresource, what follows it. Decoded, without the query. */
  readonly path?: string;
  /** Namespace and name, where a request reaches into a pod by its kubelet (`nodes/NAME/proxy/run/…`). */
  readonly pod?: string;
  /** The container or containers that a request into a pod names. */
  readonly container?: string;
  /** Of an ephemeral container. */
  readonly image?: string;
  /** Long-lived: a watch, a followed log, an upgrade. */
  readonly isStream: boolean;
  /** The command line that runs in a container. */
  readonly command?: readonly string[];
}

export function attributesOf(method: string, target: string, isUpgrade: boolean): Attributes {
  const at = target.indexOf('?');
  const path = at === -1 ? target : target.slice(0, at);
  const query = at === -1 ? noQuery : new URLSearchParams(target.slice(at));
  // Decoded first, as the API server does: an encoded slash is one to it.
  const found = resourceIn(
    decode(path)
      .split('/')
      .filter((segment) => segment !== ''),
  );
  if (found === undefined) return { verb: method.toLowerCase(), path, isStream: isUpgrade };
  const { group, rest, isWatchPath, isProxyPath } = found;
  const isNamespaced = rest[0] === 'namespaces' && rest.length > 2 && !namespaceSubresources.has(rest[2] ?? '');
  const named = isNamespaced ? rest.slice(2) : rest;
  const [resource, name] = named;
  const subresource = isProxyPath ? 'proxy' : named[2];
  const namespace =
    isNamespaced || (resource === 'namespaces' && name !== undefined) ? (isNamespaced ? rest[1] : name) : undefined;
  const isWatch = isWatchPath || isTrue(query.get('watch'));
  const isLog = subresource === 'log' || (resource === 'nodes' && subresource === 'proxy');
  const isFollowedLog = isLog && isTrue(query.get('follow'));
  const attributes: Mutable<Attributes> = {
    verb: verbOf(method, name !== undefined, isWatch),
    isStream: isUpgrade || isWatch || isFollowedLog,
  };
  if (group !== '') attributes.group = group;
  if (resource !== undefined) attributes.resource = resource;
  if (subresource !== undefined) attributes.subresource = subresource;
  if (namespace !== undefined) attributes.namespace = namespace;
  if (name !== undefined) attributes.name = name;
  if (subresource === 'proxy') {
    const behind = named.slice(isProxyPath ? 2 : 3);
    attributes.path = `/${behind.join('/')}`;
    if (resource === 'nodes') Object.assign(attributes, kubeletCallIn(behind, query));
  } else if (resource === 'pods' && isIntoContainer(subresource)) {
    const container = query.get('container');
    if (container !== null) attributes.container = container;
  }
  if (subresource === 'exec') attributes.command = query.getAll('command');
  return attributes;
}

function isIntoContainer(subresource: string | undefined): boolean {
  return subresource === 'exec' || subresource === 'attach' || subresource === 'log';
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

const noQuery = new URLSearchParams();
const namespaceSubresources: ReadonlySet<string> = new Set(['status', 'finalize']);

interface Found {
  readonly group: string;
  readonly rest: readonly string[];
  readonly isWatchPath: boolean;
  /** The old form, `/api/v1/proxy/nodes/NAME/…`, which the API server still reads as the subresource. */
  readonly isProxyPath: boolean;
}

function resourceIn(segments: readonly string[]): Found | undefined {
  const [root] = segments;
  const head = root === 'api' ? 2 : root === 'apis' ? 3 : undefined;
  if (head === undefined || segments.length <= head) return undefined;
  const isWatchPath = segments[head] === 'watch';
  const isProxyPath = segments[head] === 'proxy';
  // As they are: their length is bounded by that of a head, and what was cut off would be missing in the audit.
  const rest = segments.slice(isWatchPath || isProxyPath ? head + 1 : head);
  return { group: root === 'apis' ? (segments[1] ?? '') : '', rest, isWatchPath, isProxyPath };
}

/** As the API server reads its options: `watch` alone means yes. */
function isTrue(value: string | null): boolean {
  return value !== null && value !== 'false' && value !== '0';
}

function decode(path: string): string {
  if (!path.includes('%')) return path;
  try {
    return decodeURIComponent(path);
  } catch {
    // No UTF-8: as bytes, so that no part of it escapes.
    return path.replaceAll(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  }
}
