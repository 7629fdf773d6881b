/**
 * A login, from POST to a credential that works, over the tailnet, beside the writes it needs at the API server by
 * themselves: ServiceAccount, ClusterRoleBinding, TokenRequest, straight over TLS on warm connections.
 *
 * Every login is a new session (one role each), so nothing is adopted and nothing is cached. Revocations and clean-up
 * are outside the measured time.
 */
import { readFileSync } from 'node:fs';
import { Agent, ProxyAgent, request } from 'undici';
import { parse } from 'yaml';
import type { Stack } from '../dev/stack/stack.ts';
import { interleave, quantile, ratios, spread } from './rounds.ts';

const batch = 64;
const concurrency = 32;
const sequential = 16;

export const benchRoles: readonly string[] = Array.from({ length: batch }, (_, index) => `bench-${index}`);

/** The roles, and tka's right to bind them; only a bench needs so many. */
export async function installBenchRoles(stack: Stack): Promise<void> {
  const rules = [{ apiGroups: [''], resources: ['configmaps'], verbs: ['get', 'list'] }];
  const rbac = { apiVersion: 'rbac.authorization.k8s.io/v1' };
  const items = [
    ...benchRoles.map((name) => ({ ...rbac, kind: 'ClusterRole', metadata: { name }, rules })),
    {
      ...rbac,
      kind: 'ClusterRole',
      metadata: { name: 'tka-bench' },
      rules: [
        {
          apiGroups: ['rbac.authorization.k8s.io'],
          resources: ['clusterroles'],
          verbs: ['bind', 'get'],
          resourceNames: benchRoles,
        },
      ],
    },
    {
      ...rbac,
      kind: 'ClusterRoleBinding',
      metadata: { name: 'tka-bench' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'tka-bench' },
      subjects: [{ kind: 'ServiceAccount', name: 'tka', namespace: 'tka-system' }],
    },
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'bench' } },
  ];
  const applied = await stack.kubectl(['apply', '-f', '-'], {
    input: JSON.stringify({ apiVersion: 'v1', kind: 'List', items }),
  });
  if (applied.code !== 0) throw new Error(applied.stderr);
}

interface LoginOptions {
  readonly user: string;
  readonly rounds: number;
  readonly onRound: (round: number) => void;
}

export async function measureLogins(stack: Stack, { user, rounds, onRound }: LoginOptions): Promise<string> {
  const tailnet = new ProxyAgent({ uri: stack.machine(user).proxy, proxyTunnel: true, connections: concurrency });
  const post = async (path: string, body: unknown): Promise<void> => {
    const answer = await request(`${stack.tka.url}${path}`, {
      method: 'POST',
      dispatcher: tailnet,
      headers: { 'content-type': 'application/json', prefer: 'wait=30' },
      body: JSON.stringify(body),
    });
    const text = await answer.body.text();
    if (answer.statusCode !== 200) throw new Error(`${path}: ${answer.statusCode} ${text}`);
  };
  const login = (role: string): Promise<void> => post('/api/v1alpha1/login', { role });
  const logout = (): Promise<void> => post('/api/v1alpha1/logout', {});
  const raw = rawWrites(stack);

  const pooled: Record<'login' | 'writes', number[]> = { login: [], writes: [] };
  const oneByOne = async (name: keyof typeof pooled, work: (role: string) => Promise<void>): Promise<number> => {
    const times: number[] = [];
    for (const role of benchRoles.slice(0, sequential)) {
      const started = performance.now();
      await work(role);
      times.push(performance.now() - started);
    }
    pooled[name].push(...times);
    return quantile(times, 0.5);
  };
  const samples = await interleave(
    rounds,
    {
      'writes, C=1': () => thenClean(oneByOne('writes', raw.write), raw.clean),
      'login, C=1': () => thenClean(oneByOne('login', login), logout),
      [`writes, C=${concurrency}`]: () => thenClean(perSecond(raw.write), raw.clean),
      [`login, C=${concurrency}`]: async () => {
        // So many roles are for the bench alone. A server looks at a role once in 10 s, so a first pass takes that away.
        await thenClean(perSecond(login), logout);
        return thenClean(perSecond(login), logout);
      },
    },
    onRound,
  );
  await Promise.all([tailnet.close(), raw.close()]);

  const line = (name: string, values: readonly number[], unit: string, against: string): string => {
    const ratio = against === '' ? '' : spread(ratios(samples, name, against), 2);
    return `| ${name} | ${spread(values)} ${unit} | ${ratio} |`;
  };
  const sample = (name: string): readonly number[] => samples[name] ?? [];
  const p99 = (name: keyof typeof pooled): string => `${quantile(pooled[name], 0.99).toFixed(1)} ms`;
  return [
    `### Login, POST → usable, over the tailnet (${rounds} rounds; median and quartiles)`,
    '',
    '| what | figure | ratio to the writes alone |',
    '|---|---|---|',
    line('writes, C=1', sample('writes, C=1'), 'ms', ''),
    line('login, C=1', sample('login, C=1'), 'ms', 'writes, C=1'),
    `| p99 at C=1, writes / login | ${p99('writes')} / ${p99('login')} | |`,
    line(`writes, C=${concurrency}`, sample(`writes, C=${concurrency}`), 'per s', ''),
    line(`login, C=${concurrency}`, sample(`login, C=${concurrency}`), 'per s', `writes, C=${concurrency}`),
    '',
  ].join('\n');
}

