/**
 * `tka-server serve`: starts everything in order, serves until it is told to stop, stops everything in the opposite order.
 *
 * Up: health port, API server (asked until it answers), checks, sessions, tailnet node, listeners. Down: unready, listeners, what is
 * under way (20 s), reconciler, engine, connections. Resolves when all of it is down; rejects with an error for the
 * operator where it cannot start or the node fails for good. Whatever was started by then is stopped before.
 */
import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import { startReconciler } from '../reconciler/index.ts';
import { systemClock, sleep } from '../reconciler/clock.ts';
import { during } from '../reconciler/cluster.ts';
import { NotFoundError } from '../reconciler/errors.ts';
import type { Reconciler } from '../reconciler/reconciler.ts';
import { findClusterInfo } from './cluster-info.ts';
import type { LoadedConfig } from './config.ts';
import { roleWarnings } from './config.ts';
import { startHealth } from './health.ts';
import { createApp } from './http/app.ts';
import { createLoginLimiter } from './http/limits.ts';
import { controlHost } from './http/subject.ts';
import type { Kubernetes } from './kubernetes.ts';
import { connectKubernetes } from './kubernetes.ts';
import { describeLegacy, findLegacy } from './legacy.ts';
import { createMetrics } from './metrics.ts';
import { preflight, untilChecked } from './preflight.ts';
import { releaseStartupMemory } from './startup-memory.ts';
import { createSessions } from './sessions.ts';
import type { Config } from './settings.ts';
import { listenersOf, ownNamesOf, startTailnetNode } from './tailnet.ts';
import { createTailnetServer } from './tailnet-server.ts';
import type { TailnetNode } from './tsnet/node.ts';

const drainMs = 20_000;
const stopDeadlineMs = 10_000;

export interface ServeOptions {
  readonly loaded: LoadedConfig;
  readonly version: string;
  readonly log: Logger;
  /** Aborts to stop. */
  readonly stop: AbortSignal;
}

export async function serve({ loaded, version, log, stop }: ServeOptions): Promise<void> {
  const { values: config, warnings } = loaded;
  log.info({ version, node: process.version }, 'tka-server starts');
  for (const warning of [...warnings, ...roleWarnings(config)]) log.warn(warning);
  log.info(
    { clusterWide: config['roles.clusterWide'], namespaced: config['roles.namespaced'] },
    'roles that may be bound',
  );

  /** What to stop, the last started first. */
  const downs: { readonly what: string; readonly down: () => Promise<void> | void }[] = [];
  const started: { node?: TailnetNode; reconciler?: Reconciler; waitsFor?: string } = {
    waitsFor: 'the server is starting',
  };
  let isStopping = false;
  try {
    stop.throwIfAborted();
    const metrics = createMetrics(
      () => ({
        ...(started.node && { engine: { isUp: started.node.state.ready, restarts: started.node.state.restarts } }),
        ...(started.reconciler && { reconciler: started.reconciler.state, sessions: started.reconciler.list() }),
      }),
      () => Date.now(),
    );
    downs.push({ what: 'metrics', down: () => metrics.stop() });
    const health = await startHealth(config['health.address'], config['health.port'], {
      node: () => started.node?.state,
      reconciler: () => started.reconciler?.state,
      startup: () => started.waitsFor,
      isStopping: () => isStopping,
      scrape: () => metrics.scrape(),
      now: () => Date.now(),
    });
    downs.push({ what: 'health port', down: () => health.close() });
    log.info({ address: config['health.address'], port: health.port }, 'health port is open');

    const kubernetes = connectKubernetes({
      log,
      version,
      ...(config['kubernetes.kubeconfig'] === '' ? {} : { kubeconfig: config['kubernetes.kubeconfig'] }),
      ...(config['kubernetes.context'] === '' ? {} : { context: config['kubernetes.context'] }),
    });
    downs.push({ what: 'connections to the API server', down: () => kubernetes.close() });
    await checkCluster(kubernetes, config, log, stop, (waitsFor) => (started.waitsFor = waitsFor));
    await reportLegacy(kubernetes, log, stop);
    const clusterInfo = await clusterInfoOf(kubernetes, config, stop);
    if (clusterInfo === undefined)
      log.warn("nobody told tka the API server's address: there will be no kubeconfigs; set clusterInfo.apiEndpoint");

    const reconciler = startReconciler({
      cluster: kubernetes,
      namespace: config['operator.namespace'],
      log,
      observer: metrics.reconciler,
    });
    started.reconciler = reconciler;
    downs.push({ what: 'reconciler', down: () => reconciler.stop() });
    const node = await startTailnetNode(config, log);
    started.node = node;
    // Above the reconciler in this list only: the engine goes last of what callers can see.
    downs.splice(
      downs.findIndex(({ what }) => what === 'reconciler'),
      0,
      { what: 'tailnet node', down: () => node.close() },
    );

    const app = createApp({
      connectionOf: (socket) => node.connectionOf(socket),
      ownNames: () => ownNamesOf(node.state),
      sessions: createSessions({
        reconciler,
        cluster: reconciler,
        bindable: { clusterWide: config['roles.clusterWide'], namespaced: config['roles.namespaced'] },
        sessionsPerSubject: config['limits.sessionsPerSubject'],
        retryAfterSeconds: config['api.retryAfterSeconds'],
        now: () => new Date(),
      }),
      limiter: createLoginLimiter(
        {
          perSubjectPerMinute: config['limits.loginsPerMinute'],
          totalPerMinute: config['limits.totalLoginsPerMinute'],
        },
        () => performance.now(),
      ),
      clusterInfo: () => clusterInfo,
      ownCa: () => node.state.caPem,
      settings: {
        version,
        clusterName: config['operator.clusterName'],
        labels: config['clusterInfo.labels'],
        contextPrefix: config['operator.contextPrefix'],
        userPrefix: config['operator.userPrefix'],
        controlHost: controlHost(config['tailscale.controlUrl']),
        capability: config['tailscale.capName'],
        ownNamespaces: ['tka-system', config['operator.namespace']],
        modes: ['direct'],
        retryAfterSeconds: config['api.retryAfterSeconds'],
        logoutTimeoutMs: 15_000,
        readyGraceMs: 2_000,
      },
      metrics: metrics.http,
      log,
      now: () => new Date(),
      newRequestId: randomUUID,
    });
    const handle = app.callback();
    const web = createTailnetServer((req, res) => void handle(req, res));
    downs.push({ what: 'requests under way', down: () => web.close(AbortSignal.timeout(drainMs)) });

    started.waitsFor = 'the tailnet listeners are not open yet';
    const failed = failureOf(node);
    const listening = Promise.all(
      listenersOf(config['tailscale.port']).map(async ({ port, tls }) => {
        const listener = await node.listen(port, { tls });
        listener.attach(web.server);
        downs.push({ what: `port ${port}`, down: () => listener.close() });
      }),
    );
    await orStopped(Promise.race([Promise.all([listening, node.whenReady(stop)]), failed]), stop);
    stop.throwIfAborted();
    delete started.waitsFor;
    log.info(
      { ports: listenersOf(config['tailscale.port']), dnsName: node.state.dnsName, addresses: node.state.addresses },
      'serving',
    );
    downs.push({ what: 'timer', down: releaseStartupMemory(2000) });
    await orStopped(failed, stop);
  } catch (error) {
    // Whoever asked for the stop does not want to hear that something was not finished.
    if (!stop.aborted) throw error;
  } finally {
    isStopping = true;
    log.info('stopping');
    for (const { what, down } of downs.toReversed()) await takeDown(what, down, log);
  }
  log.info('stopped');
}

