/** Middleware: each call that is described is a span, a part of the caller's trace where it names one. */
import type { HttpDeps } from './deps.ts';
import { operationIds, operations } from './operations.ts';
import type { ApiMiddleware } from './state.ts';

const methods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

export function traceCalls({ trace, connectionOf }: Pick<HttpDeps, 'trace' | 'connectionOf'>): ApiMiddleware {
  return async (ctx, next) => {
    const route = operationIds.map((id) => operations[id].path).find((path) => path === ctx.path);
    // A connection from outside the tailnet cannot request a trace.
    const traceparent = connectionOf(ctx.req.socket) === undefined ? '' : ctx.get('traceparent');
    const method = methods.has(ctx.method) ? ctx.method : '_OTHER';
    await trace.request({ method, route, traceparent }, next, () => ({
      status: ctx.status,
      requestId: ctx.state.requestId,
    }));
  };
}