/** The figure, once what was made for it is gone again. */
async function thenClean(figure: Promise<number>, clean: () => Promise<void>): Promise<number> {
  const value = await figure;
  await clean();
  return value;
}

/** How many a second when a whole batch comes at once, `concurrency` at a time. */
async function perSecond(work: (role: string) => Promise<void>): Promise<number> {
  const waiting = [...benchRoles];
  const started = performance.now();
  const worker = async (): Promise<void> => {
    for (let role = waiting.pop(); role !== undefined; role = waiting.pop()) await work(role);
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
  return (batch / (performance.now() - started)) * 1000;
}

interface RawWrites {
  write(this: void, role: string): Promise<void>;
  clean(this: void): Promise<void>;
  close(): Promise<void>;
}

/** As the cluster admin, so that admission and authorization cost least. */
function rawWrites(stack: Stack): RawWrites {
  const admin = parse(readFileSync(stack.kubeconfig, 'utf8')).users[0].user;
  const pem = (field: string): Buffer => Buffer.from(admin[`${field}-data`], 'base64');
  const agent = new Agent({
    connections: concurrency,
    allowH2: false,
    connect: {
      ca: readFileSync(stack.caFile),
      cert: pem('client-certificate'),
      key: pem('client-key'),
    },
  });
  const call = async (method: 'POST' | 'DELETE', path: string, body?: unknown): Promise<void> => {
    const answer = await request(`${stack.kubernetes.url}${path}`, {
      method,
      dispatcher: agent,
      headers: { 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.body.text();
    if (answer.statusCode >= 300) throw new Error(`${method} ${path}: ${answer.statusCode} ${text}`);
  };
  const accounts = '/api/v1/namespaces/bench/serviceaccounts';
  const bindings = '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings';
  return {
    async write(role) {
      const metadata = { name: `raw-${role}`, labels: { bench: 'raw' } };
      await call('POST', accounts, { metadata });
      await call('POST', bindings, {
        metadata,
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: role },
        subjects: [{ kind: 'ServiceAccount', name: metadata.name, namespace: 'bench' }],
      });
      await call('POST', `${accounts}/${metadata.name}/token`, { spec: { expirationSeconds: 3600 } });
    },
    async clean() {
      await call('DELETE', `${accounts}?labelSelector=bench%3Draw`);
      await call('DELETE', `${bindings}?labelSelector=bench%3Draw`);
    },
    close: () => agent.close(),
  };
}
