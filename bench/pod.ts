/**
 * `node bench/pod.ts`: the server in its pod. How long from a pod that is not there to Ready and to a first login, and what it
 * holds of memory, idle and with 1,000 sessions. Needs a machine that can run a Kubernetes node, and what `npm run build` makes.
 *
 * The image is on the node already; a registry's speed is its own.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { policyOf } from '../dev/stack/policy.ts';
import { canRunNodes, startStack } from '../dev/stack/stack.ts';
import { TkaPod } from '../dev/stack/tka-pod.ts';
import { until } from '../dev/stack/until.ts';
import { spread } from './rounds.ts';

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '9' } } });
const rounds = Number(values.rounds);
const user = 'bench@example.com';
const sessionCount = 1000;

const ability = canRunNodes();
if (!ability.ok) throw new Error(`A Kubernetes node cannot run here: ${ability.reason}`);
await using stack = await startStack({
  users: [user],
  policy: policyOf({ [user]: [{ role: 'view', period: '8h', priority: 1 }] }),
  node: true,
  tka: false,
  manifests: false,
});
const pod = await TkaPod.prepare(stack, { log: { level: 'info' } });
await pod.apply();
const joined = await timed(() => pod.giveKey());
const restarts: Times[] = [];
for (let round = 1; round <= rounds; round += 1) {
  await pod.kubectl('scale', 'statefulset/tka', '-n', pod.namespace, '--replicas=0');
  await until(async () => (await pod.field('{.metadata.uid}')) === '', { what: 'no pod', timeoutMs: 60_000 });
  restarts.push(await timed(() => pod.kubectl('scale', 'statefulset/tka', '-n', pod.namespace, '--replicas=1')));
  process.stderr.write(`pod: round ${round} of ${rounds}\n`);
}
await delay(30_000);
const idle = await memory();
await openSessions();
await delay(30_000);
const busy = await memory();

const seconds = (list: readonly number[]): string =>
  spread(
    list.map((ms) => ms / 1000),
    1,
  );
const one = (ms: number): string => (ms / 1000).toFixed(1);
const size = (bytes: number): string => (bytes / 2 ** 20).toFixed(0);
const held = (title: string, { server, engine, workingSet }: Memory): string =>
  `| ${title} | ${size(server)} | ${size(engine)} | ${size(workingSet)} |`;
console.log(
  [
    `### A pod, from nothing (seconds; ${rounds} starts, median and quartiles)`,
    '',
    '| | Ready | first login answered |',
    '|---|---|---|',
    `| first start, from the Secret with the key: joins the tailnet | ${one(joined.readyMs)} | ${one(joined.loginMs)} |`,
    `| later starts, from the StatefulSet scaled up | ${seconds(restarts.map(({ readyMs }) => readyMs))} | ${seconds(restarts.map(({ loginMs }) => loginMs))} |`,
    '',
    '### Memory of the pod (MiB)',
    '',
    '| | server, resident | engine, resident | working set of the container |',
    '|---|---|---|---|',
    held('idle', idle),
    held(`${sessionCount} sessions`, busy),
    '',
  ].join('\n'),
);

interface Times {
  readonly readyMs: number;
  readonly loginMs: number;
}

/** From just before `begin` to the pod being Ready, and to a login answered with a session that works. */
async function timed(begin: () => Promise<unknown>): Promise<Times> {
  const started = performance.now();
  await begin();
  await until(isReady, { what: 'the pod to be ready', timeoutMs: 120_000, everyMs: 20 });
  const readyMs = performance.now() - started;
  await pod.ready();
  const login = async (): Promise<boolean> => {
    const headers = { 'content-type': 'application/json', prefer: 'wait=30' };
    const answer = await stack
      .machine(user)
      .send(`${pod.url}/api/v1alpha1/login`, { method: 'POST', headers, body: '{}' });
    return answer.status === 200;
  };
  await until(login, { what: 'a first login', timeoutMs: 60_000, everyMs: 20 });
  return { readyMs, loginMs: performance.now() - started };
}

async function isReady(): Promise<boolean> {
  const { status, body } = await stack.kubernetes.api('GET', `/api/v1/namespaces/${pod.namespace}/pods/${pod.name}`);
  if (status !== 200) return false;
  // A Pod, says 200.
  const { status: found } = JSON.parse(body) as { status: { conditions?: { type: string; status: string }[] } };
  return found.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') ?? false;
}

interface Memory {
  readonly server: number;
  readonly engine: number;
  readonly workingSet: number;
}

async function memory(): Promise<Memory> {
  const summary = await pod.kubectl('get', '--raw', `/api/v1/nodes/${stack.node.name}/proxy/stats/summary`);
  // The kubelet's own summary; what it lacks makes the figures NaN.
  const { pods } = JSON.parse(summary) as {
    pods: { podRef: { name: string }; containers: { memory?: { workingSetBytes?: number } }[] }[];
  };
  const found = pods.find(({ podRef }) => podRef.name === pod.name);
  const printed = await pod.run(`
    const { readdirSync, readFileSync } = require('node:fs');
    const read = (pid, file) => { try { return readFileSync('/proc/' + pid + '/' + file, 'utf8'); } catch { return ''; } };
    const resident = (pid) => 1024 * Number(/VmRSS:\\s+(\\d+)/.exec(read(pid, 'status'))[1]);
    const engine = readdirSync('/proc').find((pid) => read(pid, 'cmdline').includes('tka-engine'));
    console.log(JSON.stringify({ server: resident(1), engine: resident(engine) }));
  `);
  const { server, engine } = JSON.parse(printed) as { server: number; engine: number }; // our own script's
  return { server, engine, workingSet: found?.containers[0]?.memory?.workingSetBytes ?? Number.NaN };
}

/** The user's own, so that their grant covers them: one for each set of ten namespaces. */
async function openSessions(): Promise<void> {
  const namespaces = Array.from({ length: 10 }, (_, index) => `bench-${index}`);
  for (const name of namespaces) await pod.kubectl('create', 'namespace', name);
  const { stdout } = await stack.kubectl(['get', 'tkasignins', '-n', 'tka-sessions', '-o', 'json']);
  // The session of the logins above.
  const { items } = JSON.parse(stdout) as {
    items: { apiVersion: string; kind: string; spec: object; metadata: { labels: object; annotations?: object } }[];
  };
  const [model] = items;
  if (model === undefined) throw new Error('there is no session to make others like');
  const { apiVersion, kind, spec, metadata } = model;
  const { labels, annotations = {} } = metadata;
  const signins = Array.from({ length: sessionCount }, (_, index) => ({
    apiVersion,
    kind,
    metadata: { name: `bench-${index}`, namespace: 'tka-sessions', labels, annotations },
    spec: { ...spec, namespaces: namespaces.filter((_name, bit) => ((index + 1) >> bit) & 1) },
  }));
  const { code, stderr } = await stack.kubectl(['create', '-f', '-'], {
    input: JSON.stringify({ apiVersion: 'v1', kind: 'List', items: signins }),
  });
  if (code !== 0) throw new Error(stderr);
  const areReady = async (): Promise<boolean> => {
    const path = '{range .items[*]}{.status.conditions[?(@.type=="Ready")].status}{"\\n"}{end}';
    const found = await pod.kubectl('get', 'tkasignins', '-n', 'tka-sessions', '-o', `jsonpath=${path}`);
    return found.split('\n').filter((line) => line === 'True').length > sessionCount;
  };
  await until(areReady, { what: `${sessionCount} sessions`, timeoutMs: 300_000, everyMs: 1000 });
}
