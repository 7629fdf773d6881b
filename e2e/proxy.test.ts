/**
 * The Kubernetes API through tka: what the real kubectl and a client library do with it on a real tailnet, who is let
 * through, and what of it is written down. One stack for the whole file; each test leaves no session behind.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { policyOf } from '../dev/stack/policy.ts';
import { startStack } from '../dev/stack/stack.ts';
import type { Stack } from '../dev/stack/stack.ts';
import type { StandIn } from '../dev/stack/stand-in.ts';
import { until } from '../dev/stack/until.ts';
import { browserAttacks } from './browser/attacks.ts';
import { Person } from './person.ts';
import { applications } from './proxy/applications.ts';
import { Caller } from './proxy/caller.ts';
import type { Entry } from './proxy/caller.ts';
import { forgedRequests } from './proxy/forged-requests.ts';
import { whatIsCounted } from './proxy/metrics.ts';
import { podStreams } from './proxy/pod-streams.ts';
import { apiAtTheRoot } from './proxy/root.ts';
import { Running } from './proxy/running.ts';
import { credentialsIn, logged, logOf } from './proxy/server-log.ts';
import { stolenCredentials } from './proxy/stolen-credentials.ts';

const alice = 'alice@example.com';
const bob = 'bob@example.com';
const rules = {
  [alice]: [
    { role: 'cluster-admin', period: '8h', priority: 100 },
    { role: 'view', period: '1h', priority: 10 },
  ],
  [bob]: [{ role: 'view', period: '1h', priority: 10 }],
};

let stack: Stack;
let standIn: StandIn;

test.before(async (t) => {
  t.timeout(180_000);
  stack = await startStack({ users: [alice, bob], policy: policyOf(rules) });
  await stack.kubectl(['create', 'configmap', 'standing']);
  standIn = await stack.addStandIn();
  await standIn.addPod('pod');
});
test.after.always(() => stack?.close());
test.afterEach.always(async () => {
  await stack.kubectl(['delete', 'tkasignins', '--all', '-n', 'tka-sessions', '--wait']);
});

/** Logged in with the command, for kubectl. */
async function person(name: string): Promise<Person> {
  const who = new Person(stack, name);
  await who.login('--mode', 'proxy', '--use');
  return who;
}

async function kubectl(who: Person, ...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await who.kubectl(...args);
  if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${code}: ${stderr}`);
  return stdout;
}

test.serial("kubectl goes through tka, as the session's own account and with its rights alone", async (t) => {
  const admin = await person(alice);
  t.is(
    await kubectl(admin, 'config', 'view', '--minify', '-o', 'jsonpath={.clusters[0].cluster.server}'),
    `https://${stack.tka.dnsName}`,
  );
  const account = await kubectl(admin, 'auth', 'whoami', '-o', 'jsonpath={.status.userInfo.username}');
  t.regex(account, /^system:serviceaccount:tka-sessions:tka-alice-example-com-[0-9a-f]{10}-[0-9a-f]{8}$/);
  await kubectl(admin, 'create', 'configmap', 'hers');
  t.is(await kubectl(admin, 'get', 'configmap', 'hers', '-o', 'name'), 'configmap/hers\n');

  const viewer = await person(bob);
  t.is(await kubectl(viewer, 'get', 'configmap', 'hers', '-o', 'name'), 'configmap/hers\n');
  const forbidden = await viewer.kubectl('delete', 'configmap', 'hers');
  t.is(forbidden.code, 1);
  t.regex(forbidden.stderr, /\(Forbidden\).*tka-bob-example-com-.* cannot delete resource "configmaps"/);
  t.false(await viewer.can('get', 'secrets'));
  t.true(await admin.can('*', '*'));
  await kubectl(admin, 'delete', 'configmap', 'hers');
});

test.serial('a ConfigMap of 1 MB is created, applied and deleted', async (t) => {
  const admin = await person(alice);
  const file = join(stack.machine(alice).home, 'large.json');
  const write = (fill: string): Promise<void> => {
    const metadata = { name: 'large', namespace: 'default' };
    const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { large: fill.repeat(1_000_000) } };
    return writeFile(file, JSON.stringify(object));
  };
  const first = async (): Promise<string | undefined> =>
    JSON.parse(await kubectl(admin, 'get', 'configmap', 'large', '-o', 'json')).data.large;
  await write('a');
  await kubectl(admin, 'create', '-f', file);
  t.true((await first()) === 'a'.repeat(1_000_000));
  await write('b');
  await kubectl(admin, 'apply', '--server-side', '--force-conflicts', '-f', file);
  t.true((await first()) === 'b'.repeat(1_000_000));
  await kubectl(admin, 'delete', '-f', file);
});

test.serial('kubectl get -w shows what happens when it happens', async (t) => {
  await person(bob);
  const watching = new Running(t, stack, bob, ['kubectl', 'get', 'configmaps', '-w', '--output-watch-events']);
  await watching.says(/ADDED +standing/);
  for (const action of ['create', 'delete']) await stack.kubectl([action, 'configmap', 'seen']);
  await watching.says(/ADDED +seen/);
  await watching.says(/DELETED +seen/);
  t.is(watching.stderr, '');
});

