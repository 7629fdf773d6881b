/**
 * The connection to the cluster as the configuration has it, and what the server asks the cluster before it serves: whether
 * tka is installed there, and where users find its API server.
 */
import type { Logger } from 'pino';
import { sleep, systemClock } from '../../reconciler/clock.ts';
import { during } from '../../reconciler/cluster.ts';
import { NotFoundError } from '../../reconciler/errors.ts';
import type { Config } from '../config/settings.ts';
import type { Access } from './access.ts';
import { findClusterInfo } from './cluster-info.ts';
import { type Kubernetes, connectKubernetes } from './connection.ts';
import { type InstallationWatch, watchInstallation } from './installation-watch.ts';
import { type PreflightDeps, installationProblems, preflight, untilChecked } from './preflight.ts';

export function connectCluster(
  config: Config,
  options: { readonly log: Logger; readonly version: string },
): Kubernetes {
  return connectKubernetes({
    ...options,
    kubeconfig: config['kubernetes.kubeconfig'],
    context: config['kubernetes.context'],
  });
}

export interface ClusterChecks {
  readonly kubernetes: Kubernetes;
  readonly config: Config;
  /** What tka needs for its Secrets, as configured. */
  readonly access: readonly Access[];
  readonly log: Logger;
}

function preflightOf({ kubernetes, config, access }: Omit<ClusterChecks, 'log'>): PreflightDeps {
  return {
    api: kubernetes,
    sessionsNamespace: config['operator.namespace'],
    roles: [...new Set([...config['roles.clusterWide'], ...config['roles.namespaced']])],
    election: config['replicas.election'],
    access,
  };
}

/** Repeats the checks of checkCluster while the server runs. */
export function watchCluster(checks: ClusterChecks): InstallationWatch {
  const deps = preflightOf(checks);
  return watchInstallation({
    check: (signal) => installationProblems(deps, signal),
    log: checks.log,
    clock: systemClock,
  });
}

/** Resolves when the checks have passed; retries while the API server is unreachable. */
export async function checkCluster(
  { kubernetes, config, access, log }: ClusterChecks,
  onWait: (words: string) => void,
  stop: AbortSignal,
): Promise<void> {
  const check = (signal: AbortSignal) => preflight(preflightOf({ kubernetes, config, access }), signal);
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

/** The API server's address for users; undefined, with a warning, where it is unknown. */
export async function clusterInfoOf({ kubernetes, config, log }: ClusterChecks, stop: AbortSignal) {
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
    log.warn(
      "the API server's address for users is unknown: no kubeconfigs for direct mode; set clusterInfo.apiEndpoint",
    );
  return found;
}
