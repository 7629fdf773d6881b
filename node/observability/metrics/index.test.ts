import test from 'ava';
import type { TkaSignin } from '../../../crd/tkasignin.ts';
import type { MetricsSources } from './index.ts';
import { createMetrics } from './index.ts';

const now = 1_700_000_000_000;
const state = {
  synced: true,
  lastListAt: now - 5000,
  lastWatchEventAt: undefined,
  queueDepth: 3,
  foreign: [],
  nextEndAt: now - 2000,
  isLeading: true,
  cards: {},
};

function signin(role: string, ready: boolean): TkaSignin {
  const condition = {
    type: 'Ready',
    status: ready ? 'True' : 'False',
    reason: 'Provisioned',
    message: '',
    lastTransitionTime: '',
    observedGeneration: 1,
  } as const;
  return {
    apiVersion: 'tka.specht-labs.de/v1alpha1',
    kind: 'TkaSignin',
    metadata: { name: 'alice-1', namespace: 'n', uid: 'u', resourceVersion: '1', generation: 1, creationTimestamp: '' },
    spec: { subject: 'c|user:7', username: 'alice@example.com', role, expiresAt: '2026-01-01T00:00:00Z' },
    status: { conditions: [condition] },
  };
}

async function scraped(
  t: { teardown(fn: () => void): void },
  sources: MetricsSources,
  act: (metrics: ReturnType<typeof createMetrics>) => void = () => {},
) {
  const metrics = createMetrics(() => sources, { version: '1.2.3', roles: ['view', 'edit'], now: () => now });
  t.teardown(() => metrics.stop());
  act(metrics);
  return (await metrics.scrape()).text;
}

test('gauges are read at each scrape', async (t) => {
  const text = await scraped(t, {
    isReady: true,
    node: {
      ready: true,
      restarts: 2,
      controlHeard: new Date(now - 7000).toISOString(),
      keyExpiry: new Date(now - 1000).toISOString(),
      certExpiry: new Date(now + 60_000).toISOString(),
    },
    reconciler: state,
    sessions: [signin('view', true), signin('view', true), signin('edit', false), signin('made-up', false)],
  });
  for (const line of [
    'tka_engine_up 1',
    'tka_engine_restarts_total 2',
    'tka_workqueue_depth 3',
    'tka_leader 1',
    'tka_relist_age_seconds 5',
    'tka_next_expiry_overdue_seconds 2',
    'tka_sessions{role="view",phase="ready"} 2',
    'tka_sessions{role="edit",phase="pending"} 1',
    'tka_sessions{role="other",phase="pending"} 1',
    'tka_ready 1',
    'tka_leader 1',
    'tka_netmap_age_seconds 7',
    'tka_node_key_expiry_seconds -1',
    'tka_cert_expiry_seconds 60',
    `tka_build_info{version="1.2.3",node="${process.version}"} 1`,
  ]) {
    t.true(text.split('\n').includes(line), line);
  }
  t.regex(text, /^tka_eventloop_lag_seconds \d/m);
  t.notRegex(text, /^tka_watch_last_event_age_seconds/m);
  t.notRegex(text, /alice|user:7/);
});

test('what happens is counted', async (t) => {
  const text = await scraped(t, {}, ({ http, reconciler, proxy }) => {
    http.login('accepted', 'ok');
    http.login('refused', 'no_grant');
    http.login('refused', 'no_grant');
    http.loginStage('stored', 0.02);
    http.headerRejected('host');
    proxy.recordingFailed('disk_full');
    reconciler.tokenMinted(0.01);
    reconciler.orphanRemoved('ServiceAccount');
    reconciler.retried();
    reconciler.sessionEnded('expired', 0.2);
    reconciler.sessionEnded('the tailnet policy no longer grants it', 0.2);
    proxy.served({ verb: 'brew', status: 418, seconds: 1, by: 'server' });
    proxy.served({ verb: 'get', status: 0, seconds: 1, by: 'engine' });
    reconciler.cleanupStuck('alice-1', true);
    reconciler.cleanupStuck('alice-1', true);
    reconciler.cleanupStuck('bob-1', true);
    reconciler.cleanupStuck('bob-1', false);
  });
  for (const line of [
    'tka_login_total{result="accepted",reason="ok"} 1',
    'tka_login_total{result="refused",reason="no_grant"} 2',
    'tka_login_seconds_count{stage="stored"} 1',
    'tka_proxy_requests_total{by="engine"} 1',
    'tka_proxy_requests_total{by="server"} 1',
    'tka_header_reject_total{kind="host"} 1',
    'tka_recording_failures_total{reason="disk_full"} 1',
    'tka_recording_failures_total{reason="too_large"} 0',
    'tka_token_mint_total 1',
    'tka_token_mint_seconds_count 1',
    'tka_orphans_found_total{kind="ServiceAccount"} 1',
    'tka_workqueue_retries_total 1',
    'tka_cleanup_lag_seconds_count{reason="expired"} 1',
    'tka_cleanup_lag_seconds_count{reason="revoked"} 1',
    'tka_proxy_seconds_count{verb="other",code="4xx"} 1',
    'tka_proxy_seconds_count{verb="get",code="none"} 1',
    'tka_ready 0',
    'tka_cleanup_stuck 1',
    'tka_engine_up 0',
  ]) {
    t.true(text.split('\n').includes(line), line);
  }
  t.notRegex(text, /alice|bob/);
});

test('one of several replicas may follow, and says so', async (t) => {
  t.regex(await scraped(t, { reconciler: { ...state, isLeading: false } }), /^tka_leader 0$/m);
});
