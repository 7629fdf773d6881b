/**
 * One log line for each decision: who asked for what, by which rule, with which result. Read-only calls are logged only when they are
 * refused. Tokens and keys are never logged.
 */
import type { HttpDeps } from './deps.ts';
import { ApiError } from './errors.ts';
import type { ApiMiddleware, RequestState } from './state.ts';

export function createAuditMiddleware(deps: Pick<HttpDeps, 'log'>): ApiMiddleware {
  return async (ctx, next) => {
    const { state } = ctx;
    try {
      await next();
      if (state.audit.event !== undefined) deps.log.info(auditLine(state, 'allowed'), 'audit');
    } catch (error) {
      const isRefusal = error instanceof ApiError && error.status < 500;
      const isDecision = state.audit.event !== undefined || (error instanceof ApiError && decisions.has(error.status));
      if (isDecision) {
        const code = error instanceof ApiError ? error.code : 'internal';
        const message = error instanceof ApiError ? error.message : undefined;
        deps.log.warn({ ...auditLine(state, isRefusal ? 'refused' : 'failed'), code, reason: message }, 'audit');
      }
      throw error;
    }
  };
}

const decisions: ReadonlySet<number> = new Set([403, 421, 429]);

function auditLine({ audit, requestId }: RequestState, result: 'allowed' | 'refused' | 'failed') {
  const { caller, rule } = audit;
  return {
    audit: true,
    event: audit.event ?? 'request',
    subject: caller?.subject,
    username: caller?.username,
    node: caller?.identity.nodeId,
    rule: rule === undefined ? undefined : { period: rule.period, priority: rule.priority },
    role: rule?.role,
    namespaces: rule?.namespaces,
    session: audit.session,
    result,
    requestId,
  };
}
