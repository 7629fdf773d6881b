/**
 * What the server asks the cluster before it serves: whether it has what tka needs, what an earlier tka left in it, and where its API
 * server is for others.
 */
import type { Logger } from 'pino';
import { sleep, systemClock } from '../../reconciler/clock.ts';
import { during } from '../../reconciler/cluster.ts';
import { NotFoundError } from '../../reconciler/errors.ts';
import { findClusterInfo } from './cluster-info.ts';
import { keptAccess } from '../persistence/index.ts';
import { type InstallationWatch, watchInstallation } from './installation-watch.ts';
import { type Kubernetes, connectKubernetes } from './connection.ts';
import { describeLegacy, findLegacy } from '../legacy/index.ts';
import { type PreflightDeps, installationProblems, preflight, untilChecked } from './preflight.ts';
import type { Config } from '../config/settings.ts';

export function connectCluster(
  config: Config,
  { log, version }: { readonly log: Logger; readonly version: string },
): Kubernetes {
  const [kubeconfig, context] = [config['kubernetes.kubeconfig'], config['kubernetes.context']];
  return connectKubernetes({
    log,
    version,
    ...(kubeconfig === '' ? {} : { kubeconfig }),
    ...(context === '' ? {} : { context }),
  });
}

function preflightOf(kubernetes: Kubernetes, config: Config): PreflightDeps {
  return {
    api: kubernetes,
    sessionsNamespace: config['operator.namespace'],
    roles: [...new Set([...config['roles.clusterWide'], ...config['roles.namespaced']])],
    election: config['replicas.election'],
    access: keptAccess(config),
  };
}

/** What checkCluster has found, as long as the server runs. */
export function watchCluster(kubernetes: Kubernetes, config: Config, log: Logger): InstallationWatch {
  const deps = preflightOf(kubernetes, config);
  return watchInstallation({ check: (signal) => installationProblems(deps, signal), log, clock: systemClock });
}

/** Resolves when the cluster has been found fit; asks again while it is away. */
export async function checkCluster(
  kubernetes: Kubernetes,
  config: Config,
  log: Logger,
  stop: AbortSignal,
  onWait: (words: string) => void,
): Promise<void> {
  const check = (signal: AbortSignal) => preflight(preflightOf(kubernetes, config), signal);
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

/** Where the API server is for those who get a kubeconfig; undefined, with a warning, where it is not configured. */
export async function clusterInfoOf(kubernetes: Kubernetes, config: Config, log: Logger, stop: AbortSignal) {
  const { server, caData, insecureSkipTlsVerify } = kubernetes.endpoint;
  const service = process.env['KUBERNETES_SERVICE_HOST'];
  const isInCluster = service !== undefined && new URL(server).hostname.replaceAll(/[[\]]/g, '') === service;
  const found = await findClusterInfo({
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
  if (found === undefined)
    log.warn("nobody told tka the API server's address: there will be no kubeconfigs; set clusterInfo.apiEndpoint");
  return found;
}
