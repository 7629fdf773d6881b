/**
 * Headers on their way through: an allow-list towards the API server, a deny-list towards an application behind `pods/proxy` or
 * `services/proxy`, whose headers are its own, and a deny-list back.
 *
 * What belongs to one connection is taken away first (RFC 9110, 7.6.1), then only what the list names goes on. Credentials and
 * identities that a caller brings besides the session's token are refused, not dropped: whoever sends them expects them
 * to count.
 */
import { Refusal } from './status-error.ts';

/** What a Kubernetes client has to say to the API server, and what pods behind it need to serve a page. */
const forwarded: ReadonlySet<string> = new Set([
  'accept',
  'accept-charset',
  'accept-encoding',
  'accept-language',
  'baggage',
  'cache-control',
  'content-encoding',
  'content-language',
  'content-type',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-unmodified-since',
  'kubectl-command',
  'kubectl-session',
  'last-event-id',
  'range',
  'traceparent',
  'tracestate',
  'user-agent',
]);

/** These besides, on an upgrade. */
const forwardedOnUpgrade: ReadonlySet<string> = new Set([
  'sec-websocket-extensions',
  'sec-websocket-key',
  'sec-websocket-protocol',
  'sec-websocket-version',
  'x-stream-protocol-version',
]);

/**
 * What an application does not get either: this connection's own, credentials, and what the API server or an application may
 * take for a statement of a trusted proxy's about the caller (the API server writes X-Forwarded-For into its audit log).
 */
const withheldFromApplications: ReadonlySet<string> = new Set([
  'authorization',
  'connection',
  'content-length',
  'expect',
  'forwarded',
  'host',
  'http2-settings',
  'keep-alive',
  'origin',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'x-real-ip',
]);
const withheldFromApplicationsByPrefix = ['impersonate-', 'proxy-', 'tailscale-', 'x-forwarded-', 'x-remote-'];

/** What concerns one connection, or this host, and must not come back from the API server or a pod behind it. */
const withheld: ReadonlySet<string> = new Set([
  'alt-svc',
  'clear-site-data',
  'connection',
  'content-security-policy',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'referrer-policy',
  'server',
  'set-cookie',
  'set-cookie2',
  'strict-transport-security',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'www-authenticate',
  'x-content-type-options',
  'x-request-id',
]);

const withheldPrefixes = ['access-control-'];

/** For the engine, which writes answers' heads; what their Connection names is left out as well. */
export const answerRules = { withheld: [...withheld], withheldPrefixes } as const;

/**
 * Whether the cookies of an application may come back. Not to a browser that shows the application as a page of this host: there
 * they would go to every other application too. A local proxy between the two (kubectl's) says X-Forwarded-For, which no page can.
 */
export function mayKeepCookies(headers: HeaderPairs): boolean {
  const isBrowser = headers.some(([name]) => name.startsWith('sec-fetch-'));
  return !isBrowser || headers.some(([name]) => name === 'x-forwarded-for');
}

export type HeaderPairs = readonly (readonly [name: string, value: string])[];

/** Node's `rawHeaders` as pairs, names in lower case, repetitions kept. */
export function pairsOf(rawHeaders: readonly string[]): HeaderPairs {
  const pairs: [string, string][] = [];
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    pairs.push([(rawHeaders[i] ?? '').toLowerCase(), rawHeaders[i + 1] ?? '']);
  }
  return pairs;
}

export type HeaderReject = 'impersonation' | 'credential';

/** Throws Refusal for what no request may carry; `onReject` counts it. */
export function refuseForeignCredentials(headers: HeaderPairs, onReject: (kind: HeaderReject) => void): void {
  for (const [name, value] of headers) {
    if (name === 'connection' ? value.split(',').some(isImpersonation) : isImpersonation(name)) {
      onReject('impersonation');
      throw new Refusal(
        400,
        'impersonation (kubectl --as) does not work through tka: log in with `tka login --mode direct` to use it, with the rights of your role',
      );
    }
    if (name === 'sec-websocket-protocol' && value.split(',').some(isBearerProtocol)) {
      onReject('credential');
      throw new Refusal(400, 'a websocket through tka has no credential but the session token');
    }
  }
}

