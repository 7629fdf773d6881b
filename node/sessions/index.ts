/**
 * Sessions: the reconciler that provisions them, the checks that end them when their grant or their role goes, and what the
 * HTTP API calls. Stopped in the opposite order.
 */
import type { Logger } from 'pino';
import { annotations } from '../../crd/tkasignin.ts';
import { startReconciler } from '../../reconciler/index.ts';
import type { Reconciler, ReconcilerObserver, ReconcilerTrace } from '../../reconciler/reconciler.ts';
import type { Config } from '../config/settings.ts';
import { callerFrom } from '../http/caller.ts';
import type { HttpSettings, Sessions } from '../http/deps.ts';
import { longestPeriodMs } from '../http/grants.ts';
import type { Kubernetes } from '../kubernetes/connection.ts';
import type { Stops } from '../process/stop.ts';
import type { ControlContact } from '../tailnet/control-contact.ts';
import type { TailnetNode } from '../tsnet/node.ts';
import { startAuthorization } from './authorization.ts';
import { startBindable } from './bindable.ts';
import { newsMs, replicasOf } from './replicas.ts';
import { createSessions } from './sessions.ts';

export interface SessionsOptions {
  readonly config: Config;
  readonly settings: HttpSettings;
  readonly kubernetes: Kubernetes;
  readonly node: TailnetNode;
  readonly contact: Pick<ControlContact, 'awayMs'>;
  readonly observer: ReconcilerObserver;
  readonly trace: ReconcilerTrace;
  /** What sessions have open at the proxy. */
  readonly streams: { cut(uid: string, reason: string): number; recheck(): Promise<void> };
  readonly proxyToken: (session: { readonly name: string; readonly uid: string }) => string;
  readonly log: Logger;
}

export function startSessions(
  { config, settings, kubernetes, node, contact, observer, trace, streams, proxyToken, log }: SessionsOptions,
  stops: Stops,
): { readonly reconciler: Reconciler; readonly sessions: Sessions } {
  const roles = { clusterWide: config['roles.clusterWide'], namespaced: config['roles.namespaced'] };
  log.info(roles, 'roles that may be bound');
  const replicas = replicasOf(config, kubernetes, () => node.state);
  const reconciler = startReconciler({
    cluster: kubernetes,
    namespace: config['operator.namespace'],
    log,
    observer,
    ...(replicas === undefined ? {} : { replicas }),
    trace,
    onEnding(signin, reason) {
      const cut = streams.cut(signin.metadata.uid, `the session has ended (${reason}): run \`tka login\``);
      if (cut > 0) log.info({ session: signin.metadata.name, reason, streams: cut }, 'streams were cut');
    },
  });
  stops.add('reconciler', () => reconciler.stop());

  const authorization = startAuthorization({
    sessions: () => reconciler.list(),
    identities: (nodes, signal) => node.identify(nodes, signal),
    callerFrom: (identity) => callerFrom(identity, { settings }),
    periodMs: ({ grants }, session) => longestPeriodMs(grants.rules, session),
    end: (name, reason, signal) => reconciler.end(name, reason, signal),
    async shorten({ metadata, spec }, endsAt, signal) {
      // A session that has ended meanwhile must not come back.
      if (reconciler.get(metadata.name)?.metadata.uid !== metadata.uid) return;
      // Tokens that are valid until the later end die only with the session's account: a new account replaces it.
      await reconciler.signIn({ ...spec, node: metadata.annotations?.[annotations.node] ?? '', endsAt }, signal);
    },
    recheckStreams: () => streams.recheck(),
    onHint(listener) {
      node.on('peers', listener);
      return () => node.off('peers', listener);
    },
    log,
    maxUnknownMs: config['limits.unknownGrantSeconds'] * 1000,
    controlAwayMs: () => contact.awayMs(),
    newsMs: newsMs(replicas),
    isLeading: () => reconciler.state.isLeading,
    now: () => performance.now(),
    date: () => new Date(),
  });
  stops.add('authorization', () => authorization.stop());

  const bindable = startBindable({
    reconciler,
    cluster: kubernetes,
    roles,
    ownNamespaces: settings.ownNamespaces,
    log,
  });
  stops.add('the watch on roles', () => bindable.stop());

  const sessions = createSessions({
    reconciler,
    onAdmitted: (uid) => authorization.admitted(uid),
    bindable: roles,
    proxyToken,
    sessionsPerSubject: config['limits.sessionsPerSubject'],
    retryAfterSeconds: settings.retryAfterSeconds,
    now: () => new Date(),
  });
  return { reconciler, sessions };
}
