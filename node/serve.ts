/**
 * `tka-server serve`: starts everything in order, serves until it is told to stop, stops everything in the opposite order.
 *
 * Up: health port, API server (asked until it answers), checks, persisted state, tailnet node, sessions, proxy, listeners. Down:
 * unready, listeners, requests under way (20 s), proxy, sessions, engine, Secrets, connections. Resolves when all of it is down;
 * rejects with an error for the operator where it cannot start or the node fails for good, after stopping what it had started.
 */
import type { Logger } from 'pino';
import type { Reconciler } from '../reconciler/reconciler.ts';
import type { LoadedConfig } from './config/index.ts';
import { recordingWarnings, roleWarnings } from './config/index.ts';
import { createIdentify } from './http/caller.ts';
import { createHttp, httpSettings } from './http/index.ts';
import { checkCluster, clusterInfoOf, connectCluster, watchCluster } from './kubernetes/index.ts';
import { reportLegacy } from './legacy/report.ts';
import { startObservability } from './observability/index.ts';
import { withoutMasking } from './observability/log.ts';
import { openPersistence, secretAccess } from './persistence/index.ts';
import { releaseStartupMemory } from './process/startup-memory.ts';
import { createStops, orStopped } from './process/stop.ts';
import { createClusterProxy } from './proxy/cluster-proxy.ts';
import type { Proxy } from './proxy/index.ts';
import { createSessionKeys } from './proxy/session-key.ts';
import { startSessions } from './sessions/index.ts';
import { type Started, loginHoldOf, notesOf, problemsOf } from './sessions/login-hold.ts';
import { listReplicas } from './sessions/replicas.ts';
import { contactOf } from './tailnet/control-contact.ts';
import {
  asConfigError,
  failureOf,
  listen,
  listenersOf,
  ownNamesOf,
  proxyInfoOf,
  startTailnetNode,
} from './tailnet/index.ts';
import { joining } from './tailnet/join.ts';
import type { TailnetNode } from './tsnet/node.ts';

const drainMs = 20_000;
const stopDeadlineMs = drainMs + 10_000;

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
  const join = joining(loaded, log);
  for (const warning of [...warnings, ...roleWarnings(config), ...recordingWarnings(config)]) log.warn(warning);

  const stops = createStops(log, stopDeadlineMs);
  const server: Started & {
    node?: TailnetNode;
    reconciler?: Reconciler;
    proxy?: Proxy;
    waitsFor?: string;
    isStopping?: boolean;
  } = { waitsFor: 'the server is starting' };
  const loginHold = () => loginHoldOf({ contact: server.contact, problems: problemsOf(server) });
  const onWait = (waitsFor: string): void => void (server.waitsFor = waitsFor);
  try {
    stop.throwIfAborted();
    const { metrics, tracing } = await startObservability(
      { loaded, version, log, server, loginHold, problems: () => problemsOf(server), notes: () => notesOf(server) },
      stops,
    );

    const kubernetes = connectCluster(config, { log, version });
    stops.add('connections to the API server', () => kubernetes.close());
    const checks = { kubernetes, config, access: secretAccess(config), log };
    await checkCluster(checks, onWait, stop);
    await reportLegacy(kubernetes, log, stop);
    const clusterInfo = await clusterInfoOf(checks, stop);

    const persistence = (server.persistence = await openPersistence({ config, kubernetes, log, onWait }, stop));
    stops.add('persisted state', () => persistence.close());
    const installation = (server.installation = watchCluster(checks));
    stops.add('the watch of the installation', () => installation.stop());

    const node = (server.node = startTailnetNode(config, log, { join, state: persistence.state }));
    stops.add('tailnet node', () => node.close());
    const contact = (server.contact = contactOf(config, node, log));
    stops.add('contact with the control server', () => contact.stop());

    const settings = httpSettings(config, version);
    const keys = createSessionKeys(() => persistence.serverKey.current());
    const { reconciler, sessions } = startSessions(
      {
        config,
        settings,
        kubernetes,
        node,
        contact,
        observer: metrics.reconciler,
        trace: tracing.reconciler,
        streams: {
          cut: (uid, reason) => server.proxy?.cut(uid, reason) ?? 0,
          recheck: async () => await server.proxy?.recheck(),
        },
        proxyToken: (session) => keys.token(session),
        log,
      },
      stops,
    );
    server.reconciler = reconciler;

    const proxy = (server.proxy = createClusterProxy({
      config,
      reconciler,
      endpoint: kubernetes.endpoint,
      identify: createIdentify({ settings }),
      keys,
      metrics: metrics.proxy,
      log,
      audit: withoutMasking(log),
      ownNames: () => ownNamesOf(node.state),
    }));
    stops.add('proxied connections', () => proxy.close());

    const http = createHttp({
      config,
      settings,
      proxy,
      connectionOf: (socket) => node.connectionOf(socket),
      ownNames: () => ownNamesOf(node.state),
      sessions,
      loginHold,
      clusterInfo: () => clusterInfo,
      proxyInfo: (place) => proxyInfoOf(node.state, place),
      ownCa: () => node.state.caPem,
      replicas: () => listReplicas(reconciler.state.cards),
      metrics: metrics.http,
      trace: tracing.http,
      log,
    });
    stops.add('requests under way', async () => {
      const late = AbortSignal.timeout(drainMs);
      await Promise.all([http.close(late), proxy.idle(late)]);
    });
    // They end by themselves only when their callers do.
    stops.add('streams', () => proxy.drain());

    onWait('the tailnet listeners are not open yet');
    const failed = Promise.race([failureOf(node), persistence.lost]);
    const decider = settings.modes.includes('proxy') ? proxy.decider : undefined;
    const port = config['tailscale.port'];
    await orStopped(Promise.race([listen(node, { port, server: http.server, decider }, stops, stop), failed]), stop);
    stop.throwIfAborted();
    delete server.waitsFor;
    const { dnsName, addresses } = node.state;
    log.info({ ports: listenersOf(port), dnsName, addresses }, 'serving');
    stops.add('timer', releaseStartupMemory(2000));
    await orStopped(failed, stop);
  } catch (error) {
    // A stop interrupts what is under way; that is not an error.
    if (!stop.aborted) throw asConfigError(error);
  } finally {
    server.isStopping = true;
    log.info('stopping');
    await stops.run();
  }
  log.info('stopped');
}
