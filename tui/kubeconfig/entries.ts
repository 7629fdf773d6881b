/**
 * Which entries of the user's kubeconfigs are ours, and how they change: on parsed documents, without a file system.
 *
 * An entry is ours if it carries our extension with the same server and session; kubectl keeps extensions when it rewrites a
 * file. Entries of others are never changed or removed: where one has the name we want, another name is taken. In ours, the
 * fields that a login determines are set, and the rest (for example a namespace that the user chose) stays. Comments and unknown
 * content stay everywhere.
 */
import { isDeepStrictEqual } from 'node:util';
import { isMap, isSeq } from 'yaml';
import { UserError } from '../errors.ts';
import { fieldsOf } from '../files/json.ts';
import type { SameServer } from '../trust/same-server.ts';
import {
  currentContext,
  entriesOf,
  type Entry,
  extensionIndex,
  extensionName,
  findOwn,
  hasContext,
  isEqual,
  type Kind,
  kinds,
  type KubeconfigDocument,
  type Marker,
  ourExtension,
} from './entry.ts';

export interface SessionEntries {
  readonly marker: Marker;
  /** The name to have if it is free. */
  readonly name: string;
  /** The first of these that is free, else. */
  readonly otherNames?: readonly string[];
  readonly cluster: Fields;
  readonly user: Fields;
  readonly namespace?: string;
  /** Whether the context becomes the current one even if there is another. */
  readonly use: boolean;
  /** What the user named just now: it is set in a context that is there already, too. */
  readonly byHand?: { readonly name?: boolean; readonly namespace?: boolean };
  /** Default: servers of one origin. Entries of the same server by another name are this session's too, and take this name. */
  readonly isSame?: SameServer;
}

/** Values to set; undefined removes the field. */
export type Fields = Readonly<Record<string, unknown>>;

export interface MergeResult {
  readonly context: string;
  readonly current: boolean;
  /** Where the context is. */
  readonly path: string;
}

/** Files in the order of KUBECONFIG. New entries go to `destination`, changed ones to the file that has them. */
export function mergeEntries(
  files: readonly KubeconfigDocument[],
  destination: KubeconfigDocument,
  entries: SessionEntries,
): MergeResult {
  const { marker, isSame } = entries;
  const own = {
    cluster: findOwn(files, 'cluster', marker, isSame),
    user: findOwn(files, 'user', marker, isSame),
    context: findOwn(files, 'context', marker, isSame),
  };
  const missing = kinds.filter((kind) => own[kind] === undefined);
  const preferred = own.context?.name ?? own.cluster?.name ?? own.user?.name ?? entries.name;
  const fresh = missing.length === 0 ? preferred : freeName(files, missing, preferred, entries.otherNames ?? []);
  const nameOf = (kind: Kind): string => own[kind]?.name ?? fresh;

  const cluster = own.cluster ?? add(destination, 'cluster', fresh);
  put(cluster, entries.cluster, marker);
  if ('proxy-url' in entries.cluster) recordProxy(cluster, entries.cluster['proxy-url']);
  put(own.user ?? add(destination, 'user', fresh), entries.user, marker);
  const context = own.context ?? add(destination, 'context', fresh);
  const isNamed = own.context === undefined || entries.byHand?.namespace === true;
  const namespace = isNamed && entries.namespace !== undefined ? { namespace: entries.namespace } : {};
  put(context, { cluster: nameOf('cluster'), user: nameOf('user'), ...namespace }, marker);
  const name = entries.byHand?.name === true ? rename(files, context, entries) : context.name;

  const current = currentContext(files);
  if (current === undefined || entries.use) setCurrent(current?.file ?? destination, name);
  return { context: name, current: currentContext(files)?.name === name, path: context.file.path };
}

/** The name that the context then has. */
function rename(
  files: readonly KubeconfigDocument[],
  context: Entry,
  { name, otherNames = [] }: SessionEntries,
): string {
  if (context.name === name) return name;
  const fresh = freeName(files, ['context'], name, otherNames);
  const { file } = context;
  file.document.setIn(['contexts', context.index, 'name'], fresh);
  file.changed = true;
  const current = currentContext(files);
  if (current?.name === context.name && !hasContext(files, context.name)) setCurrent(current.file, fresh);
  return fresh;
}

/** Removes the entries whose marker `matches`, and current-context where it named one of them. */
export function removeEntries(
  files: readonly KubeconfigDocument[],
  matches: (marker: Marker) => boolean,
): readonly string[] {
  const contexts: string[] = [];
  for (const file of files) {
    for (const kind of kinds) {
      // From the end, so that positions stay true.
      for (const entry of entriesOf(file, kind).reverse()) {
        if (entry.marker === undefined || !matches(entry.marker)) continue;
        file.document.deleteIn([`${kind}s`, entry.index]);
        file.changed = true;
        if (kind === 'context') contexts.push(entry.name);
      }
    }
  }
  for (const file of files) {
    const current = file.document.get('current-context');
    if (typeof current === 'string' && contexts.includes(current) && !hasContext(files, current)) setCurrent(file, '');
  }
  return contexts.reverse();
}

/** The server of the current context if it is ours, else that of all our contexts if they agree. */
export function lastServer(contexts: readonly OwnContext[], isSame: SameServer = isEqual): string | undefined {
  const current = contexts.find((context) => context.current);
  const [only] = contexts;
  const isOne = contexts.every(({ server }) => only !== undefined && isSame(server, only.server));
  return current?.server ?? (isOne ? only?.server : undefined);
}

