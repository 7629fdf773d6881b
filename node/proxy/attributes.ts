/**
 * A request in Kubernetes' words, for audit and metrics; nothing is decided by it. The same reading of paths as the API server's
 * own request attributes.
 */
export interface Attributes {
  /** get, list, watch, create, update, patch, delete, deletecollection; the method in lower case for a path that is no resource. */
  readonly verb: string;
  readonly group?: string;
  readonly resource?: string;
  readonly subresource?: string;
  readonly namespace?: string;
  readonly name?: string;
  /** Only for what is no resource. */
  readonly path?: string;
  /** Long-lived: a watch, a followed log, an upgrade. */
  readonly isStream: boolean;
  /** The command line of an exec. */
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
  if (found === undefined) return { verb: method.toLowerCase(), path: path.slice(0, 512), isStream: isUpgrade };
  const { group, rest, isWatchPath } = found;
  const isNamespaced = rest[0] === 'namespaces' && rest.length > 2 && !namespaceSubresources.has(rest[2] ?? '');
  const [resource, name, subresource] = isNamespaced ? rest.slice(2) : rest;
  const namespace =
    isNamespaced || (resource === 'namespaces' && name !== undefined) ? (isNamespaced ? rest[1] : name) : undefined;
  const isWatch = isWatchPath || isTrue(query.get('watch'));
  const isFollowedLog = subresource === 'log' && isTrue(query.get('follow'));
  const attributes: Mutable<Attributes> = {
    verb: verbOf(method, name !== undefined, isWatch),
    isStream: isUpgrade || isWatch || isFollowedLog,
  };
  if (group !== '') attributes.group = group;
  if (resource !== undefined) attributes.resource = resource;
  if (subresource !== undefined) attributes.subresource = subresource;
  if (namespace !== undefined) attributes.namespace = namespace;
  if (name !== undefined) attributes.name = name;
  if (subresource === 'exec') attributes.command = wordsIn(query);
  return attributes;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

function wordsIn(query: URLSearchParams): readonly string[] {
  const words = query.getAll('command').map((word) => word.slice(0, 4096));
  return words.slice(0, 256);
}

const noQuery = new URLSearchParams();
const namespaceSubresources: ReadonlySet<string> = new Set(['status', 'finalize']);

interface Found {
  readonly group: string;
  readonly rest: readonly string[];
  readonly isWatchPath: boolean;
}

function resourceIn(segments: readonly string[]): Found | undefined {
  const [root] = segments;
  const head = root === 'api' ? 2 : root === 'apis' ? 3 : undefined;
  if (head === undefined || segments.length <= head) return undefined;
  const isWatchPath = segments[head] === 'watch';
  const rest = segments.slice(isWatchPath ? head + 1 : head).map((segment) => segment.slice(0, 253));
  return { group: root === 'apis' ? (segments[1] ?? '').slice(0, 253) : '', rest, isWatchPath };
}

function verbOf(method: string, hasName: boolean, isWatch: boolean): string {
  switch (method) {
    case 'GET':
    case 'HEAD':
      if (isWatch) return 'watch';
      return hasName ? 'get' : 'list';
    case 'POST':
      return 'create';
    case 'PUT':
      return 'update';
    case 'DELETE':
      return hasName ? 'delete' : 'deletecollection';
    default:
      return method.toLowerCase();
  }
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
