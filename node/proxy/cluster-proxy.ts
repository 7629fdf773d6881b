/**
 * Wires the proxy: the tailnet node says who calls, the reconciler's cache which sessions there are, and the API server is
 * reached with its CA alone.
 */
import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import { endOf } from '../../crd/parse.ts';
import type { TkaSignin } from '../../crd/tkasignin.ts';
import {
  ApiUnavailableError,
  SessionEndingError,
  SessionFailedError,
  SessionNotFoundError,
  SessionNotReadyError,
} from '../../reconciler/errors.ts';
import type { Reconciler } from '../../reconciler/reconciler.ts';
import type { Config } from '../config/settings.ts';
import type { Identify } from '../http/caller.ts';
import { coversScope } from '../http/grants.ts';
import { refuseForeignRequest } from '../http/origin.ts';
import type { Caller } from '../http/state.ts';
import type { ClusterEndpoint } from '../kubernetes/connection.ts';
import type { ProxyCaller, ProxySession } from './decision.ts';
import { createProxy, type Proxy } from './index.ts';
import type { ProxyMetrics } from './deps.ts';
import { createRecorder } from './recording.ts';
import { Refusal } from './status-error.ts';
import type { SessionKeys } from './session-key.ts';
import { createUpstream } from './upstream.ts';

export interface ClusterProxyDeps {
  readonly config: Config;
  readonly reconciler: Pick<Reconciler, 'get' | 'keptToken' | 'tokenRefused'>;
  readonly endpoint: ClusterEndpoint;
  readonly identify: Identify;
  readonly keys: SessionKeys;
  readonly metrics: ProxyMetrics;
  readonly log: Logger;
  /** For what callers and paths are called: nothing in it is masked. */
  readonly audit: Logger;
  ownNames(): readonly string[];
}

export function createClusterProxy(deps: ClusterProxyDeps): Proxy {
  const { config, reconciler, endpoint, metrics, log, audit } = deps;
  const upstream = createUpstream({
    server: endpoint.server,
    insecureSkipTlsVerify: endpoint.insecureSkipTlsVerify,
    ...(endpoint.caData === '' ? {} : { ca: Buffer.from(endpoint.caData, 'base64').toString('latin1') }),
    ...(endpoint.tlsServerName === undefined ? {} : { serverName: endpoint.tlsServerName }),
  });
  // Objects of the cache do not change: a session that does is another object.
  const sessions = new WeakMap<TkaSignin, ProxySession>();
  const callers = new WeakMap<Caller, ProxyCaller>();
  const origin = { ownNames: () => deps.ownNames(), metrics };
  return createProxy({
    async caller(connection) {
      const found = await deps.identify(connection);
      let caller = callers.get(found);
      if (caller === undefined) {
        caller = callerOf(found);
        callers.set(found, caller);
      }
      return caller;
    },
    refuseForeignRequest: (request) => refuseForeignRequest(request, true, origin),
    session(name) {
      const signin = reconciler.get(name);
      if (signin === undefined) return undefined;
      let session = sessions.get(signin);
      if (session === undefined) {
        session = sessionOf(signin);
        sessions.set(signin, session);
      }
      return session;
    },
    async token({ name }, withinMs) {
      try {
        return (await reconciler.keptToken(name, withinMs)).token;
      } catch (error) {
        throw refusalOf(error);
      }
    },
    tokenRefused({ name }, token) {
      log.warn({ session: name }, "the API server did not accept a session's token: the next request gets another");
      reconciler.tokenRefused(name, token);
    },
    keys: deps.keys,
    upstream,
    limits: { streamsPerSession: config['limits.streamsPerSession'], streams: config['limits.streams'] },
    metrics,
    ...(config['recording.directory'] === ''
      ? {}
      : {
          recorder: createRecorder({
            directory: config['recording.directory'],
            fail: config['recording.fail'],
            maxBytes: config['recording.maxMegabytes'] * 1_000_000,
            failed: (reason) => metrics.recordingFailed(reason),
            log,
            now: () => new Date(),
          }),
        }),
    log: {
      info: (...line) => audit.info(...line),
      warn: (...line) => audit.warn(...line),
      error: (...line) => log.error(...line),
    },
    now: () => Date.now(),
    newRequestId: randomUUID,
  });
}

function callerOf({ subject, username, identity, grants }: Caller): ProxyCaller {
  const covers: ProxyCaller['covers'] = (role, namespaces) => coversScope(grants.rules, { role, namespaces });
  return { subject, username, node: identity.nodeId, covers };
}

function sessionOf(signin: TkaSignin): ProxySession {
  const { metadata, spec } = signin;
  return {
    name: metadata.name,
    uid: metadata.uid,
    subject: spec.subject,
    role: spec.role,
    ...(spec.namespaces === undefined ? {} : { namespaces: spec.namespaces }),
    endsAt: endOf(signin),
    isEnding: metadata.deletionTimestamp !== undefined,
  };
}

function refusalOf(error: unknown): unknown {
  if (error instanceof SessionNotReadyError)
    return new Refusal(503, 'the session is still being provisioned', { cause: error });
  if (error instanceof SessionEndingError || error instanceof SessionNotFoundError) {
    return new Refusal(401, 'the session has ended: run `tka login`', { cause: error });
  }
  if (error instanceof SessionFailedError) return new Refusal(403, error.message, { cause: error });
  const isLate = error instanceof DOMException && error.name === 'TimeoutError';
  if (isLate || error instanceof ApiUnavailableError)
    return new Refusal(503, 'the API server does not answer tka', { cause: error });
  return error;
}
