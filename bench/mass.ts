/**
 * `node bench/mass.ts --sessions 500 --rounds 5`: what happens when all sessions are deleted at once, beside the same requests made straight to
 * the API server. The reconciler runs in this process, on a cluster without a tailnet.
 *
 * In each round: the requests of a removal for so many sessions, by themselves; so many sessions made by the reconciler, deleted by one
 * request, with logins meanwhile; logins with nothing else going on.
 */
import { readFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { Agent, request } from 'undici';
import { parse } from 'yaml';
import { finalizer, group, plural, version } from '../crd/tkasignin.ts';
import { startStack } from '../dev/stack/stack.ts';
import type { ClusterStack } from '../dev/stack/stack.ts';
import { until } from '../dev/stack/until.ts';
import { connectKubernetes } from '../node/kubernetes/connection.ts';
import { createLog } from '../node/observability/log.ts';
import { SessionEndingError, SessionNotFoundError } from '../reconciler/errors.ts';
import { startReconciler } from '../reconciler/index.ts';
import type { Reconciler } from '../reconciler/reconciler.ts';
import { eachAtMost } from '../reconciler/queue/turns.ts';
import { interleave, median, quantile, ratios, spread } from './rounds.ts';

const { values } = parseArgs({
  options: { sessions: { type: 'string', default: '500' }, rounds: { type: 'string', default: '5' } },
});
const sessions = Number(values.sessions);
const rounds = Number(values.rounds);
const atOnce = 8;
const signins = `/apis/${group}/${version}/namespaces/tka-sessions/${plural}`;
const accounts = '/api/v1/namespaces/tka-sessions/serviceaccounts';
const bindings = '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings';

await using stack = await startStack({ tailnet: false });
const admin = rawClient(stack);
await admin.call('POST', '/api/v1/namespaces', { metadata: { name: 'bench' } });
let lines = 0;
const log = createLog('info', { write: () => void (lines += 1) });
const kubernetes = connectKubernetes({
  kubeconfig: await stack.kubernetes.accountKubeconfig('tka-system', 'tka'),
  log,
});
let ended = 0;
const reconciler = startReconciler({
  cluster: kubernetes,
  namespace: 'tka-sessions',
  log,
  observer: {
    sessionEnded: () => void (ended += 1),
    orphanRemoved: () => {},
    cleanupStuck: () => {},
    tokenMinted: () => {},
    retried: () => {},
    foreignBindings: () => {},
  },
});
await until(() => reconciler.state.synced, { what: 'the first list', timeoutMs: 20_000 });

const idle: number[] = [];
const meanwhile: number[] = [];
const lags: number[] = [];
const rawLags: number[] = [];
const linesPerSecond: number[] = [];
const samples = await interleave(
  rounds,
  {
    requests: async () => await rawRemovals(),
    tka: async () => await removals(),
    logins: async () => {
      for (let i = 0; i < 10; i += 1) idle.push((await login(reconciler)) ?? Number.NaN);
      return 0;
    },
  },
  (round) => process.stderr.write(`round ${round}\n`),
);
await reconciler.stop();
await kubernetes.close();
await admin.close();

console.log(
  [
    `### ${sessions} sessions deleted at once (${rounds} rounds; median and quartiles)`,
    '',
    '| what | figure | ratio |',
    '|---|---|---|',
    `| the requests by themselves, ${atOnce} sessions at once | ${spread(samples['requests'] ?? [])} sessions/s | |`,
    `| tka | ${spread(samples['tka'] ?? [])} sessions/s | ${spread(ratios(samples, 'tka', 'requests'), 2)} |`,
    `| a login with nothing else going on | ${spread(idle)} ms | |`,
    `| a login meanwhile | ${spread(meanwhile)} ms | ${(median(meanwhile) / median(idle)).toFixed(1)} of the medians |`,
    `| longest delay of the event loop, the requests by themselves | ${spread(rawLags)} ms | |`,
    `| longest delay of the event loop, tka | ${spread(lags)} ms, at most ${quantile(lags, 1).toFixed(0)} | |`,
    `| warnings and errors in the log | ${spread(linesPerSecond)} lines/s | |`,
    '',
  ].join('\n'),
);

async function removals(): Promise<number> {
  await eachAtMost(16, Array.from({ length: sessions }).keys(), async (i) => {
    await reconciler.signIn(loginOf(`mass-${i}`), AbortSignal.timeout(60_000));
  });
  const isMade = (): boolean => reconciler.list().every(({ status }) => status !== undefined);
  await until(isMade, { what: 'the sessions', timeoutMs: 300_000 });
  const names = reconciler.list().map(({ metadata }) => metadata.name);
  ended = 0;
  lines = 0;
  const lag = monitorEventLoopDelay({ resolution: 5 });
  lag.enable();
  const startedAt = performance.now();
  const over = new AbortController();
  const logins = (async () => {
    while (!over.signal.aborted) {
      const ms = await login(reconciler);
      if (ms !== undefined) meanwhile.push(ms);
    }
  })();
  await admin.call('DELETE', signins);
  const isLeft = (): boolean => names.some((name) => reconciler.get(name) !== undefined);
  await until(() => !isLeft(), { what: 'the removals', timeoutMs: 600_000, everyMs: 20 });
  const seconds = (performance.now() - startedAt) / 1000;
  over.abort();
  await logins;
  lags.push(lag.max / 1e6);
  // Each end is a line of its own.
  linesPerSecond.push(Math.max(0, lines - ended) / seconds);
  await until(() => reconciler.list().length === 0, { what: 'an empty cluster', timeoutMs: 60_000 });
  return sessions / seconds;
}

/** Milliseconds from the request to a credential that works; the session is ended after. Undefined: it was deleted with all others. */
async function login(tka: Reconciler): Promise<number | undefined> {
  const signal = AbortSignal.timeout(60_000);
  const startedAt = performance.now();
  try {
    const { metadata } = await tka.signIn(loginOf(`login-${startedAt}`), signal);
    await tka.usable(metadata.name, signal);
    const ms = performance.now() - startedAt;
    await tka.end(metadata.name, 'logout', signal);
    return ms;
  } catch (error) {
    if (error instanceof SessionEndingError || error instanceof SessionNotFoundError) return undefined;
    throw error;
  }
}

function loginOf(user: string) {
  return {
    subject: `bench|user:${user}`,
    username: `${user}@example.com`,
    role: 'view',
    node: 'node-1',
    endsAt: new Date(Date.now() + 3_600_000),
  };
}

/** What a removal asks of the API server: two reads, three deletes, a patch, an Event; nothing decided. */
async function rawRemovals(): Promise<number> {
  // Not among those that tka looks after.
  const own = signins.replace('tka-sessions', 'bench');
  const names = Array.from({ length: sessions }, (_, i) => `raw-${i}`);
  await eachAtMost(16, names, async (name) => {
    const spec = { subject: `raw|user:${name}`, username: name, role: 'view', expiresAt: '2099-01-01T00:00:00Z' };
    const kind = { apiVersion: `${group}/${version}`, kind: 'TkaSignin' };
    await admin.call('POST', own, {
      ...kind,
      metadata: { name, finalizers: [finalizer] },
      spec,
    });
    await admin.call('POST', accounts, { metadata: { name } });
    await admin.call('POST', bindings, {
      metadata: { name },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'view' },
      subjects: [{ kind: 'ServiceAccount', name, namespace: 'tka-sessions' }],
    });
  });
  const lag = monitorEventLoopDelay({ resolution: 5 });
  lag.enable();
  const startedAt = performance.now();
  await eachAtMost(atOnce, names, async (name) => {
    await admin.call('DELETE', `${own}/${name}`);
    await Promise.all(
      [`${bindings}/${name}`, `${accounts}/${name}`].map(async (path) => {
        await admin.call('GET', path);
        await admin.call('DELETE', path);
      }),
    );
    await admin.call('PATCH', `${own}/${name}`, { metadata: { finalizers: [] } });
    await admin.call('POST', '/api/v1/namespaces/bench/events', {
      metadata: { name },
      involvedObject: { kind: 'TkaSignin', namespace: 'bench', name },
      type: 'Normal',
      reason: 'Revoked',
    });
  });
  const rate = sessions / ((performance.now() - startedAt) / 1000);
  rawLags.push(lag.max / 1e6);
  await admin.call('DELETE', '/api/v1/namespaces/bench/events');
  return rate;
}

interface RawClient {
  call(this: void, method: 'GET' | 'POST' | 'PATCH' | 'DELETE', path: string, body?: unknown): Promise<void>;
  close(this: void): Promise<void>;
}

function rawClient(cluster: ClusterStack): RawClient {
  // The stack's own file: one user with an inline certificate.
  const { users } = parse(readFileSync(cluster.kubeconfig, 'utf8')) as {
    readonly users: readonly [{ readonly user: Readonly<Record<string, string>> }];
  };
  const pem = (field: string): Buffer => Buffer.from(users[0].user[`${field}-data`] ?? '', 'base64');
  const connect = { ca: readFileSync(cluster.caFile), cert: pem('client-certificate'), key: pem('client-key') };
  const agent = new Agent({ connections: 64, allowH2: false, connect, headersTimeout: 120_000 });
  return {
    async call(method, path, body) {
      const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
      const answer = await request(`${cluster.kubernetes.url}${path}`, {
        method,
        dispatcher: agent,
        headers: { 'content-type': type },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await answer.body.text();
      if (answer.statusCode >= 300) throw new Error(`${method} ${path}: ${answer.statusCode} ${text}`);
    },
    close: () => agent.close(),
  };
}
