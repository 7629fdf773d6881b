/**
 * Which requests are meant for this server and do not come from a foreign web page.
 *
 * A web page can make a browser on the tailnet send requests here, with DNS rebinding even under a host name of its own. So the Host
 * must be one of this server's (421 otherwise, as in RFC 9110 for a request that reached the wrong server), and a browser's Origin
 * and Sec-Fetch-Site must show the same origin (403 otherwise). No answer ever carries a CORS header.
 */
import { ApiError } from './errors.ts';

interface OriginDeps {
  ownNames(): readonly string[];
  readonly metrics: { headerRejected(kind: 'host' | 'origin' | 'target'): void };
}

/** The parts of a request that are read. */
export interface RequestHead {
  readonly url?: string | undefined;
  /** Name, value, name, value. */
  readonly rawHeaders: readonly string[];
}

/** Throws where the request must not be answered. */
export function refuseForeignRequest(req: RequestHead, isTls: boolean, deps: OriginDeps): void {
  // An absolute target overrides Host (RFC 9112, 3.2.2); no client needs one here.
  if (req.url === undefined || !req.url.startsWith('/') || req.url.startsWith('//')) {
    deps.metrics.headerRejected('target');
    throw new ApiError(400, 'bad_request', 'the request target must be a path');
  }
  // Node.js keeps only the first of two Host headers; a proxy before this server may have used the other.
  const hosts = valuesOf(req, 'host');
  const host = hosts.length === 1 ? (hosts[0] ?? '') : '';
  if (!deps.ownNames().includes(nameIn(host))) {
    deps.metrics.headerRejected('host');
    throw new ApiError(421, 'bad_request', 'this server has no such name', {
      advice: ['use its MagicDNS name, its short name or its tailnet address'],
    });
  }
  if (isForeignOrigin(req, `${isTls ? 'https' : 'http'}://${host}`)) {
    deps.metrics.headerRejected('origin');
    throw new ApiError(403, 'forbidden_origin', 'web pages of other origins may not call this server');
  }
}

function valuesOf({ rawHeaders }: RequestHead, name: string): string[] {
  const values: string[] = [];
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const given = rawHeaders[i] ?? '';
    if (given.length === name.length && given.toLowerCase() === name) values.push(rawHeaders[i + 1] ?? '');
  }
  return values;
}

/** The name in a Host header, lower case, without the port and the trailing dot; empty where it is invalid. */
function nameIn(host: string): string {
  const match = /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{1,5})?$/i.exec(host);
  return (match?.[1] ?? '').toLowerCase().replace(/\.$/, '');
}

function isForeignOrigin(req: RequestHead, ownOrigin: string): boolean {
  if (valuesOf(req, 'sec-fetch-site').some((site) => site !== 'none' && site !== 'same-origin')) return true;
  return valuesOf(req, 'origin').some(
    (origin) => !URL.canParse(origin) || new URL(origin).origin !== new URL(ownOrigin).origin,
  );
}
