/**
 * tka's metrics in Prometheus' form, as defined in metrics/definitions.ts.
 *
 * The registry is the caller's own; gauges are read at each scrape, from what `sources` returns then. A label value that is not allowed
 * is counted under another one. Series of a closed list exist from the start, so that the first event is an increase and not a new
 * series.
 */
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';
import { findCondition } from '../../../crd/conditions.ts';
import type { TkaSignin } from '../../../crd/tkasignin.ts';
import type { ReconcilerObserver, ReconcilerState } from '../../../reconciler/reconciler.ts';
import { errorCodes } from '../../http/contract.ts';
import type { HttpMetrics } from '../../http/deps.ts';
import type { MetricName } from './definitions.ts';
import { bounded, definitions } from './definitions.ts';
import { lagResolutionMs, watchEventLoop } from './event-loop.ts';
import type { ProxyMetrics } from '../../proxy/deps.ts';
import type { NodeState } from '../../tsnet/node.ts';

export interface MetricsSources {
  /** What /readyz would say. */
  readonly isReady?: boolean;
  readonly node?: Pick<NodeState, 'ready' | 'restarts' | 'keyExpiry' | 'controlHeard' | 'certExpiry'>;
  readonly controlAwayMs?: number;
  readonly installationProblems?: number;
  readonly reconciler?: Pick<
    ReconcilerState,
    'isLeading' | 'queueDepth' | 'lastListAt' | 'lastWatchEventAt' | 'nextEndAt'
  >;
  readonly sessions?: readonly TkaSignin[];
}

export interface MetricsOptions {
  readonly version: string;
  /** Every role that tka may bind. */
  readonly roles: readonly string[];
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

export interface Metrics {
  readonly http: HttpMetrics;
  readonly reconciler: ReconcilerObserver;
  readonly proxy: ProxyMetrics;
  /** The text that Prometheus scrapes. */
  scrape(): Promise<{ readonly type: string; readonly text: string }>;
  stop(): void;
}

export function createMetrics(sources: () => MetricsSources, { version, roles, now }: MetricsOptions): Metrics {
  const registry = new Registry();
  // Every tick of the monitor wakes an idle process.
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: lagResolutionMs });
  const { gauge, counter, histogram, read, total } = makers(registry);

  gauge('tka_build_info').set({ version, node: process.version }, 1);
  read('tka_ready', () => Number(sources().isReady ?? false));
  read('tka_leader', () => {
    const { reconciler } = sources();
    return reconciler === undefined ? undefined : Number(reconciler.isLeading);
  });

  const logins = counter('tka_login_total');
  const loginSeconds = histogram('tka_login_seconds');
  for (const [result, reason] of firstLogins) logins.inc({ result, reason }, 0);
  const mints = counter('tka_token_mint_total');
  const mintSeconds = histogram('tka_token_mint_seconds');
  const rejected = counter('tka_header_reject_total');
  const lag = histogram('tka_cleanup_lag_seconds');
  const orphans = counter('tka_orphans_found_total');
  const retries = counter('tka_workqueue_retries_total');
  const proxied = histogram('tka_proxy_seconds');
  const unrecorded = counter('tka_recording_failures_total');
  for (const reason of definitions.tka_recording_failures_total.labels.reason) unrecorded.inc({ reason }, 0);
  // Counted for each request, and turned into a metric at each scrape.
  const bytes = { in: 0, out: 0 };
  const carried = { engine: 0, server: 0 };
  total('tka_proxy_bytes_total', 'direction', bytes);
  total('tka_proxy_requests_total', 'by', carried);
  let streams = 0;
  read('tka_proxy_streams', () => streams);
  for (const stage of definitions.tka_login_seconds.labels.stage) loginSeconds.zero({ stage });
  for (const reason of definitions.tka_cleanup_lag_seconds.labels.reason) lag.zero({ reason });
  for (const kind of definitions.tka_header_reject_total.labels.kind) rejected.inc({ kind }, 0);
  for (const kind of definitions.tka_orphans_found_total.labels.kind) orphans.inc({ kind }, 0);

  const stuck = new Set<string>();
  read('tka_cleanup_stuck', () => stuck.size);
  let foreignBindings = 0;
  read('tka_foreign_bindings', () => foreignBindings);
  const secondsSince = (at: number | undefined) => (at === undefined ? undefined : Math.max(0, (now() - at) / 1000));
  const secondsUntil = (date: string | undefined) =>
    date === undefined ? undefined : (Date.parse(date) - now()) / 1000;
  read('tka_workqueue_depth', () => sources().reconciler?.queueDepth);
  read('tka_relist_age_seconds', () => secondsSince(sources().reconciler?.lastListAt));
  read('tka_watch_last_event_age_seconds', () => secondsSince(sources().reconciler?.lastWatchEventAt));
  read('tka_next_expiry_overdue_seconds', () => {
    const { reconciler } = sources();
    return reconciler === undefined ? undefined : (secondsSince(reconciler.nextEndAt) ?? 0);
  });
  read('tka_engine_up', () => Number(sources().node?.ready ?? false));
  read('tka_engine_restarts_total', () => sources().node?.restarts ?? 0);
  read('tka_netmap_age_seconds', () => {
    const heard = sources().node?.controlHeard;
    return secondsSince(heard === undefined ? undefined : Date.parse(heard));
  });
  read('tka_installation_problems', () => sources().installationProblems ?? 0);
  read('tka_control_away_seconds', () => (sources().controlAwayMs ?? 0) / 1000);
  read('tka_node_key_expiry_seconds', () => secondsUntil(sources().node?.keyExpiry));
  read('tka_cert_expiry_seconds', () => secondsUntil(sources().node?.certExpiry));
  const eventLoop = watchEventLoop();
  read('tka_eventloop_lag_seconds', () => eventLoop.takeLagSeconds());

  const sessions = new Gauge({
    ...described('tka_sessions'),
    registers: [registry],
    collect() {
      this.reset();
      for (const signin of sources().sessions ?? []) {
        this.inc({ role: bounded(signin.spec.role, roles, 'other'), phase: phaseOf(signin) });
      }
    },
  });
  sessions.reset();

  return {
    http: {
      login: (result, reason) => logins.inc({ result, reason: bounded(reason, ['ok', ...errorCodes], 'internal') }),
      loginStage: (stage, took) => loginSeconds.observe({ stage }, took),
      headerRejected: (kind) => rejected.inc({ kind }),
    },
    reconciler: {
      sessionEnded: (reason, lagSeconds) =>
        // A revocation has a free-text reason.
        lag.observe(
          { reason: bounded(reason, definitions.tka_cleanup_lag_seconds.labels.reason, 'revoked') },
          lagSeconds,
        ),
      orphanRemoved: (kind) => orphans.inc({ kind }),
      cleanupStuck: (name, isStuck) => (isStuck ? stuck.add(name) : stuck.delete(name)),
      foreignBindings(count) {
        foreignBindings = count;
      },
      tokenMinted: (took) => {
        mints.inc();
        mintSeconds.observe(took);
      },
      retried: () => retries.inc(),
    },
    proxy: {
      headerRejected: (kind) => rejected.inc({ kind }),
      served({ verb, status, seconds, by }) {
        carried[by] += 1;
        const { verb: verbs } = definitions.tka_proxy_seconds.labels;
        const code = status === 0 ? 'none' : `${Math.floor(status / 100)}xx`;
        proxied.observe({ verb: bounded(verb, verbs, 'other'), code }, seconds);
      },
      streams(open) {
        streams = open;
      },
      recordingFailed: (reason) => unrecorded.inc({ reason }),
      bytes(direction, count) {
        bytes[direction] += count;
      },
    },
    scrape: async () => ({ type: registry.contentType, text: await registry.metrics() }),
    stop() {
      eventLoop.stop();
      registry.clear();
    },
  };
}

