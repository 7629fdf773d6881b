/** GET /.well-known/tka: what discovery reads. */
import type { WellKnown } from '../contract.ts';
import type { HttpDeps } from '../deps.ts';
import type { ApiMiddleware } from '../state.ts';

export function wellKnownRoute(deps: HttpDeps): ApiMiddleware {
  return (ctx) => {
    const { clusterName, labels, version, modes } = deps.settings;
    const ca = deps.ownCa();
    const replicas = deps.replicas();
    const answer: WellKnown = {
      cluster: clusterName,
      labels: { ...labels },
      version,
      modes: modes.filter((mode) => (mode === 'direct' ? deps.clusterInfo() : deps.proxyInfo('root')) !== undefined),
      api: ['v1alpha1'],
      ...(ca === undefined ? {} : { ca }),
      ...(replicas.length < 2 ? {} : { replicas: [...replicas] }),
    };
    ctx.body = answer;
  };
}
