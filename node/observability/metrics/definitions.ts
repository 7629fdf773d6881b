/**
 * Every metric of tka's own: its name, what it counts and in which unit, and the values that each of its labels can have.
 * node/observability/metrics/index.ts creates them; docs/metrics.md is made from this table, and tests compare alerts and the dashboard
 * with it.
 *
 * Base units, the prefix `tka_`, the suffix `_total` for counters. A label's values are a closed list, or bounded by what is said here:
 * never a user, a node or an address, because their number is unbounded and metrics must not name people.
 */
import { errorCodes } from '../../http/contract.ts';

export interface MetricDefinition {
  readonly type: 'counter' | 'gauge' | 'histogram';
  /** One sentence that says what is measured and, unless it is a count, in which unit. */
  readonly help: string;
  /** By name: all of its values, or a description of what bounds them. */
  readonly labels?: Readonly<Record<string, readonly string[] | string>>;
  /** Of a histogram, in its unit. */
  readonly buckets?: readonly number[];
  /** When the metric has no sample; absent: it always has one. */
  readonly absent?: string;
  /** A note for docs/metrics.md. */
  readonly note?: string;
}

const upToAMinute = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

export const definitions = {
  tka_build_info: {
    type: 'gauge',
    help: 'Always 1; its labels name the running versions.',
    labels: { version: 'the version of tka', node: 'the version of Node.js' },
  },
  tka_ready: {
    type: 'gauge',
    help: '1 while /readyz says ready, else 0.',
  },
  tka_leader: {
    type: 'gauge',
    help: '1 while this replica provisions and removes sessions, else 0.',
    note: 'One replica alone always leads.',
  },
  tka_login_total: {
    type: 'counter',
    help: 'Logins by result.',
    labels: { result: ['accepted', 'refused', 'failed'], reason: ['ok', ...errorCodes] },
    note: 'refused: the caller can fix it (status below 500); failed: the operator of tka can.',
  },
  tka_login_seconds: {
    type: 'histogram',
    help: 'Time from the choice of a rule to each stage of a login, in seconds.',
    labels: { stage: ['stored', 'usable'] },
    buckets: upToAMinute,
    note: 'usable is measured only for callers that wait for it, as the tka command does.',
  },
  tka_sessions: {
    type: 'gauge',
    help: 'Sessions by role and phase.',
    labels: {
      role: 'the roles that tka may bind (`roles.clusterWide`, `roles.namespaced`), and `other`',
      phase: ['pending', 'ready', 'ending'],
    },
    absent: 'there is no such session',
  },
  tka_token_mint_total: { type: 'counter', help: 'Tokens minted by TokenRequest.' },
  tka_token_mint_seconds: {
    type: 'histogram',
    help: 'Time to mint a token, in seconds.',
    buckets: upToAMinute,
  },
  tka_cleanup_lag_seconds: {
    type: 'histogram',
    help: "Time from a session's end, or its revocation, to the removal of its access, in seconds.",
    labels: { reason: ['expired', 'logout', 'deleted', 'replaced', 'revoked'] },
    buckets: [0.1, 0.5, 1, 5, 15, 60, 300, 3600],
    note: 'deleted: the TkaSignin was deleted; replaced: by a login for a shorter period; revoked: its grant or its node is gone.',
  },
  tka_cleanup_stuck: { type: 'gauge', help: 'Sessions whose access cannot be removed.' },
  tka_foreign_bindings: {
    type: 'gauge',
    help: "RoleBindings and ClusterRoleBindings of sessions' accounts that tka did not make.",
    note: 'Checked every minute by the leader; the other replicas say 0.',
  },
  tka_orphans_found_total: {
    type: 'counter',
    help: 'Objects of sessions that no longer existed, found and removed.',
    labels: { kind: ['ServiceAccount', 'RoleBinding', 'ClusterRoleBinding'] },
  },
  tka_next_expiry_overdue_seconds: {
    type: 'gauge',
    help: 'How long ago the next session to end should have ended, in seconds; 0 if none is late.',
  },
  tka_workqueue_depth: { type: 'gauge', help: 'Sessions waiting for a pass of the reconciler.' },
  tka_workqueue_retries_total: { type: 'counter', help: 'Passes of the reconciler that failed and were rescheduled.' },
  tka_watch_last_event_age_seconds: {
    type: 'gauge',
    help: 'Time since the last event of the watch of TkaSignins, in seconds; a bookmark counts.',
    absent: 'before the first event',
  },
  tka_relist_age_seconds: {
    type: 'gauge',
    help: 'Time since the last full list of TkaSignins, in seconds.',
    absent: 'before the first list',
    note: 'A list comes every 60 s.',
  },
  tka_engine_up: { type: 'gauge', help: '1 while the tailnet node is ready, else 0.' },
  tka_engine_restarts_total: { type: 'counter', help: 'Restarts of the tailnet engine.' },
  tka_netmap_age_seconds: {
    type: 'gauge',
    help: 'Time since the last message of the control server, in seconds; a keep-alive counts.',
    absent: 'before the first message',
    note: 'Checked every 15 s; a control server sends a message every minute.',
  },
  tka_installation_problems: {
    type: 'gauge',
    help: "Problems of tka's installation: missing or weakened admission policies, missing rights, a state or a key that is not saved.",
    note: 'Checked every 30 s. Above 0 logins are refused, and /readyz names the problems.',
  },
  tka_control_away_seconds: {
    type: 'gauge',
    help: 'Time since contact with the control server was lost, in seconds; 0 while in contact.',
    note: 'From `limits.offlineLoginSeconds` on logins are refused; after `limits.unknownGrantSeconds` sessions end. A server that hangs is noticed after two minutes, and counted from its last message.',
  },
  tka_node_key_expiry_seconds: {
    type: 'gauge',
    help: "Time until the key of tka's tailnet node expires, in seconds; negative once it has.",
    absent: 'where the key does not expire, as that of a tagged node',
  },
  tka_cert_expiry_seconds: {
    type: 'gauge',
    help: 'Time until the certificate that port 443 serves expires, in seconds; negative once it has.',
    absent: 'before the node has one',
    note: "tka's own is valid for 30 days and renewed with 10 left; one of the tailnet for 90, renewed with 30 left.",
  },
  tka_proxy_streams: { type: 'gauge', help: 'Requests in progress through the proxy, streams included.' },
  tka_proxy_seconds: {
    type: 'histogram',
    help: 'Time of requests through the proxy, from their head to their end, in seconds.',
    labels: {
      verb: ['get', 'list', 'watch', 'create', 'update', 'patch', 'delete', 'deletecollection', 'other'],
      code: ['1xx', '2xx', '3xx', '4xx', '5xx', 'none'],
    },
    buckets: [0.005, 0.01, 0.025, 0.1, 0.5, 1, 5, 30, 300, 3600],
    note: 'none: the caller disconnected before there was an answer.',
  },
  tka_proxy_requests_total: {
    type: 'counter',
    help: 'Requests through the proxy, by the process that carried them.',
    labels: { by: ['engine', 'server'] },
    note: 'server: refused on the port without TLS; engine: all others.',
  },
  tka_proxy_bytes_total: {
    type: 'counter',
    help: 'Bytes of bodies through the proxy.',
    labels: { direction: ['in', 'out'] },
    note: 'in: to the API server; out: from it.',
  },
  tka_recording_failures_total: {
    type: 'counter',
    help: 'Commands in containers that could not be recorded completely.',
    labels: { reason: ['unreadable', 'unwritable', 'disk_full', 'disk_slow', 'too_large'] },
    note: 'With `recording.fail: closed` they were refused, or ended. unreadable: another protocol or another way than exec and attach; too_large: `recording.maxMegabytes`.',
  },
  tka_header_reject_total: {
    type: 'counter',
    help: 'Requests refused for their target or headers.',
    labels: { kind: ['target', 'host', 'origin', 'impersonation', 'credential'] },
  },
  tka_eventloop_lag_seconds: {
    type: 'gauge',
    help: 'Longest delay of the event loop since the last scrape, in seconds.',
  },
} as const satisfies Readonly<Record<string, MetricDefinition>>;

export type MetricName = keyof typeof definitions;

export const metricNames = Object.keys(definitions) as readonly MetricName[]; // an object literal's keys are its keys

/** The value if the label may have it, else `fallback`: a value that a caller chooses must not become a series. */
export function bounded<T extends string>(value: string, values: readonly T[], fallback: T): T {
  return values.find((known) => known === value) ?? fallback;
}
