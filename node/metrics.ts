/**
 * What tka counts, in Prometheus' form. Base units, `tka_` before each name, and never a user in a label: people come and go,
 * and their names are nobody's business here.
 *
 * The registry is the caller's own; gauges are read when somebody scrapes, from whatever `watch` was given by then.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';
import { findCondition } from '../crd/conditions.ts';
import type { TkaSignin } from '../crd/tkasignin.ts';
import type { ReconcilerObserver, ReconcilerState } from '../reconciler/reconciler.ts';
import type { HttpMetrics } from './http/deps.ts';
import type { ProxyMetrics } from './proxy/index.ts';

export interface MetricsSources {
  readonly engine?: { readonly isUp: boolean; readonly restarts: number };
  readonly reconciler?: ReconcilerState;
  readonly sessions?: readonly TkaSignin[];
}

export interface Metrics {
  readonly http: HttpMetrics;
  readonly reconciler: ReconcilerObserver;
  readonly proxy: ProxyMetrics;
  /** The text that Prometheus scrapes. */
  scrape(): Promise<{ readonly type: string; readonly text: string }>;
  stop(): void;
}

const lagResolutionMs = 100;

export function createMetrics(sources: () => MetricsSources, now: () => number): Metrics {
  const registry = new Registry();
  const registers = [registry];
  // Every tick of the monitor wakes an idle process.
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: lagResolutionMs });

  const counter = <L extends string>(name: string, help: string, labelNames: readonly L[] = []) =>
    new Counter<L>({ name, help, labelNames, registers });
  const histogram = <L extends string>(name: string, help: string, buckets: number[], labelNames: readonly L[] = []) =>
    new Histogram<L>({ name, help, buckets, labelNames, registers });
  const gauge = (name: string, help: string, read: () => number | undefined) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        const value = read();
        if (value === undefined) this.remove();
        else this.set(value);
      },
    });

  const logins = counter('tka_login_total', 'Logins by what became of them.', ['result', 'reason']);
  const seconds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
  const loginSeconds = histogram('tka_login_seconds', 'Time from a login to each stage.', seconds, ['stage']);
  const rejected = counter('tka_header_reject_total', 'Requests refused for their headers.', ['kind']);
  const proxied = histogram(
    'tka_proxy_seconds',
    'Time of requests through the proxy, from their head to their end.',
    [0.005, 0.01, 0.025, 0.1, 0.5, 1, 5, 30, 300, 3600],
    ['verb', 'code'],
  );
  const bytes = counter('tka_proxy_bytes_total', 'Bytes of bodies through the proxy.', ['direction']);
  const streams = new Gauge({ name: 'tka_proxy_streams', help: 'Requests under way through the proxy.', registers });
  const mints = counter('tka_token_mint_total', 'Tokens minted.');
  const mintSeconds = histogram('tka_token_mint_seconds', 'Time to mint a token.', seconds);
  const lag = histogram(
    'tka_cleanup_lag_seconds',
    "Time from a session's end to its access being gone.",
    [0.1, 0.5, 1, 5, 15, 60, 300, 3600],
    ['reason'],
  );
  const orphans = counter('tka_orphans_found_total', 'Objects of sessions that were no more, removed.', ['kind']);
  const retries = counter('tka_workqueue_retries_total', 'Sessions looked at again after a failure.');
  const stuck = new Set<string>();
  gauge('tka_cleanup_stuck', 'Sessions whose access cannot be removed.', () => stuck.size);

  const age = (at: number | undefined) => (at === undefined ? undefined : Math.max(0, (now() - at) / 1000));
  gauge('tka_workqueue_depth', 'Sessions waiting to be looked at.', () => sources().reconciler?.queueDepth);
  gauge('tka_leader', '1 while this replica works on the sessions.', () => {
    const { reconciler } = sources();
    return reconciler === undefined ? undefined : Number(reconciler.isLeading);
  });
  gauge('tka_relist_age_seconds', 'Time since the last whole list of sessions.', () =>
    age(sources().reconciler?.lastListAt),
  );
  gauge('tka_watch_last_event_age_seconds', 'Time since the last event of the watch.', () =>
    age(sources().reconciler?.lastWatchEventAt),
  );
  gauge('tka_engine_up', '1 while the tailnet node is ready.', () => Number(sources().engine?.isUp ?? false));
  new Counter({
    name: 'tka_engine_restarts_total',
    help: 'Times the tailnet engine was started again.',
    registers,
    collect() {
      this.reset();
      this.inc(sources().engine?.restarts ?? 0);
    },
  }).reset();
  gauge('tka_next_expiry_overdue_seconds', 'How long ago the next session to end should have ended.', () => {
    const { reconciler } = sources();
    return reconciler === undefined ? undefined : (age(reconciler.nextEndAt) ?? 0);
  });

  const delay = monitorEventLoopDelay({ resolution: lagResolutionMs });
  delay.enable();
  gauge('tka_eventloop_lag_seconds', 'Longest delay of the event loop since the last scrape.', () => {
    // The histogram holds the time between two ticks, which on an idle loop is the resolution itself.
    const lagMs = delay.max / 1e6 - lagResolutionMs;
    delay.reset();
    return Math.max(0, lagMs / 1000);
  });

  const sessions = new Gauge({
    name: 'tka_sessions',
    help: 'Sessions by role and phase.',
    labelNames: ['role', 'phase'],
    registers,
    collect() {
      this.reset();
      for (const signin of sources().sessions ?? []) this.inc({ role: signin.spec.role, phase: phaseOf(signin) });
    },
  });
  sessions.reset();

  return {
    http: {
      login: (result, reason) => logins.inc({ result, reason }),
      loginStage: (stage, took) => loginSeconds.observe({ stage }, took),
      headerRejected: (kind) => rejected.inc({ kind }),
    },
    reconciler: {
      sessionEnded: (reason, lagSeconds) => lag.observe({ reason }, lagSeconds),
      orphanRemoved: (kind) => orphans.inc({ kind }),
      cleanupStuck: (name, isStuck) => (isStuck ? stuck.add(name) : stuck.delete(name)),
      tokenMinted: (took) => {
        mints.inc();
        mintSeconds.observe(took);
      },
      retried: () => retries.inc(),
    },
    proxy: {
      headerRejected: (kind) => rejected.inc({ kind }),
      served: ({ verb, status, seconds: took }) =>
        proxied.observe(
          { verb: verbs.has(verb) ? verb : 'other', code: status === 0 ? 'none' : `${Math.floor(status / 100)}xx` },
          took,
        ),
      streams: (open) => streams.set(open),
      bytes: (direction, count) => bytes.inc({ direction }, count),
    },
    scrape: async () => ({ type: registry.contentType, text: await registry.metrics() }),
    stop: () => {
      delay.disable();
      registry.clear();
    },
  };
}

/** Whatever else a caller names as a method must not become a label. */
const verbs: ReadonlySet<string> = new Set([
  'get',
  'list',
  'watch',
  'create',
  'update',
  'patch',
  'delete',
  'deletecollection',
]);

function phaseOf({ metadata, status }: TkaSignin): 'ending' | 'ready' | 'pending' {
  if (metadata.deletionTimestamp !== undefined) return 'ending';
  return findCondition(status?.conditions, 'Ready')?.status === 'True' ? 'ready' : 'pending';
}
