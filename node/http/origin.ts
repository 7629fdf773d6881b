/**
 * Which requests are meant for this server and come from no foreign web page.
 *
 * A web page can make a browser on the tailnet send requests here, and by DNS rebinding even under a name of its own. So the Host must be one
 * of ours (421 otherwise, as RFC 9110 has it for a request that reached the wrong server), and a browser's Origin and
 * Sec-Fetch-Site must say that nobody else asked (403). No answer ever carries a CORS header.
 */
import type { IncomingMessage } from 'node:http';
import { ApiError } from './errors.ts';

interface OriginDeps {
  ownNames(): readonly string[];
  readonly metrics: { headerRejected(kind: 'host' | 'origin' | 'target'): void };
}

/** Throws where the request must not be answered. */
export function refuseForeignRequest(req: IncomingMessage, isTls: boolean, deps: OriginDeps): void {
  // An absolute target overrides Host (RFC 9112, 3.2.2); nobody needs one here.
  if (req.url === undefined || !req.url.startsWith('/') || req.url.startsWith('//')) {
    deps.metrics.headerRejected('target');
    throw new ApiError(400, 'bad_request', 'the request target must be a path');
  }
  // Node keeps the first of two and forgets the other, which something before us may have gone by.
  const host = countOf(req.rawHeaders, 'host') === 1 ? (req.headers.host ?? '') : '';
  if (!deps.ownNames().includes(nameIn(host))) {
    deps.metrics.headerRejected('host');
    throw new ApiError(421, 'bad_request', 'this server does not go by that name', {
      advice: ['use its MagicDNS name, its short name or its tailnet address'],
    });
  }
  if (isForeignOrigin(req, `${isTls ? 'https' : 'http'}://${host}`)) {
    deps.metrics.headerRejected('origin');
    throw new ApiError(403, 'forbidden_origin', 'web pages of other origins may not call this server');
  }
}

function countOf(rawHeaders: readonly string[], name: string): number {
  return rawHeaders.filter((header, i) => i % 2 === 0 && header.toLowerCase() === name).length;
}

/** The name in a Host header, lower case, without the port and the root's dot; empty where it is none. */
function nameIn(host: string): string {
  const match = /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{1,5})?$/i.exec(host);
  return (match?.[1] ?? '').toLowerCase().replace(/\.$/, '');
}

function isForeignOrigin(req: IncomingMessage, ownOrigin: string): boolean {
  const site = req.headers['sec-fetch-site'];
  if (site !== undefined && site !== 'none' && site !== 'same-origin') return true;
  const { origin } = req.headers;
  if (origin === undefined) return false;
  return !URL.canParse(origin) || new URL(origin).origin !== new URL(ownOrigin).origin;
}
