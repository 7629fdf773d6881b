/**
 * What must hold before a request goes to the API server, in this order: its origin, its path, no foreign credentials, the caller by
 * the connection, the session by the token; then the session's own token, and the session once more after
 * whatever had to be waited for.
 */
import { attributesOf } from './attributes.ts';
import type { Audited } from './audit.ts';
import { decide, holds, type ProxyCaller, type ProxySession } from './decision.ts';
import type { Outcome, ProxyRequest } from './request.ts';
import {
  bearerTokenIn,
  forwardHeaders,
  type HeaderReject,
  mayKeepCookies,
  pairsOf,
  refuseForeignCredentials,
  refuseInexactLength,
} from './headers.ts';
import type { ProxyDeps } from './deps.ts';
import { Refusal } from './status-error.ts';
import { isToApplication, targetOf } from './target.ts';

/** A request and what is known of it so far. */
export interface Entry extends Audited {
  who: Audited['who'];
  what: Audited['what'];
  readonly startedAt: number;
}

export interface Admitted {
  readonly session: ProxySession;
  readonly caller: ProxyCaller;
  readonly path: string;
  /** Whether an application in a pod answers, not the API server. */
  readonly isApplication: boolean;
  /** The answer is an application's, and may set cookies. */
  readonly withCookies: boolean;
  readonly headers: Record<string, string>;
}

export interface Admission {
  /** Everything up to the session, noted in `entry` step by step; throws Refusal. */
  admit(request: ProxyRequest, entry: Entry): Promise<Admitted>;
  /** Every header that the API server gets, the credential among them. */
  authorize(admitted: Admitted, requestId: string): Promise<Record<string, string>>;
  /** How it ended: a 401 of the API server's own means that it does not accept the session's token. */
  answered(admitted: Admitted, outcome: Outcome): void;
  /** Whether the one who opened it may still have it; nobody who cannot be named. */
  stillHolds(request: ProxyRequest, admitted: Admitted): Promise<boolean>;
}

const methods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);
const tokenDeadlineMs = 10_000;

export function createAdmission(deps: ProxyDeps): Admission {
  const admit = async (request: ProxyRequest, entry: Entry): Promise<Admitted> => {
    const isUpgrade = request.upgrade !== undefined;
    const onReject = (kind: HeaderReject): void => deps.metrics.headerRejected(kind);
    deps.refuseForeignRequest(request);
    // Before 1.1, an answer that breaks off looks like one that is over.
    if (request.httpVersion !== '1.1') throw new Refusal(400, 'the Kubernetes API is served over HTTP/1.1 alone');
    if (!request.connection.tls) throw new Refusal(403, 'the Kubernetes API is served over https alone');
    const target = targetOf(request.url);
    const { method } = request;
    entry.what = attributesOf(method, target, isUpgrade);
    if (!methods.has(method)) throw new Refusal(405, 'the Kubernetes API has no such method');
    const headers = pairsOf(request.rawHeaders);
    refuseInexactLength(headers);
    refuseForeignCredentials(headers, onReject);
    const token = bearerTokenIn(headers, onReject);
    const caller = await deps.caller(request.connection);
    entry.who = { subject: caller.subject, username: caller.username, node: caller.node };
    const session = decide(deps, caller, token);
    const { subject, username, node } = caller;
    entry.who = { subject, username, node, session: session.name, role: session.role };
    const isApplication = isToApplication(target);
    if (request.upgrade !== undefined && request.upgrade.protocol === undefined)
      throw new Refusal(400, 'a connection can be upgraded to websocket or SPDY/3.1, and to nothing else');
    const { basePath, url } = deps.upstream;
    return {
      session,
      caller,
      path: `${basePath}${target}`,
      isApplication,
      withCookies: isApplication && mayKeepCookies(headers),
      headers: {
        ...forwardHeaders(headers, { isUpgrade, isApplication, origin: url.origin }),
        ...upgradeHeaders(request),
      },
    };
  };

  const authorize = async (
    { session, caller, headers }: Admitted,
    requestId: string,
  ): Promise<Record<string, string>> => {
    const token = await deps.token(session, tokenDeadlineMs);
    const now = deps.session(session.name);
    if (now === undefined || now.uid !== session.uid || !holds(deps, now, caller)) {
      throw new Refusal(401, 'the session has ended: run `tka login`');
    }
    // The API server's own audit then has the same ID.
    headers['authorization'] = `Bearer ${token}`;
    headers['audit-id'] = requestId;
    return headers;
  };

  const answered = ({ session, headers, isApplication }: Admitted, { status, cut }: Outcome): void => {
    // An application in a pod has credentials of its own to refuse.
    if (status !== 401 || cut !== undefined || isApplication) return;
    deps.tokenRefused(session, (headers['authorization'] ?? '').slice('Bearer '.length));
  };

  const stillHolds = async ({ connection }: ProxyRequest, { session }: Admitted): Promise<boolean> => {
    try {
      const caller = await deps.caller(connection);
      const now = deps.session(session.name);
      return now !== undefined && now.uid === session.uid && holds(deps, now, caller);
    } catch (error) {
      // While nobody can say (503) a stream goes on, as its session does.
      return refusalOf(error)?.status === 503;
    }
  };

  return { admit, authorize, answered, stillHolds };
}

function upgradeHeaders({ upgrade }: ProxyRequest): Record<string, string> {
  return upgrade?.protocol === undefined ? {} : { connection: 'Upgrade', upgrade: upgrade.protocol };
}

/** Errors of what was injected say by `status` and `expose` what a caller may hear. */
export function refusalOf(error: unknown): Refusal | undefined {
  if (error instanceof Refusal) return error;
  if (!(error instanceof Error) || !('status' in error) || !('expose' in error) || error.expose !== true)
    return undefined;
  const status = [400, 401, 403, 421, 429, 503].find((known) => known === error.status);
  // One of the numbers above.
  return new Refusal((status ?? 503) as 503, error.message, { cause: error });
}
