/**
 * The proxy under load and under those who want it to run out of something: nobody gets another's answer, nothing breaks off
 * in the middle, and the server stays the size it had. One stack for the whole file.
 */
import { readFile } from 'node:fs/promises';
import test from 'ava';
import { policyOf } from '../dev/stack/policy.ts';
import { startStack } from '../dev/stack/stack.ts';
import type { Stack } from '../dev/stack/stack.ts';
import { until } from '../dev/stack/until.ts';
import { Caller } from './proxy/caller.ts';
import { Load } from './proxy/load.ts';

const alice = 'alice@example.com';
const bob = 'bob@example.com';
/** Each of them may read one namespace. */
const namespaces = { [alice]: 'of-alice', [bob]: 'of-bob' };
const largePath = '/api/v1/namespaces/large/configmaps';
const largeCount = 20;

let stack: Stack;

test.before(async (t) => {
  t.timeout(180_000);
  const rules = Object.entries(namespaces).map(([user, namespace]) => [
    user,
    [{ role: 'view', period: '1h', priority: 10, namespaces: [namespace, 'large'] }],
  ]);
  stack = await startStack({ users: [alice, bob], policy: policyOf(Object.fromEntries(rules)) });
  for (const namespace of [...Object.values(namespaces), 'large']) {
    await stack.kubectl(['create', 'namespace', namespace]);
    await stack.kubectl(['create', 'configmap', 'own', `--from-literal=of=${namespace}`, '-n', namespace]);
  }
  for (let i = 0; i < largeCount; i += 1) {
    const object = { metadata: { name: `large-${i}` }, data: { large: 'x'.repeat(900_000) } };
    const { status } = await stack.kubernetes.api('POST', largePath, object);
    t.is(status, 201);
  }
});
test.after.always(() => stack?.close());

const ownPath = (user: keyof typeof namespaces): string =>
  `/api/v1/namespaces/${namespaces[user] ?? ''}/configmaps/own`;

/** Two users, two connections each, that ask for what only they may read; every answer is checked. */
async function startLoad(): Promise<Load> {
  const load = new Load();
  for (const [user, other] of [
    [alice, bob],
    [bob, alice],
  ] as const) {
    const caller = Caller.of(stack, user);
    const entry = await caller.login();
    const expected = `"of":"${namespaces[user] ?? ''}"`;
    for (let i = 0; i < 2; i += 1) {
      load.add(caller, entry, ownPath(user), (status, body) => status === 200 && body.includes(expected));
      load.add(caller, entry, ownPath(other), (status, body) => status === 403 && !body.includes('"data"'));
    }
  }
  return load;
}

async function engineOf(pid: number): Promise<number> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8');
  return Number(children.trim().split(' ')[0]);
}

test.serial("the engine killed under load: nobody gets another's answer, and it comes back", async (t) => {
  t.timeout(90_000);
  const load = await startLoad();
  t.teardown(() => load.stop());
  await until(() => load.right > 200, { what: 'load', timeoutMs: 20_000 });
  const { pid } = stack.tka;
  for (let round = 0; round < 3; round += 1) {
    const engine = await engineOf(pid);
    const before = load.right;
    const killedAt = performance.now();
    process.kill(engine, 'SIGKILL');
    await until(async () => (await engineOf(pid)) !== engine, { what: 'another engine', timeoutMs: 20_000 });
    await until(() => load.right > before + 8, { what: 'answers again', timeoutMs: 30_000 });
    t.log(`answers again after ${Math.round(performance.now() - killedAt)} ms`);
    await until(() => load.right > before + 200, { what: 'load again', timeoutMs: 30_000 });
  }
  await load.stop();
  t.deepEqual(load.wrong, []);
  t.is(stack.tka.pid, pid, 'the server itself lives on');
  t.log(load.summary);
});

test.serial('SIGTERM under load: what is under way is answered whole, watches end as at their time', async (t) => {
  t.timeout(90_000);
  const load = await startLoad();
  t.teardown(() => load.stop());
  const caller = Caller.of(stack, alice);
  const entry = await caller.login();
  const watch = await caller.watch(entry, '/api/v1/namespaces/of-alice/configmaps?watch=true');
  await watch.sees('ADDED', 'own');
  const large = await caller.read(entry, largePath);
  await until(() => load.right > 200, { what: 'load', timeoutMs: 20_000 });

  const stopping = stack.tka.stop();
  const end = await watch.end(10_000);
  t.true(end.isClean, 'the watch ends with the last chunk');
  t.is(
    watch.events.find(({ type }) => type === 'ERROR'),
    undefined,
  );
  const received = await large.rest();
  t.is(JSON.parse(received).items.length, largeCount + 1);
  t.is(await stopping, 0);
  await load.stop();
  t.deepEqual(load.wrong, []);
  t.is(load.unavailable + load.brokenOff, 0, load.summary);
  t.log(load.summary);
  await stack.startTka();
});

test.serial('slow readers, idle connections and large headers do not make the server grow', async (t) => {
  t.timeout(120_000);
  const caller = Caller.of(stack, bob);
  const entry = await caller.login();
  // The first of everything costs most.
  await (await caller.read(entry, largePath)).rest();
  const before = await rss();
  const readers = await Promise.all(Array.from({ length: 10 }, () => caller.read(entry, largePath)));
  // With those that linger after a 431, fewer than a peer may have (256).
  const idle: Awaited<ReturnType<Caller['connect']>>[] = [];
  for (let i = 0; i < 7; i += 1) {
    idle.push(...(await Promise.all(Array.from({ length: 20 }, () => caller.connect()))));
  }
  t.teardown(() => idle.forEach((socket) => socket.destroy()));
  const header = `X-Large: ${'x'.repeat(17_000)}`;
  for (let i = 0; i < 50; i += 1) {
    const answer = await caller.bytes(`GET /k8s/version HTTP/1.1\r\nHost: ${stack.tka.dnsName}\r\n${header}\r\n\r\n`);
    t.regex(answer, /^HTTP\/1\.1 431 /);
  }
  // Proof that it serves: somebody else's requests go on beside all this.
  const other = Caller.of(stack, alice);
  t.is((await other.ask(await other.login(), ownPath(alice))).status, 200);
  const during = await rss();
  t.log(`server ${before.server} → ${during.server} MB, engine ${before.engine} → ${during.engine} MB`);
  t.true(during.server - before.server < 120, 'ten LISTs of 18 MB that nobody reads');
  t.true(during.engine - before.engine < 200);
  // Slow is not wrong: they get all of it in the end.
  for (const reader of readers) t.is(JSON.parse(await reader.rest()).items.length, largeCount + 1);
});

/** Megabytes. */
async function rss(): Promise<{ readonly server: number; readonly engine: number }> {
  const of = async (pid: number): Promise<number> => {
    const status = await readFile(`/proc/${pid}/status`, 'utf8');
    return Math.round(Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024);
  };
  const { pid } = stack.tka;
  return { server: await of(pid), engine: await of(await engineOf(pid)) };
}
