/**
 * From the path that a caller asks for to the path that the API server is asked for, byte for byte: the same, or what follows `/k8s`.
 *
 * It stays under the API server's root whatever the encoding: a segment that is or decodes to `.` or `..`, an empty one, a
 * backslash, a control character or anything else that two readers could understand differently is refused. Behind `pods/proxy`
 * and `services/proxy` an empty segment is the application's own business, and allowed; so is its query.
 */
import { prefixOf } from './classify.ts';
import { Refusal } from './status-error.ts';

/** Path and query for the API server, starting with a slash. Throws Refusal. */
export function targetOf(url: string): string {
  const rest = url.slice(prefixOf(url).length);
  const target = rest === '' || rest.startsWith('?') ? `/${rest}` : rest;
  const [path = ''] = target.split('?', 1);
  const query = target.slice(path.length);
  if (!path.startsWith('/') || !isPlain(path) || !isQuery(query)) {
    throw new Refusal(400, 'the path of the request is not one that the API server could have');
  }
  if (!isReadAlike(query) && !isToApplication(path))
    throw new Refusal(400, 'the query of the request can be read in two ways: encode each `;` and `%` in it');
  return target;
}

/**
 * Up to `proxy` of a pod's or a service's proxy subresource. Encoded only where clients do so, the colon of `https:web:443`: a
 * path that the API server might read as another resource is not one of an application.
 */
const application =
  /^\/api\/v1\/namespaces\/[A-Za-z0-9-]+\/(?:pods|services)\/(?:[A-Za-z0-9.:-]|%3[Aa])+\/proxy(?=[/?]|$)/;

/** Whether what answers is not the API server but an application in a pod. */
export function isToApplication(target: string): boolean {
  return application.test(target);
}

function isPlain(path: string): boolean {
  if (isSimple(path)) return true;
  // RFC 3986's path characters, percent-encoded ones among them; whatever else two parsers may read in two ways.
  if (!/^(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/]|%[0-9A-Fa-f]{2})*$/.test(path)) return false;
  const segments = path.split('/').slice(1);
  // None is empty before the application's own part.
  if (isToApplication(path)) return segments.every((segment) => isOrdinary(segment, true));
  // The last one may be empty: a path may end in a slash.
  return segments.every((segment, i) => isOrdinary(segment) && (segment !== '' || i === segments.length - 1));
}

/** Nearly all are: no encoding, and no segment that is empty or begins with a dot. */
function isSimple(path: string): boolean {
  return /^(?:\/[A-Za-z0-9\-_~:][A-Za-z0-9\-._~:]*)+$/.test(path);
}

/** Somebody on the way may decode once more than he should, so what comes out of that must be ordinary too. */
function isOrdinary(segment: string, mayHaveEmpty = false): boolean {
  let text = segment;
  for (let round = 0; round < 4; round += 1) {
    if (hasControlOrBackslash(text) || /(?:^|\/)\.\.?(?:\/|$)/.test(text)) return false;
    if (!mayHaveEmpty && /^\/|\/\//.test(text)) return false;
    const decoded = decode(text);
    if (decoded === text) return true;
    text = decoded;
  }
  return false;
}

function hasControlOrBackslash(text: string): boolean {
  return text.split('').some((character) => character < ' ' || character === '\x7f' || character === '\\');
}

/** Bytes as characters: what is looked for is ASCII, and what is no UTF-8 must not escape the look. */
function decode(text: string): string {
  return text.replaceAll(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

function isQuery(query: string): boolean {
  return /^(?:\?[\x21\x22\x24-\x7e]*)?$/.test(query);
}

/** The API server leaves out a parameter with a `;` or an invalid encoding: what it runs would not be what the audit shows. */
function isReadAlike(query: string): boolean {
  return /^(?:[^%;]|%[0-9A-Fa-f]{2})*$/.test(query);
}
