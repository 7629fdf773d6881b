/**
 * `tka-server serve`: starts everything in order, serves until it is told to stop, stops everything in the opposite order.
 *
 * Up: health port, API server (asked until it answers), checks, what is kept in Secrets, sessions, tailnet node, listeners. Down:
 * unready, listeners, what is under way (20 s), reconciler, engine, Secrets, connections. Resolves when all of it is down;
 * rejects with an error for the operator where it cannot start or the node fails for good. Whatever was started by then is
 * stopped before.
 */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Logger } from 'pino';
import { annotations } from '../crd/tkasignin.ts';
import { startReconciler } from '../reconciler/index.ts';
import type { Reconciler } from '../reconciler/reconciler.ts';
import type { LoadedConfig } from './config/index.ts';
import { recordingWarnings, roleWarnings } from './config/index.ts';
import { type HealthSources, readiness, startHealth } from './observability/health.ts';
import { startAuthorization } from './sessions/authorization.ts';
import { startBindable } from './sessions/bindable.ts';
import {
  checkCluster,
  clusterInfoOf,
  connectCluster,
  reportLegacy,
  watchCluster,
} from './kubernetes/cluster-checks.ts';
import { createClusterProxy } from './proxy/cluster-proxy.ts';
import { contactOf } from './tailnet/control-contact.ts';
import { createApp } from './http/app.ts';
import { callerFrom, createIdentify } from './http/caller.ts';
import { longestPeriodMs } from './http/grants.ts';
import { createLoginLimiter } from './http/limits.ts';
import { controlHost } from './http/subject.ts';
import { joining } from './tailnet/join.ts';
import { openKept } from './persistence/index.ts';
import { type Started, loginHoldOf, notesOf, problemsOf } from './sessions/login-hold.ts';
import { createMetrics } from './observability/metrics/index.ts';
import { releaseStartupMemory } from './process/startup-memory.ts';
import { listReplicas, newsMs, replicasOf } from './sessions/replicas.ts';
import { createSessions } from './sessions/sessions.ts';
import type { Proxy } from './proxy/index.ts';
import { createSessionKeys } from './proxy/session-key.ts';
import { asConfigError, failureOf, listenersOf, ownNamesOf, proxyInfoOf, startTailnetNode } from './tailnet/index.ts';
import { createTailnetServer } from './http/server.ts';
import { orStopped, takeDown } from './process/stop.ts';
import { openTracing } from './observability/tracing/index.ts';
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
  const bindableRoles = { clusterWide: config['roles.clusterWide'], namespaced: config['roles.namespaced'] };
  log.info(bindableRoles, 'roles that may be bound');

  /** What to stop, the last started first. */
  const downs: { readonly what: string; readonly down: () => Promise<void> | void }[] = [];
  const started: Started & { proxy?: Proxy; node?: TailnetNode; reconciler?: Reconciler; waitsFor?: string } = {
    waitsFor: 'the server is starting',
  };
  const loginHold = () => loginHoldOf({ contact: started.contact, problems: problemsOf(started) });
  let isStopping = false;
  try {
    stop.throwIfAborted();
    const metrics = createMetrics(
      () => ({
        isReady: readiness(healthSources, false).status === 'ready',
        ...(started.node && { node: started.node.state }),
        installationProblems: problemsOf(started).length,
        ...(started.contact && { controlAwayMs: started.contact.awayMs() }),
        ...(started.reconciler && { reconciler: started.reconciler.state, sessions: started.reconciler.list() }),
      }),
      {
        version,
        roles: [...config['roles.clusterWide'], ...config['roles.namespaced']],
        now: () => Date.now(),
      },
    );
    downs.push({ what: 'metrics', down: () => metrics.stop() });
    const healthSources: HealthSources = {
      node: () => started.node?.state,
      reconciler: () => started.reconciler?.state,
      startup: () => started.waitsFor,
      isStopping: () => isStopping,
      loginHold: () => loginHold()?.message,
      notes: () => notesOf(started),
      version,
      scrape: () => metrics.scrape(),
      now: () => Date.now(),
    };
    const health = await startHealth(config['health.address'], config['health.port'], healthSources);
    downs.push({ what: 'health port', down: () => health.close() });
    log.info({ address: config['health.address'], port: health.port }, 'health port is open');

    const tracing = await openTracing(loaded, { version, log });
    downs.push({ what: 'traces', down: () => tracing.stop() });

    const kubernetes = connectCluster(config, { log, version });
    downs.push({ what: 'connections to the API server', down: () => kubernetes.close() });
    const onWait = (waitsFor: string): void => void (started.waitsFor = waitsFor);
    await checkCluster(kubernetes, config, log, stop, onWait);
    await reportLegacy(kubernetes, log, stop);
    const clusterInfo = await clusterInfoOf(kubernetes, config, log, stop);

    const kept = await openKept({ config, kubernetes, log, onWait }, stop);
    started.kept = kept;
    downs.push({ what: 'what is kept', down: () => kept.close() });
    const installation = watchCluster(kubernetes, config, log);
    started.installation = installation;
    downs.push({ what: 'the watch of the installation', down: () => installation.stop() });
    const keys = createSessionKeys(() => kept.serverKey.current());

    const replicas = replicasOf(config, kubernetes, () => started.node?.state);
    const reconciler = startReconciler({
      cluster: kubernetes,
      namespace: config['operator.namespace'],
      log,
      observer: metrics.reconciler,
      ...(replicas === undefined ? {} : { replicas }),
      trace: tracing.reconciler,
      onEnding(signin, reason) {
        const cut =
          started.proxy?.cut(signin.metadata.uid, `the session has ended (${reason}): run \`tka login\``) ?? 0;
        if (cut > 0) log.info({ session: signin.metadata.name, reason, streams: cut }, 'streams were cut');
      },
    });
    started.reconciler = reconciler;
    downs.push({ what: 'reconciler', down: () => reconciler.stop() });
    const httpSettings = {
      controlHost: controlHost(config['tailscale.controlUrl']),
      capability: config['tailscale.capName'],
      ownNamespaces: ['tka-system', config['kubernetes.namespace'], config['operator.namespace']],
      retryAfterSeconds: config['api.retryAfterSeconds'],
    };
    const node = startTailnetNode(config, log, { join, state: kept.state });
    started.node = node;
    started.contact = contactOf(config, node, log);
    downs.push({ what: 'contact with the control server', down: () => started.contact?.stop() });
    // Above the reconciler in this list only: the engine goes last of what callers can see.
    downs.splice(
      downs.findIndex(({ what }) => what === 'reconciler'),
      0,
      { what: 'tailnet node', down: () => node.close() },
    );

    const proxy = createClusterProxy({
      node,
      reconciler,
      endpoint: kubernetes.endpoint,
      identify: createIdentify({ settings: httpSettings }),
      keys,
      limits: { streamsPerSession: config['limits.streamsPerSession'], streams: config['limits.streams'] },
      metrics: metrics.proxy,
      ...(config['recording.directory'] === ''
        ? {}
        : {
            recording: {
              directory: config['recording.directory'],
              fail: config['recording.fail'],
              maxBytes: config['recording.maxMegabytes'] * 1_000_000,
            },
          }),
      log,
      ownNames: () => ownNamesOf(node.state),
    });
    started.proxy = proxy;
    downs.push({ what: 'proxied connections', down: () => proxy.close() });
    const authorization = startAuthorization({
      sessions: () => reconciler.list(),
      identities: (nodes, signal) => node.identify(nodes, signal),
      callerFrom: (identity) => callerFrom(identity, { settings: httpSettings }),
      periodMs: ({ grants }, session) => longestPeriodMs(grants.rules, session),
      end: (name, reason, signal) => reconciler.end(name, reason, signal),
      async shorten({ metadata, spec }, endsAt, signal) {
        // One that has ended meanwhile must not come back.
        if (reconciler.get(metadata.name)?.metadata.uid !== metadata.uid) return;
        // Tokens that reach the later end die only with the session's account: another takes its place.
        await reconciler.signIn({ ...spec, node: metadata.annotations?.[annotations.node] ?? '', endsAt }, signal);
      },
      recheckStreams: () => proxy.recheck(),
      onHint(listener) {
        node.on('peers', listener);
        return () => node.off('peers', listener);
      },
      log,
      maxUnknownMs: config['limits.unknownGrantSeconds'] * 1000,
      controlAwayMs: () => started.contact?.awayMs() ?? 0,
      newsMs: newsMs(replicas),
      isLeading: () => reconciler.state.isLeading,
      now: () => performance.now(),
      date: () => new Date(),
    });
    downs.push({ what: 'authorization', down: () => authorization.stop() });
    const { ownNamespaces } = httpSettings;
    const bindable = startBindable({ reconciler, cluster: kubernetes, roles: bindableRoles, ownNamespaces, log });
    downs.push({ what: 'the watch on roles', down: () => bindable.stop() });

    const app = createApp({
      connectionOf: (socket) => node.connectionOf(socket),
      ownNames: () => ownNamesOf(node.state),
      sessions: createSessions({
        reconciler: {
          ...reconciler,
          async signIn(request, signal) {
            const signin = await reconciler.signIn(request, signal);
            authorization.admitted(signin.metadata.uid);
            return signin;
          },
        },
        cluster: reconciler,
        bindable: bindableRoles,
        proxyToken: (session) => keys.token(session),
        sessionsPerSubject: config['limits.sessionsPerSubject'],
        retryAfterSeconds: config['api.retryAfterSeconds'],
        now: () => new Date(),
      }),
      loginHold,
      limiter: createLoginLimiter(
        {
          perSubjectPerMinute: config['limits.loginsPerMinute'],
          totalPerMinute: config['limits.totalLoginsPerMinute'],
        },
        () => performance.now(),
      ),
      clusterInfo: () => clusterInfo,
      proxyInfo: (place) => proxyInfoOf(node.state, place),
      ownCa: () => node.state.caPem,
      replicas: () => listReplicas(reconciler.state.cards),
      settings: {
        version,
        clusterName: config['operator.clusterName'],
        labels: config['clusterInfo.labels'],
        contextPrefix: config['operator.contextPrefix'],
        userPrefix: config['operator.userPrefix'],
        ...httpSettings,
        modes: config['api.modes'],
        logoutTimeoutMs: 15_000,
        readyGraceMs: 2_000,
      },
      metrics: metrics.http,
      trace: tracing.http,
      log,
      now: () => new Date(),
      newRequestId: randomUUID,
    });
    const handle = app.callback();
    const isProxied = ({ url = '', rawHeaders }: IncomingMessage): boolean =>
      config['api.modes'].includes('proxy') && proxy.handles({ url, rawHeaders });
    const web = createTailnetServer({
      request: (req, res) => (isProxied(req) ? proxy.request(req, res) : void handle(req, res)),
      upgrade: (req, socket, head) => proxy.upgrade(req, socket, head),
      isProxied,
    });
    downs.push({
      what: 'requests under way',
      async down() {
        const late = AbortSignal.timeout(drainMs);
        await Promise.all([web.close(late), proxy.idle(late)]);
      },
    });
    // They end by themselves only when their callers do.
    downs.push({ what: 'streams', down: () => proxy.drain() });

    started.waitsFor = 'the tailnet listeners are not open yet';
    const failed = Promise.race([failureOf(node), kept.lost]);
    const listening = Promise.all(
      listenersOf(config['tailscale.port']).map(async ({ port, tls }) => {
        const decides = tls && config['api.modes'].includes('proxy');
        const listener = await node.listen(port, { tls, ...(decides ? { decider: proxy.decider } : {}) });
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
    if (!stop.aborted) throw asConfigError(error);
  } finally {
    isStopping = true;
    log.info('stopping');
    for (const { what, down } of downs.toReversed()) await takeDown(what, down, { log, withinMs: stopDeadlineMs });
  }
  log.info('stopped');
}