const impersonation = 'impersonate-';

/** Any spelling that some server may take for `Impersonate-User` and its like: gateways read `_` as `-`. */
function isImpersonation(name: string): boolean {
  if (name.length < impersonation.length) return false;
  return name.trim().toLowerCase().replaceAll('_', '-').startsWith(impersonation);
}

function isBearerProtocol(protocol: string): boolean {
  return protocol.trim().toLowerCase().startsWith('base64url.bearer.authorization.');
}

/** The token of exactly one `Authorization: Bearer`; undefined where there is none. Throws Refusal for two of any kind. */
export function bearerTokenIn(headers: HeaderPairs, onReject: (kind: HeaderReject) => void): string | undefined {
  let found: string | undefined;
  for (const [name, value] of headers) {
    if (name.replaceAll('_', '-') !== 'authorization') continue;
    if (found === undefined) {
      found = value;
      continue;
    }
    onReject('credential');
    throw new Refusal(400, 'a request has one Authorization header');
  }
  return /^bearer +([^\s,]+) *$/i.exec(found ?? '')?.[1];
}

export interface Route {
  /** To websocket or SPDY. */
  readonly isUpgrade: boolean;
  /** To what `pods/proxy` or `services/proxy` leads to. */
  readonly isApplication: boolean;
  /** The API server's own origin. */
  readonly origin: string;
}

/**
 * What the API server gets of a caller's headers, without credentials, host and length. `origin` is there in the place of a
 * caller's own, which has been found to be this host's: the API server's websocket watch wants one, an application compares it with
 * its Host.
 */
export function forwardHeaders(
  headers: HeaderPairs,
  { isUpgrade, isApplication, origin }: Route,
): Record<string, string> {
  const dropped = connectionTokens(headers);
  const passes = isApplication
    ? isApplicationHeader
    : (name: string) => forwarded.has(name) || (isUpgrade && forwardedOnUpgrade.has(name));
  const out = new Map<string, string>();
  for (const [name, value] of headers) {
    if (dropped.has(name)) continue;
    if (name === 'origin' && (isUpgrade || isApplication)) out.set(name, origin);
    if (!passes(name)) continue;
    const before = out.get(name);
    // Repeated, a list (RFC 9110, 5.3); cookies have a separator of their own (RFC 6265, 5.4).
    out.set(name, before === undefined ? value : `${before}${name === 'cookie' ? '; ' : ', '}${value}`);
  }
  return Object.fromEntries(out);
}

/** Gateways read `_` as `-`. */
function isApplicationHeader(name: string): boolean {
  const plain = name.replaceAll('_', '-');
  return (
    !withheldFromApplications.has(plain) && !withheldFromApplicationsByPrefix.some((start) => plain.startsWith(start))
  );
}

/** A length that a number here does not hold exactly would be sent on as another. */
export function refuseInexactLength(headers: HeaderPairs): void {
  for (const [name, value] of headers) {
    if (name === 'content-length' && Number(value) > Number.MAX_SAFE_INTEGER)
      throw new Refusal(413, 'the body is longer than any that the Kubernetes API takes');
  }
}

function connectionTokens(headers: HeaderPairs): ReadonlySet<string> {
  const tokens = new Set<string>();
  for (const [name, value] of headers) {
    if (name === 'connection') for (const token of value.split(',')) tokens.add(token.trim().toLowerCase());
  }
  return tokens;
}

/** A redirect within the API server comes back through us; one to elsewhere is nobody's to follow with a session's token. */
export function ownLocation(location: string, origin: string, prefix: string): string | undefined {
  if (/^\/(?![/\\])/.test(location)) return `${prefix}${location}`;
  const url = URL.parse(location);
  if (url === null) return /^[\w.~-][^:]*$/.test(location) ? location : undefined;
  return url.origin === origin ? `${prefix}${url.pathname}${url.search}` : undefined;
}
