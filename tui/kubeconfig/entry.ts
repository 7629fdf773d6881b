/** One entry of a kubeconfig, and the extension by which tka knows its own. */
import { type Document, isSeq } from 'yaml';
import { isSessionName } from '../api/token.ts';
import { fieldsOf } from '../files/json.ts';
import type { SameServer } from '../trust/same-server.ts';

export interface KubeconfigDocument {
  readonly path: string;
  /** What the file holds; absent: it is not there yet. */
  readonly text?: string;
  readonly document: Document;
  /** Whether it has to be written back. */
  changed: boolean;
}

/** What ties an entry to a session. */
export interface Marker {
  readonly server: string;
  readonly session: string;
}

export const kinds = ['cluster', 'user', 'context'] as const;
export type Kind = (typeof kinds)[number];

export const extensionName = 'tka.specht-labs.de/session';

export interface Entry {
  readonly file: KubeconfigDocument;
  readonly kind: Kind;
  readonly index: number;
  readonly name: string;
  readonly body: Readonly<Record<string, unknown>>;
  readonly marker: Marker | undefined;
}

export function entriesOf(file: KubeconfigDocument, kind: Kind): Entry[] {
  const node = file.document.get(`${kind}s`, true);
  const list: unknown = isSeq(node) ? node.toJS(file.document) : [];
  return (Array.isArray(list) ? list : []).map((item: unknown, index) => {
    const { name, [kind]: body } = fieldsOf(item);
    const fields = fieldsOf(body);
    return {
      file,
      kind,
      index,
      name: typeof name === 'string' ? name : name === undefined ? '' : JSON.stringify(name),
      body: fields,
      marker: readMarker(fields['extensions']),
    };
  });
}

export function extensionIndex({ extensions }: Entry['body']): number {
  return Array.isArray(extensions) ? extensions.map(fieldsOf).findIndex(({ name }) => name === extensionName) : -1;
}

export function ourExtension(extensions: unknown): Readonly<Record<string, unknown>> {
  if (!Array.isArray(extensions)) return {};
  return fieldsOf(extensions.map(fieldsOf).find(({ name }) => name === extensionName)?.['extension']);
}

function readMarker(extensions: unknown): Marker | undefined {
  const { server, session } = ourExtension(extensions);
  // They become names of files, arguments and lines on a terminal.
  if (typeof server !== 'string' || URL.parse(server)?.origin !== server) return undefined;
  return typeof session === 'string' && isSessionName(session) ? { server, session } : undefined;
}

/** One that has the very marker comes before one of the same server by another name. */
export function findOwn(
  files: readonly KubeconfigDocument[],
  kind: Kind,
  { server, session }: Marker,
  isSame: SameServer = isEqual,
): Entry | undefined {
  const own = files.flatMap((file) => entriesOf(file, kind)).filter(({ marker }) => marker?.session === session);
  return (
    own.find(({ marker }) => marker?.server === server) ??
    own.find(({ marker }) => marker !== undefined && isSame(marker.server, server))
  );
}

export function currentContext(
  files: readonly KubeconfigDocument[],
): { file: KubeconfigDocument; name: string } | undefined {
  for (const file of files) {
    const name = file.document.get('current-context');
    if (typeof name === 'string' && name !== '') return { file, name };
  }
  return undefined;
}

export function hasContext(files: readonly KubeconfigDocument[], name: string): boolean {
  return files.some((file) => entriesOf(file, 'context').some((entry) => entry.name === name));
}

export const isEqual: SameServer = (one, other) => one === other;