test.serial("a client library's informer hears of what is added, changed and deleted", async (t) => {
  await person(bob);
  const script = join(import.meta.dirname, 'proxy/informer.ts');
  const informer = new Running(t, stack, bob, ['node', script, 'default']);
  await informer.says(/^add standing$/);
  await informer.says(/^connected$/);
  await stack.kubectl(['create', 'configmap', 'heard']);
  await informer.says(/^add heard$/);
  await stack.kubectl(['label', 'configmap', 'heard', 'now=changed']);
  await informer.says(/^update heard$/);
  await stack.kubectl(['delete', 'configmap', 'heard']);
  await informer.says(/^delete heard$/);
  t.is(informer.stderr, '');
});

test.serial(
  'ready means usable now: the first request after a login is answered, every time; after a logout, none',
  async (t) => {
    t.timeout(120_000);
    const caller = Caller.of(stack, bob);
    const path = '/api/v1/namespaces/default/configmaps';
    for (let round = 0; round < 50; round += 1) {
      const entry = await caller.login();
      t.is((await caller.ask(entry, path)).status, 200, `round ${round}`);
      await caller.logout();
      t.is((await caller.ask(entry, path)).status, 401, `round ${round}`);
    }
  },
);

test.serial('an expired session is refused from the second it ends', async (t) => {
  const caller = Caller.of(stack, bob);
  const entry = await caller.login();
  const end = Math.ceil(Date.now() / 1000) * 1000 + 3000;
  const spec = { expiresAt: new Date(end).toISOString().replace('.000Z', 'Z') };
  const name = ['signin', entry.session, '-n', 'tka-sessions'];
  t.is((await stack.kubectl(['patch', ...name, '--type=merge', '-p', JSON.stringify({ spec })])).code, 0);
  const answers: { readonly sentAt: number; readonly status: number }[] = [];
  await until(
    async () => {
      const sentAt = Date.now();
      const { status } = await caller.ask(entry, '/version');
      answers.push({ sentAt, status });
      return status === 401;
    },
    { what: 'the end of the session', timeoutMs: 10_000 },
  );
  t.true((answers.at(-1)?.sentAt ?? 0) > end - 1000, 'until then it is good');
  const good = answers.filter(({ status }) => status === 200);
  t.true(good.length > 1 && good.every(({ sentAt }) => sentAt < end + 1000), JSON.stringify(answers));
});

test.serial('every request is in the log under its ID, with who asked for what', async (t) => {
  const caller = Caller.of(stack, bob);
  const entry = await caller.login();
  const path = '/api/v1/namespaces/default/configmaps';
  const asked: readonly (readonly [string, string, Readonly<Record<string, unknown>>])[] = [
    ['GET', path, { verb: 'list', status: 200 }],
    ['GET', `${path}/standing`, { verb: 'get', name: 'standing', status: 200 }],
    ['DELETE', `${path}/standing`, { verb: 'delete', name: 'standing', status: 403 }],
    ['GET', '/apis/apps/v1/deployments', { verb: 'list', group: 'apps', resource: 'deployments', status: 200 }],
  ];
  const node = (await stack.machine(bob).status()).Self?.ID;
  for (const [method, target, expected] of asked) {
    const { headers } = await caller.ask(entry, target, {
      method,
      headers: { authorization: `Bearer ${entry.token}`, 'x-request-id': 'chosen-by-the-caller' },
    });
    const line = await logged(stack, { event: 'k8s', requestId: headers['x-request-id'] });
    t.like(line, { session: entry.session, username: bob, role: 'view', ...expected });
    t.regex(String(line['subject']), /\|user:\d+$/);
    t.is(line['node'], node, JSON.stringify(line));
    t.is(typeof line['receivedBytes'], 'number');
  }
});

podStreams(test, {
  stack: () => stack,
  user: alice,
  rules,
  serving: () => Promise.resolve('pod'),
  listening: () => Promise.resolve('pod'),
  ticking: () => Promise.resolve('pod'),
});
apiAtTheRoot(() => stack, alice);
stolenCredentials(() => stack, { alice, bob, rules });
forgedRequests(() => stack, bob);
applications(
  () => stack,
  alice,
  () => standIn,
);
whatIsCounted(() => stack, bob);
browserAttacks(
  () => stack,
  alice,
  () => standIn,
);

test.serial('no credential of the whole run is in the log', async (t) => {
  const [admin, viewer] = [Caller.of(stack, alice), Caller.of(stack, bob)];
  const entries: readonly Entry[] = await Promise.all([admin.login(), viewer.login()]);
  await Promise.all([admin.ask(entries[0] ?? none, '/version'), viewer.ask(entries[1] ?? none, '/version')]);
  const log = stack.tka.readLog();
  t.true(logOf(stack).some(({ event }) => event === 'k8s'));
  for (const { token } of entries) t.false(log.includes(token));
  t.deepEqual(credentialsIn(stack), []);
});

test.serial('docs/audit.md has every field of every audit line', async (t) => {
  const docs = await readFile(new URL('../docs/audit.md', import.meta.url), 'utf8');
  const cells = [...docs.matchAll(/^\| (`[^|]+`) \|/gm)].flatMap(([, cell = '']) => [...cell.matchAll(/`(\w+)`/g)]);
  const documented = new Set([...cells.map(([, field]) => field), 'level', 'service', 'audit', 'msg']);
  const lines = logOf(stack).filter((line) => line['audit'] === true);
  t.true(lines.length > 100);
  t.deepEqual(
    [...new Set(lines.flatMap((line) => Object.keys(line)))].filter((field) => !documented.has(field)),
    [],
  );
});

const none: Entry = { session: '', token: '', url: '' };
