/**
 * The text of a kubeconfig as a document, by what kubectl accepts: null or missing lists are empty, a file without content is
 * an empty kubeconfig, keys may repeat outside of the lists (the last one counts), `<<` merges, and of several YAML documents
 * the first one counts. apiVersion and kind may be missing, but not be those of another object. Anything else throws a
 * UserError that names the file; nothing that is later written back is lost.
 */
import { type Document, isAlias, isMap, isScalar, isSeq, type Node, parseDocument, type YAMLMap } from 'yaml';
import { UserError } from '../errors.ts';

/** What a kubeconfig without content is. */
export const skeleton = {
  apiVersion: 'v1',
  kind: 'Config',
  clusters: [],
  users: [],
  contexts: [],
  'current-context': '',
};

export function parseKubeconfig(text: string, path: string): Document {
  try {
    const document = parseSource(text);
    checkSyntax(document, path);
    if (isEmpty(document.contents)) document.contents = document.createNode(skeleton);
    checkShape(document, path);
    // Resolves the aliases: one that leads nowhere, or to too much, is found here.
    document.toJS();
    return document;
  } catch (cause) {
    if (cause instanceof ReferenceError) throw invalid(path, cause.message, cause);
    if (cause instanceof RangeError) throw invalid(path, 'it is nested too deeply', cause);
    throw cause;
  }
}

/** With what `rewriteKubeconfig` needs to find an entry's place in the text. */
export function parseSource(text: string): Document {
  // Numbers of unknown fields must come back as they were, those longer than a double included.
  return parseDocument(text, { intAsBigInt: true, keepSourceTokens: true, merge: true, uniqueKeys: false });
}

/** Bytes as kubectl decodes them: UTF-8, or UTF-16 with a byte order mark, as PowerShell's `>` writes it. */
export function decodeKubeconfig(bytes: Uint8Array, path: string): string {
  const [first, second] = bytes;
  const encoding =
    first === 0xff && second === 0xfe ? 'utf-16le' : first === 0xfe && second === 0xff ? 'utf-16be' : 'utf-8';
  try {
    return new TextDecoder(encoding, { fatal: true, ignoreBOM: encoding === 'utf-8' }).decode(bytes);
  } catch (cause) {
    throw new UserError(`the kubeconfig ${path} is not UTF-8 text`, adviceOnContent, 1, cause);
  }
}

export function isEmpty(contents: unknown): boolean {
  return contents === null || contents === undefined || (isScalar(contents) && contents.value === null);
}

const adviceOnContent = ['Nothing was changed. Correct the file, or name another with --kubeconfig or KUBECONFIG.'];

function invalid(path: string, reason: string, cause?: unknown): UserError {
  return new UserError(`the kubeconfig ${path} is not valid YAML: ${reason}`, adviceOnContent, 1, cause);
}

function checkSyntax(document: Document, path: string): void {
  const error = document.errors.find(({ code }) => code !== 'MULTIPLE_DOCS');
  if (error !== undefined) throw invalid(path, error.message.split('\n')[0] ?? '', error);
}

function checkShape(document: Document, path: string): void {
  const { contents } = document;
  if (!isMap(contents)) throw notKubeconfig(path, 'top level is not a mapping');
  checkHeader(contents, path);
  for (const key of ['clusters', 'users', 'contexts', 'current-context']) {
    const pairs = contents.items.filter((pair) => isScalar(pair.key) && pair.key.value === key);
    // kubectl reads the last one, and a change to either would lose the other.
    if (pairs.length > 1) throw invalid(path, `${key} is there ${pairs.length} times`);
    if (key === 'current-context') continue;
    const list = contents.get(key, true) as Node | undefined;
    if (isEmpty(list)) continue;
    if (!isSeq(list)) throw notKubeconfig(path, `${key} is not a list`);
    list.items.forEach((item, index) => {
      const value = isAlias(item) ? item.resolve(document) : item;
      if (!isEmpty(value) && !isMap(value)) throw notKubeconfig(path, `${key}[${index}] is not a mapping`);
    });
  }
}

/** kubectl loads no file of another kind or version: a login added to a manifest would be of no use, and damage it. */
function checkHeader(contents: YAMLMap, path: string): void {
  for (const [key, expected] of [
    ['apiVersion', 'v1'],
    ['kind', 'Config'],
  ] as const) {
    const pair = contents.items.findLast(({ key: name }) => isScalar(name) && name.value === key);
    const value = isScalar(pair?.value) ? pair.value.value : (pair?.value ?? null);
    if (value === null || value === '' || value === expected) continue;
    const found = typeof value === 'string' ? `"${value}"` : 'not a string';
    throw notKubeconfig(path, `${key} is ${found} (expected "${expected}")`);
  }
}

function notKubeconfig(path: string, reason: string): UserError {
  return new UserError(`${path} is not a kubeconfig: ${reason}`, adviceOnContent);
}
