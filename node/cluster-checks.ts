/**
 * What the server asks the cluster before it serves: whether it has what tka needs, what an earlier tka left in it, and where its API
 * server is for others.
 */
import type { Logger } from 'pino';
import { sleep, systemClock } from '../reconciler/clock.ts';
import { during } from '../reconciler/cluster.ts';
import { NotFoundError } from '../reconciler/errors.ts';
import { findClusterInfo } from './cluster-info.ts';
import { keptAccess } from './kept.ts';
import type { Kubernetes } from './kubernetes.ts';
import { describeLegacy, findLegacy } from './legacy.ts';
import { preflight, untilChecked } from './preflight.ts';
import type { Config } from './settings.ts';

/** Resolves when the cluster has been found fit; asks again while it is away. */
export async function checkCluster(
  kubernetes: Kubernetes,
  config: Config,
  log: Logger,
  stop: AbortSignal,
  onWait: (words: string) => void,
): Promise<void> {
  const roles = [...new Set([...config['roles.clusterWide'], ...config['roles.namespaced']])];
  const check = (signal: AbortSignal) =>
    preflight(
      {
        api: kubernetes,
        sessionsNamespace: config['operator.namespace'],
        roles,
        election: config['replicas.election'],
        access: keptAccess(config),
      },
      signal,
    );
  const { server } = kubernetes.endpoint;
  const warnings = await untilChecked(
    check,
    {
      onAway: (error, nextTryMs) => {
        onWait(`the API server ${server} is away`);
        log.warn({ server, nextTryMs, reason: error.message }, 'the API server is away: asking again');
      },
      sleep: (ms, signal) => sleep(systemClock, ms, signal),
    },
    stop,
  );
  for (const warning of warnings) log.warn(warning);
  log.info({ server, context: kubernetes.contextName }, 'the cluster is ready for tka');
}

/** Access that an earlier tka left lives for ever: worth a line at each start, and never a reason not to start. */
export async function reportLegacy(kubernetes: Kubernetes, log: Logger, stop: AbortSignal): Promise<void> {
  try {
    // What tka's own rights show of it: the bindings, which are what gives access.
    const { objects } = await findLegacy(kubernetes, stop);
    if (objects.length === 0) return;
    const shown = objects.slice(0, 20).map(describeLegacy);
    log.warn(
      { count: objects.length, objects: shown },
      'an earlier tka left access that never ends: see tka-server legacy',
    );
  } catch (error) {
    stop.throwIfAborted();
    log.warn(
      { reason: error instanceof Error ? error.message : String(error) },
      'cannot look for what an earlier tka left',
    );
  }
}

/** Where the API server is for those who get a kubeconfig; undefined where nobody has told. */
export function clusterInfoOf(kubernetes: Kubernetes, config: Config, stop: AbortSignal) {
  const { server, caData, insecureSkipTlsVerify } = kubernetes.endpoint;
  const service = process.env['KUBERNETES_SERVICE_HOST'];
  const isInCluster = service !== undefined && new URL(server).hostname.replaceAll(/[[\]]/g, '') === service;
  return findClusterInfo({
    config,
    own: { server, caData, isInsecure: insecureSkipTlsVerify, isInCluster },
    async readConfigMap(namespace, name) {
      try {
        return (await kubernetes.core.readNamespacedConfigMap({ namespace, name }, during(stop))).data ?? {};
      } catch (error) {
        if (error instanceof NotFoundError) return undefined;
        throw error;
      }
    },
  });
}
