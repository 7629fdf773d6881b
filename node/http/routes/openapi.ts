/** GET /openapi.json: what this API is, made on demand from the contract's schemas. */
import type { HttpDeps } from '../deps.ts';
import type { ApiMiddleware } from '../state.ts';

export function openApiRoute({ settings }: Pick<HttpDeps, 'settings'>): ApiMiddleware {
  return async (ctx) => {
    const { openApiDocument } = await import('../openapi/document.ts');
    ctx.body = openApiDocument(settings.version);
  };
}