async function checkCluster(
  kubernetes: Kubernetes,
  config: Config,
  log: Logger,
  stop: AbortSignal,
  onWait: (words: string) => void,
): Promise<void> {
  const roles = [...new Set([...config['roles.clusterWide'], ...config['roles.namespaced']])];
  const check = (signal: AbortSignal) =>
    preflight({ api: kubernetes, sessionsNamespace: config['operator.namespace'], roles }, signal);
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
async function reportLegacy(kubernetes: Kubernetes, log: Logger, stop: AbortSignal): Promise<void> {
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

function clusterInfoOf(kubernetes: Kubernetes, config: Config, stop: AbortSignal) {
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

/** Rejects when the node fails for good; never resolves. */
function failureOf(node: TailnetNode): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>();
  node.on('state', ({ status }) => {
    // whenReady knows the error in its own type.
    if (status === 'Failed') node.whenReady().catch(reject);
  });
  promise.catch(() => {});
  return promise;
}

async function orStopped(work: Promise<unknown>, stop: AbortSignal): Promise<void> {
  const stopped = Promise.withResolvers<void>();
  const onAbort = (): void => stopped.resolve();
  if (stop.aborted) onAbort();
  stop.addEventListener('abort', onAbort, { once: true });
  try {
    await Promise.race([work, stopped.promise]);
  } finally {
    stop.removeEventListener('abort', onAbort);
    work.catch(() => {});
  }
}

/** One that hangs must not keep the others up; the requests have a deadline of their own. */
async function takeDown(what: string, down: () => Promise<void> | void, log: Logger): Promise<void> {
  const late = AbortSignal.timeout(drainMs + stopDeadlineMs);
  const overdue = new Promise<never>((_resolve, reject) => {
    late.addEventListener('abort', () => reject(new Error('it did not stop in time')));
  });
  try {
    await Promise.race([down(), overdue]);
  } catch (error) {
    log.warn(
      { what, reason: error instanceof Error ? error.message : String(error) },
      'something did not stop cleanly',
    );
  }
}