const firstLogins: readonly (readonly [string, string])[] = [
  ['accepted', 'ok'],
  ['failed', 'unavailable'],
  ['failed', 'control_unreachable'],
  ['failed', 'installation_damaged'],
  ['failed', 'internal'],
  ...(
    ['bad_request', 'ambiguous_grant', 'no_grant', 'role_not_granted', 'session_ending', 'unprocessable'] as const
  ).map((reason) => ['refused', reason] as const),
  ['refused', 'rate_limited'],
];

type LabelOf<N extends MetricName> = (typeof definitions)[N] extends { readonly labels: infer L }
  ? keyof L & string
  : never;

function described<N extends MetricName>(name: N): { name: N; help: string; labelNames: LabelOf<N>[] } {
  const definition = definitions[name];
  // Its labels are those of the type, which Object.keys cannot say.
  const labelNames = ('labels' in definition ? Object.keys(definition.labels) : []) as LabelOf<N>[];
  return { name, help: definition.help, labelNames };
}

function makers(registry: Registry) {
  const registers = [registry];
  return {
    counter: <N extends MetricName>(name: N) => new Counter<LabelOf<N>>({ ...described(name), registers }),
    gauge: <N extends MetricName>(name: N) => new Gauge<LabelOf<N>>({ ...described(name), registers }),
    histogram: <N extends MetricName>(name: N) => {
      const definition = definitions[name];
      const buckets = 'buckets' in definition ? [...definition.buckets] : [];
      return new Histogram<LabelOf<N>>({ ...described(name), buckets, registers });
    },
    /** A counter with one label, whose values are the keys of `counts`, read at each scrape. */
    total: <N extends MetricName>(name: N, label: LabelOf<N>, counts: Readonly<Record<string, number>>): void => {
      const known = new Counter<string>({
        ...described(name),
        registers,
        collect() {
          this.reset();
          for (const [value, count] of Object.entries(counts)) this.inc({ [label]: value }, count);
        },
      });
      known.reset();
    },
    /** A metric without labels that is read at each scrape; no sample for undefined. */
    read: (name: MetricName, value: () => number | undefined): void => {
      if (definitions[name].type === 'counter') {
        const total = new Counter({
          ...described(name),
          registers,
          collect() {
            this.reset();
            this.inc(value() ?? 0);
          },
        });
        total.reset();
        return;
      }
      const now = new Gauge({
        ...described(name),
        registers,
        collect() {
          const read = value();
          if (read === undefined) this.remove();
          else this.set(read);
        },
      });
      now.reset();
    },
  };
}

function phaseOf({ metadata, status }: TkaSignin): 'ending' | 'ready' | 'pending' {
  if (metadata.deletionTimestamp !== undefined) return 'ending';
  return findCondition(status?.conditions, 'Ready')?.status === 'True' ? 'ready' : 'pending';
}