export interface OwnContext extends Marker {
  readonly context: string;
  readonly current: boolean;
}

export function ownContexts(files: readonly KubeconfigDocument[]): readonly OwnContext[] {
  const current = currentContext(files)?.name;
  return files
    .flatMap((file) => entriesOf(file, 'context'))
    .flatMap(({ name, marker }) =>
      marker === undefined ? [] : [{ ...marker, context: name, current: name === current }],
    );
}

/** Of kubectl's current context; the file that has one already keeps it. */
export function setCurrentContext(
  files: readonly KubeconfigDocument[],
  destination: KubeconfigDocument,
  name: string,
): void {
  setCurrent(currentContext(files)?.file ?? destination, name);
}

export interface OwnEntries {
  /** Whether the token is in the file, and no plugin called. */
  readonly isInline: boolean;
  /** Arguments of the plugin. */
  readonly args: readonly string[];
  readonly skipsTlsVerify: boolean;
  /** The cluster's `proxy-url`. */
  readonly proxyUrl?: string;
  /** The one that a login wrote, whatever is there now. */
  readonly loginsProxyUrl?: string;
}

/** How a session was placed; undefined where no file has it. */
export function ownEntries(
  files: readonly KubeconfigDocument[],
  marker: Marker,
  isSame?: SameServer,
): OwnEntries | undefined {
  const user = findOwn(files, 'user', marker, isSame)?.body;
  const cluster = findOwn(files, 'cluster', marker, isSame)?.body;
  if (user === undefined || cluster === undefined) return undefined;
  const { args } = fieldsOf(user['exec']);
  const { 'proxy-url': proxyUrl, extensions } = cluster;
  const { proxyUrl: loginsProxyUrl } = ourExtension(extensions);
  return {
    isInline: typeof user['token'] === 'string',
    args: Array.isArray(args) ? args.map(String) : [],
    skipsTlsVerify: cluster['insecure-skip-tls-verify'] === true,
    ...(typeof proxyUrl === 'string' ? { proxyUrl } : {}),
    ...(typeof loginsProxyUrl === 'string' ? { loginsProxyUrl } : {}),
  };
}

/** The first of some names that no entry has, in any file, for each kind that is to be added. */
function freeName(
  files: readonly KubeconfigDocument[],
  missing: readonly Kind[],
  preferred: string,
  others: readonly string[],
): string {
  const taken = new Set(
    missing.flatMap((kind) => files.flatMap((file) => entriesOf(file, kind).map(({ name }) => name))),
  );
  const free = [preferred, ...others].find((name) => !taken.has(name));
  if (free !== undefined) return free;
  throw new UserError(`other entries have the name ${preferred} and every name like it in your kubeconfig`, [
    'Rename or remove them (`kubectl config rename-context`, `kubectl config delete-context`), or use --kubeconfig FILE.',
  ]);
}

function add(file: KubeconfigDocument, kind: Kind, name: string): Entry {
  const { document } = file;
  const list = document.get(`${kind}s`, true);
  if (!isSeq(list)) document.set(`${kind}s`, document.createNode([]));
  const sequence = document.get(`${kind}s`, true);
  if (!isSeq(sequence)) throw new Error(`no list of ${kind}s in ${file.path}`);
  // An empty `[]` would go on in flow style, all in one line. Not false: emptied again, it would then be no valid YAML.
  if (sequence.items.length === 0) delete sequence.flow;
  document.addIn([`${kind}s`], document.createNode({ name, [kind]: {} }));
  file.changed = true;
  const index = sequence.items.length - 1;
  return { file, kind, index, name, body: {}, marker: undefined };
}

function put(entry: Entry, fields: Fields, marker: Marker): void {
  const { document } = entry.file;
  const path = [`${entry.kind}s`, entry.index, entry.kind];
  const body = document.getIn(path, true);
  if (isMap(body) && body.items.length === 0) delete body.flow;
  for (const [key, value] of Object.entries(fields)) {
    if (isDeepStrictEqual(entry.body[key], value)) continue;
    if (value === undefined) document.deleteIn([...path, key]);
    else document.setIn([...path, key], typeof value === 'object' ? document.createNode(value) : value);
    entry.file.changed = true;
  }
  if (entry.marker !== undefined) {
    if (entry.marker.server === marker.server) return;
    document.setIn([...path, 'extensions', extensionIndex(entry.body), 'extension', 'server'], marker.server);
    entry.file.changed = true;
    return;
  }
  const extension = document.createNode({ name: extensionName, extension: { ...marker } });
  if (isSeq(document.getIn([...path, 'extensions'], true))) document.addIn([...path, 'extensions'], extension);
  else document.setIn([...path, 'extensions'], document.createNode([extension]));
  entry.file.changed = true;
}

/** After `put`. A login may remove what a login wrote, not what the user set. */
function recordProxy({ file, index, body }: Entry, proxyUrl: unknown): void {
  const { document } = file;
  if (ourExtension(body['extensions'])['proxyUrl'] === proxyUrl) return;
  const extensions = ['clusters', index, 'cluster', 'extensions'];
  const node = document.getIn(extensions, true);
  const fields = { extensions: isSeq(node) ? node.toJS(document) : [] };
  const path = [...extensions, extensionIndex(fields), 'extension', 'proxyUrl'];
  if (proxyUrl === undefined) document.deleteIn(path);
  else document.setIn(path, proxyUrl);
  file.changed = true;
}

function setCurrent(file: KubeconfigDocument, name: string): void {
  if (file.document.get('current-context') === name) return;
  file.document.set('current-context', name);
  file.changed = true;
}
