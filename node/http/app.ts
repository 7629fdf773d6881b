/**
 * The API as a Koa application: createApp(deps).callback() serves any http.Server.
 *
 * In this order: trace, error form, audit line, the request's origin, the caller, the route. Before the caller is known only the
 * request's target, Host and Origin are read, and no body.
 */
import { Router } from '@koa/router';
import Koa from 'koa';
import { createAuditMiddleware } from './audit.ts';
import { createCallerMiddleware } from './caller.ts';
import type { HttpDeps } from './deps.ts';
import { paths } from './contract.ts';
import { ApiError, answerOf } from './errors.ts';
import type { OperationId } from './operations.ts';
import { operationIds, operations } from './operations.ts';
import { refuseForeignRequest } from './origin.ts';
import { clusterInfoRoute } from './routes/cluster-info.ts';
import { kubeconfigRoute } from './routes/kubeconfig.ts';
import { loginRoute } from './routes/login.ts';
import { loginStatusRoute } from './routes/login-status.ts';
import { logoutRoute } from './routes/logout.ts';
import { openApiRoute } from './routes/openapi.ts';
import { sessionListRoute } from './routes/session-list.ts';
import { wellKnownRoute } from './routes/well-known.ts';
import { whoamiRoute } from './routes/whoami.ts';
import type { ApiMiddleware, RequestState } from './state.ts';
import { traceCalls } from './trace.ts';

export function createApp(deps: HttpDeps): Koa<RequestState> {
  const router = new Router<RequestState>({ strict: true, sensitive: true });
  const routes: Readonly<Record<OperationId, ApiMiddleware>> = {
    login: loginRoute(deps),
    loginStatus: loginStatusRoute(deps),
    kubeconfig: kubeconfigRoute(deps),
    logout: logoutRoute(deps),
    whoami: whoamiRoute(),
    sessions: sessionListRoute(deps),
    clusterInfo: clusterInfoRoute(deps),
    wellKnown: wellKnownRoute(deps),
    openapi: openApiRoute(deps),
  };
  for (const id of operationIds) router[operations[id].method](operations[id].path, routes[id]);

  const app = new Koa<RequestState>();
  // Only broken connections reach Koa's own handler: errors of routes end in answerErrors.
  app.on('error', (error: unknown) => deps.log.debug({ err: error }, 'a connection broke'));
  app.use(traceCalls(deps));
  app.use(answerErrors(deps));
  app.use(createAuditMiddleware(deps));
  app.use(async (ctx, next) => {
    refuseForeignRequest(ctx.req, deps.connectionOf(ctx.req.socket)?.tls ?? false, deps);
    await next();
  });
  app.use(createCallerMiddleware(deps));
  app.use(router.routes());
  app.use(redirectSwagger);
  app.use((ctx) => {
    const known = router.match(ctx.path, ctx.method).path.flatMap((layer) => layer.methods);
    if (known.length === 0) throw new ApiError(404, 'not_found', 'no such path');
    throw new ApiError(405, 'bad_request', `this path does not allow ${ctx.method}`, {
      headers: { Allow: [...new Set(known)].join(', ') },
    });
  });
  return app;
}

/** The Go tka's path for its API description, redirected to this one's. */
const redirectSwagger: ApiMiddleware = async (ctx, next) => {
  if (ctx.method === 'GET' && /^\/swagger(?:\/|$)/.test(ctx.path)) {
    ctx.status = 308;
    ctx.set('Location', paths.openapi);
  } else {
    await next();
  }
};

function answerErrors(deps: HttpDeps): ApiMiddleware {
  return async (ctx, next) => {
    const requestId = deps.newRequestId();
    const gone = new AbortController();
    ctx.res.once('close', () => gone.abort());
    // Koa starts every request with an empty state; this is where it gets its type.
    Object.assign(ctx.state, { requestId, signal: gone.signal, audit: {} } satisfies RequestState);
    ctx.set({
      'X-Request-Id': requestId,
      'Cache-Control': 'no-store',
      'X-Content-Type-Options': 'nosniff',
      'Referrer-Policy': 'no-referrer',
      'Cross-Origin-Resource-Policy': 'same-origin',
      'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
    });
    try {
      await next();
    } catch (error) {
      if (gone.signal.aborted) return;
      const { status, headers, body, isBug } = answerOf(error, requestId);
      if (isBug) deps.log.error({ err: error, requestId, path: ctx.path, method: ctx.method }, 'a request failed');
      ctx.set({ ...headers });
      ctx.status = status;
      ctx.body = body;
    }
  };
}
