/**
 * Ephemeral containers (`kubectl debug`): the body of a request to `pods/NAME/ephemeralcontainers` says what is to run in the pod,
 * and is read for the audit before it is forwarded as it came. What cannot be read is undefined: protobuf, CBOR, a compressed body, a JSON
 * patch that copies a container from elsewhere in the pod, and what the API server may read differently (a key that is there twice,
 * YAML's merge keys and tags).
 */
import { isScalar, parseDocument, visit } from 'yaml';
import type { Attributes } from './attributes.ts';
import type { Entry } from './admission.ts';
import type { AuditLog } from './audit.ts';
import type { Forwarder } from './forwarder.ts';
import { type HeaderPairs, pairsOf } from './headers.ts';
import type { Recorder } from './recording.ts';
import { hasRepeatedKey } from './repeated-keys.ts';

export type EphemeralContainers = Required<Pick<Attributes, 'command'>> & Pick<Attributes, 'container' | 'image'>;

/** More than any pod has; the API server's own limit is 3 MiB. */
export const mostBodyBytes = 1024 * 1024;
/** YAML takes a hundred times as long as JSON to parse, and all other requests wait for it. */
const mostYamlBytes = 16 * 1024;

export function isEphemeral({ resource, subresource, verb }: Attributes): boolean {
  return resource === 'pods' && subresource === 'ephemeralcontainers' && verb !== 'get' && verb !== 'watch';
}

/** Notes in the entry what is to run; throws Refusal where that cannot be told and has to be. */
export async function auditEphemeral(
  forwarder: Pick<Forwarder, 'request' | 'readBody'>,
  entry: Entry,
  { recorder, log }: { readonly recorder?: Recorder; readonly log: AuditLog },
): Promise<void> {
  const body = await forwarder.readBody(mostBodyBytes);
  const found = ephemeralContainersIn(body, pairsOf(forwarder.request.rawHeaders));
  if (found !== undefined) entry.what = { ...entry.what, ...found };
  else if (recorder !== undefined) recorder.passUnread(entry);
  else log.warn({ requestId: entry.requestId }, 'the command of an ephemeral container could not be read');
}

/** The words of every container in the body, one after the other; their names and images. */
export function ephemeralContainersIn(body: Buffer, headers: HeaderPairs): EphemeralContainers | undefined {
  const found: Found = { names: [], images: [], words: [] };
  try {
    const value = documentIn(body, headers);
    if (isPatch(value)) for (const operation of value) readOperation(operation, found);
    else search(value, found);
  } catch {
    // No JSON, no YAML, or nested too deep.
    return undefined;
  }
  return {
    command: found.words,
    ...(found.names.length === 0 ? {} : { container: found.names.join(',') }),
    ...(found.images.length === 0 ? {} : { image: found.images.join(',') }),
  };
}

interface Found {
  readonly names: string[];
  readonly images: string[];
  readonly words: string[];
}

function documentIn(body: Buffer, headers: HeaderPairs): unknown {
  const valueOf = (name: string): string =>
    headers
      .find(([given]) => given === name)?.[1]
      .trim()
      .toLowerCase() ?? '';
  const encoding = valueOf('content-encoding');
  if (encoding !== '' && encoding !== 'identity') throw new TypeError('a compressed body');
  const type = valueOf('content-type').split(';', 1)[0]?.trim() ?? '';
  const text = new TextDecoder('utf-8', { fatal: true }).decode(body);
  if (type === '' || /^application\/(?:[a-z-]+\+)?json$/.test(type)) {
    const value: unknown = JSON.parse(text);
    if (hasRepeatedKey(text)) throw new TypeError('a key that is there twice');
    return value;
  }
  if (/^application\/(?:[a-z-]+\+)?yaml$/.test(type)) return valueOfYaml(text);
  throw new TypeError('a body of another type');
}

/** Throws for what YAML 1.1, which the API server reads, makes something else of, and for more than one document. */
function valueOfYaml(text: string): unknown {
  if (text.length > mostYamlBytes) throw new TypeError('a long text');
  const document = parseDocument(text, { logLevel: 'error', uniqueKeys: false });
  const [problem] = document.errors;
  if (problem !== undefined) throw problem;
  visit(document, {
    Node(_, node) {
      if (node.tag !== undefined) throw new TypeError('a tag');
    },
    // With `uniqueKeys`, the parser compares each key with each.
    Map(_, { items }) {
      const keys = items.map(({ key }) => (isScalar(key) ? String(key.value) : '<<'));
      if (keys.includes('<<') || new Set(keys).size < keys.length) throw new TypeError('a merge key, or one twice');
    },
  });
  return document.toJS();
}

type Operation = Readonly<Record<string, unknown>> & { readonly path: string };

function isPatch(value: unknown): value is readonly Operation[] {
  return Array.isArray(value) && value.every((entry) => isObject(entry) && typeof entry['path'] === 'string');
}

/** Of a JSON patch (RFC 6902). */
function readOperation({ path, op, value }: Operation, found: Found): void {
  const segments = path.split('/');
  const list = segments.findIndex((segment, i) => i > 0 && segment.toLowerCase() === 'ephemeralcontainers');
  if (list === -1) return search(value, found);
  if (op === 'copy' || op === 'move') throw new TypeError('what is copied is not in the body');
  const field = segments[list + 2];
  readContainers(field === undefined ? value : { [field]: value }, found);
}

/** Wherever it is: an object, a strategic or a merge patch, an applied configuration. */
function search(value: unknown, found: Found): void {
  if (Array.isArray(value)) for (const entry of value) search(entry, found);
  if (!isObject(value)) return;
  for (const [key, entry] of Object.entries(value)) {
    if (key.toLowerCase() === 'ephemeralcontainers') readContainers(entry, found);
    else search(entry, found);
  }
}

function readContainers(value: unknown, found: Found): void {
  if (Array.isArray(value)) for (const entry of value) readContainers(entry, found);
  if (!isObject(value)) return;
  for (const [key, entry] of Object.entries(value)) {
    if (key === 'name') found.names.push(String(entry));
    else if (key === 'image') found.images.push(String(entry));
    else if (key === 'command' || key === 'args') found.words.push(...wordsIn(entry));
  }
}

function wordsIn(value: unknown): string[] {
  if (Array.isArray(value)) return value.map(String);
  return value === null || value === undefined ? [] : [typeof value === 'string' ? value : JSON.stringify(value)];
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
