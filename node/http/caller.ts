/**
 * Middleware: identifies the caller and their grants. The identity comes with the connection, never from a header. A caller without
 * an identity is refused; if the identity cannot be determined, the answer is 503 and nothing is done.
 */
import type { HttpDeps } from './deps.ts';
import { ApiError } from './errors.ts';
import { parseGrants } from './grants.ts';
import type { Connection, Identity } from './identity.ts';
import type { ApiMiddleware, Caller } from './state.ts';
import { subjectOf, usernameOf } from './subject.ts';

const refusals: Readonly<Record<NonNullable<Identity['refusal']>, { message: string; advice: string }>> = {
  unknown: { message: 'the tailnet does not know this address', advice: 'log in to the tailnet again, then retry' },
  funnel: {
    message: 'requests from outside of the tailnet are refused',
    advice: "join the tailnet and use this server's MagicDNS name",
  },
  'shared-in': {
    message: 'this node is shared in from another tailnet',
    advice: "use a node of this server's own tailnet",
  },
  expired: { message: "this node's key has expired", advice: 'run `tailscale login` on it, then retry' },
  'foreign-address': {
    message: "this address is not the node's own",
    advice: "call from the node itself, by the node's tailnet address",
  },
  router: {
    message: 'this node routes traffic for others, so the caller cannot be identified',
    advice: 'call from a node that is neither a subnet router nor an exit node',
  },
};

/** Number of different invalid rules that are remembered as logged; a policy has few. */
const maxTold = 1000;

export function createCallerMiddleware(deps: HttpDeps): ApiMiddleware {
  const identify = createIdentify(deps);
  const told = new Set<string>();
  return async (ctx, next) => {
    const caller = await identify(deps.connectionOf(ctx.req.socket));
    ctx.state.audit.caller = caller;
    for (const { rule, reason } of caller.grants.dropped) {
      // Each is logged once, because every request carries the rules again.
      const key = `${reason} ${rule}`;
      if (told.has(key)) continue;
      if (told.size >= maxTold) told.clear();
      told.add(key);
      deps.log.warn(
        { subject: caller.subject, rule, reason, requestId: ctx.state.requestId },
        'a capability rule was dropped',
      );
    }
    await next();
  };
}

/** What createIdentify() needs. */
export interface IdentifyDeps {
  readonly settings: Pick<HttpDeps['settings'], 'retryAfterSeconds' | 'controlHost' | 'capability' | 'ownNamespaces'>;
}

/** Throws an ApiError: 403 for a caller that must be refused, 503 where the caller cannot be identified. */
export type Identify = (connection: Connection | undefined) => Promise<Caller>;

export function createIdentify(deps: IdentifyDeps): Identify {
  // One WhoIs answer is one object, renewed after 10 s: its rules are parsed once.
  const known = new WeakMap<Identity, Caller>();
  return async (connection) => {
    if (connection === undefined) throw refusedNode(refusals.funnel);
    let identity: Identity;
    try {
      identity = await connection.identity();
    } catch (cause) {
      throw new ApiError(503, 'unavailable', 'the caller cannot be identified: the tailnet node is not connected', {
        advice: ['retry in a moment'],
        retryAfterSeconds: deps.settings.retryAfterSeconds,
        cause,
      });
    }
    let caller = known.get(identity);
    if (caller === undefined) {
      caller = callerFrom(identity, deps);
      known.set(identity, caller);
    }
    return caller;
  };
}

/** Throws an ApiError with 403 for a caller that must be refused. */
export function callerFrom(identity: Identity, { settings }: IdentifyDeps): Caller {
  if (identity.refusal !== undefined) throw refusedNode(refusals[identity.refusal]);
  const subject = subjectOf(identity, settings.controlHost);
  if (subject === undefined) throw refusedNode(refusals.unknown);
  const grants = parseGrants(identity.capabilities[settings.capability] ?? [], settings.ownNamespaces);
  return { subject, username: usernameOf(identity), identity, grants };
}

function refusedNode({ message, advice }: { readonly message: string; readonly advice: string }): ApiError {
  return new ApiError(403, 'refused_node', message, { advice: [advice] });
}
