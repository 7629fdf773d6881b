/**
 * What operators see of the server: the health port with its metrics, and traces. The health port is open before anything else
 * is started and closes last.
 */
import type { Logger } from 'pino';
import type { Reconciler } from '../../reconciler/reconciler.ts';
import type { LoadedConfig } from '../config/index.ts';
import type { LoginHold } from '../http/deps.ts';
import type { Stops } from '../process/stop.ts';
import type { NodeState } from '../tsnet/node.ts';
import { type HealthSources, readiness, startHealth } from './health.ts';
import { type Metrics, createMetrics } from './metrics/index.ts';
import { openTracing } from './tracing/index.ts';
import type { Tracing } from './tracing/otlp.ts';

/** The server as it is now; what has not been started yet is absent. */
export interface ObservedServer {
  readonly node?: { readonly state: NodeState };
  readonly reconciler?: Pick<Reconciler, 'state' | 'list'>;
  readonly contact?: { awayMs(): number };
  /** What its start waits for; absent: it serves. */
  readonly waitsFor?: string;
  readonly isStopping?: boolean;
}

export interface ObservabilityOptions {
  readonly loaded: LoadedConfig;
  readonly version: string;
  readonly log: Logger;
  readonly server: ObservedServer;
  loginHold(): LoginHold | undefined;
  /** Problems of the installation. */
  problems(): readonly string[];
  notes(): readonly string[];
}

export async function startObservability(
  { loaded, version, log, server, ...options }: ObservabilityOptions,
  stops: Stops,
): Promise<{ readonly metrics: Metrics; readonly tracing: Tracing }> {
  const { values: config } = loaded;
  const metrics = createMetrics(
    () => ({
      isReady: readiness(sources, false).status === 'ready',
      ...(server.node && { node: server.node.state }),
      installationProblems: options.problems().length,
      ...(server.contact && { controlAwayMs: server.contact.awayMs() }),
      ...(server.reconciler && { reconciler: server.reconciler.state, sessions: server.reconciler.list() }),
    }),
    { version, roles: [...config['roles.clusterWide'], ...config['roles.namespaced']], now: () => Date.now() },
  );
  stops.add('metrics', () => metrics.stop());
  const sources: HealthSources = {
    node: () => server.node?.state,
    reconciler: () => server.reconciler?.state,
    startup: () => server.waitsFor,
    isStopping: () => server.isStopping ?? false,
    loginHold: () => options.loginHold()?.message,
    notes: () => options.notes(),
    version,
    scrape: () => metrics.scrape(),
    now: () => Date.now(),
  };
  const health = await startHealth(config['health.address'], config['health.port'], sources);
  stops.add('health port', () => health.close());
  log.info({ address: config['health.address'], port: health.port }, 'health port is open');

  const tracing = await openTracing(loaded, { version, log });
  stops.add('traces', () => tracing.stop());
  return { metrics, tracing };
}
