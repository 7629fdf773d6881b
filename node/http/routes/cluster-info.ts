/** GET cluster-info: where the API server is and how to trust it; 503 where tka was not told. */
import type { HttpDeps } from '../deps.ts';
import { ApiError } from '../errors.ts';
import type { ApiMiddleware } from '../state.ts';

export function clusterInfoRoute(deps: HttpDeps): ApiMiddleware {
  return (ctx) => {
    const info = deps.clusterInfo();
    if (info === undefined) {
      throw new ApiError(503, 'unavailable', "this server does not know the API server's address", {
        advice: ['ask the admin of tka to set clusterInfo.apiEndpoint'],
      });
    }
    ctx.body = info;
  };
}
