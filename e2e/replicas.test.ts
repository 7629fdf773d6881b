/**
 * Two replicas on a real tailnet, over a real API server, as processes that are killed, stopped in their tracks and cut off: no login
 * is lost and none is there twice, and who no longer leads writes nothing.
 */
import test from 'ava';
import { policyOf } from '../dev/stack/policy.ts';
import { startStack } from '../dev/stack/stack.ts';
import type { Stack } from '../dev/stack/stack.ts';
import { until } from '../dev/stack/until.ts';
import { Caller } from './proxy/caller.ts';
import { Gate, kubeconfigThrough } from './replicas/gate.ts';
import { makeRoles, roleNames } from './replicas/many-roles.ts';
import { Replicas } from './replicas/replicas.ts';

const people = ['alice@example.com', 'bob@example.com', 'carol@example.com', 'dave@example.com'];
const roles = roleNames(50);
const rules = ['view', ...roles].map((role, i) => ({ role, period: '1h', priority: 100 - i }));
const config = { roles: { clusterWide: ['view', ...roles], namespaced: ['view'] } };
/** The lease of a stack's replicas and a try, and what a busy machine adds. */
const takeoverMs = 8000 + 1100 + 5000;

let stack: Stack;
let replicas: Replicas;

test.before(async (t) => {
  t.timeout(180_000);
  stack = await startStack({
    replicas: 2,
    users: people,
    policy: policyOf(Object.fromEntries(people.map((person) => [person, rules]))),
    tka: { config },
  });
  await makeRoles(stack, roles);
  replicas = new Replicas(stack, config);
});
test.after.always(() => stack?.close());
test.afterEach.always(async () => {
  await replicas.startAll();
  await stack.kubectl(['delete', 'tkasignins', '--all', '-n', 'tka-sessions', '--wait']);
});

test.serial('two replicas: both are ready, one leads, and each names both', async (t) => {
  const { leader, other } = await replicas.leader();
  t.is((await leader.readyz()).status, 200);
  t.is((await other.readyz()).status, 200);
  const { stdout } = await stack.kubectl([
    'get',
    'lease',
    'tka',
    '-n',
    'tka-system',
    '-o',
    'jsonpath={.spec.holderIdentity}',
  ]);
  t.is(stdout, leader.hostname);
  for (const server of stack.servers) {
    const names = await until(
      async () => {
        const { body } = await stack.send('alice@example.com', `${server.url}/.well-known/tka`);
        // Its answer, by the contract.
        const { replicas: all = [] } = JSON.parse(body) as { readonly replicas?: readonly { readonly name: string }[] };
        return all.length === 2 && all.map(({ name }) => name);
      },
      { what: `${server.hostname} to know both`, timeoutMs: 10_000 },
    );
    t.deepEqual(names, ['tka-0.tail.test', 'tka-1.tail.test']);
  }
});

test.serial('streams at one replica end when the session is ended at the other', async (t) => {
  const [a, b] = stack.servers.map((server) => new Caller(stack, stack.machine('alice@example.com'), server));
  if (a === undefined || b === undefined) throw new Error('no two servers');
  const { session } = await a.login({ role: 'view' });
  // The same token at either: the key is shared. What it is good for is the session's.
  const entry = await b.entry(session);
  t.is(entry.token, (await a.entry(session)).token);
  const watch = await b.watch(entry, '/api/v1/namespaces/default/pods?watch=true');
  await a.logout(session);
  const known = Date.now();
  t.true((await watch.end(5000)).at - known <= 1000);
  t.deepEqual(await replicas.objects(), {});
  t.is((await b.ask(entry, '/api/v1/namespaces/default/pods')).status, 401);
});

test.serial('the leader is killed during 200 logins at both: none is lost, none is there twice', async (t) => {
  t.timeout(240_000);
  const { leader, other } = await replicas.leader();
  let done = 0;
  const wishes = people.flatMap((person) => roles.map((role) => ({ machine: stack.machine(person), role })));
  const logins = wishes.map(async ({ machine, role }, i) => {
    const session = await replicas.logIn(machine, role, i % 2 === 0 ? leader : other);
    done += 1;
    return session;
  });
  await until(() => done >= 20, { what: 'the first logins', timeoutMs: 60_000, everyMs: 2 });
  leader.kill('SIGKILL');
  const doneBefore = done;
  const killedAt = performance.now();
  await replicas.leads(other, takeoverMs);
  t.log(`another leads after ${Math.round(performance.now() - killedAt)} ms`);
  const sessions = await Promise.all(logins);
  t.true(doneBefore < 200, 'the leader died too late to matter');
  t.is(new Set(sessions).size, 200);
  t.deepEqual(await replicas.objects(), { 'ready TkaSignin': 200, ServiceAccount: 200, ClusterRoleBinding: 200 });
});

test.serial('a leader that stops in order hands over within 2 s, and logins at the other go on', async (t) => {
  t.timeout(90_000);
  const { leader, other } = await replicas.leader();
  const stopped = leader.stop();
  const logins = roles.slice(0, 20).map((role) => replicas.logIn(stack.machine('bob@example.com'), role, other));
  t.is(await stopped, 0);
  await replicas.leads(other, 2000);
  t.is(new Set(await Promise.all(logins)).size, 20);
  t.deepEqual(await replicas.objects(), { 'ready TkaSignin': 20, ServiceAccount: 20, ClusterRoleBinding: 20 });
});

test.serial(
  'a leader that was stopped in its tracks for longer than the lease writes nothing when it goes on',
  async (t) => {
    t.timeout(120_000);
    const [gated, other] = stack.servers;
    if (gated === undefined || other === undefined) throw new Error('no two servers');
    await using gate = await Gate.open(stack.kubernetes.url, stack.caFile);
    await Promise.all([gated.stop(), other.stop()]);
    await replicas.start(gated, {
      kubernetes: { kubeconfig: await kubeconfigThrough(stack, gate) },
      clusterInfo: { apiEndpoint: stack.kubernetes.url },
    });
    await replicas.leads(gated, 15_000);
    await replicas.start(other);

    // Every one of these has its account by now, and the leader has not heard of it yet.
    gate.hold(/^POST .*\/serviceaccounts$/);
    const carol = stack.machine('carol@example.com');
    const logins = roles.slice(0, 30).map((role) => replicas.logIn(carol, role, other));
    await until(() => gate.waiting === 30, { what: 'passes under way', timeoutMs: 20_000, everyMs: 5 });
    gated.kill('SIGSTOP');
    try {
      await replicas.leads(other, takeoverMs);
      t.is(new Set(await Promise.all(logins)).size, 30);
      gate.requests.length = 0;
      gate.release();
    } finally {
      gated.kill('SIGCONT');
    }
    await until(
      () => gate.requests.some((line) => line === 'GET /apis/coordination.k8s.io/v1/namespaces/tka-system/leases/tka'),
      {
        what: 'the former leader to look at the Lease',
        timeoutMs: 10_000,
      },
    );
    await until(async () => (await gated.readyz()).status === 200, { what: 'it to be ready', timeoutMs: 30_000 });
    t.false(await replicas.isLeading(gated));
    t.deepEqual(
      // A review of an access is a question.
      gate.requests.filter((line) => !/^GET |^POST .*\/selfsubject(?:access|rules)reviews$/.test(line)),
      [],
    );
    t.deepEqual(await replicas.objects(), { 'ready TkaSignin': 30, ServiceAccount: 30, ClusterRoleBinding: 30 });
    await gated.stop();
  },
);

test.serial('the command goes on with another replica, and takes kubectl along', async (t) => {
  t.timeout(120_000);
  const alice = 'alice@example.com';
  const server = `http://${stack.tka.dnsName}`;
  const tka = (...args: readonly string[]) => stack.tkaCommand(alice, [...args, '--non-interactive']);
  const address = async (): Promise<string> => {
    const { stdout } = await stack.runAs(alice, 'kubectl', [
      'config',
      'view',
      '--minify',
      '-o',
      'jsonpath={.clusters[0].cluster.server}',
    ]);
    return stdout;
  };
  const isLetIn = async (): Promise<boolean> => (await stack.runAs(alice, 'kubectl', ['get', 'pods'])).code === 0;
  const first = await tka('login', '--server', server, '--role', 'view');
  t.is(first.code, 0, first.stderr);
  t.is(await address(), 'https://tka-0.tail.test');
  t.true(await isLetIn());
  const { stdout: clusters } = await stack.tkaCommand(alice, ['clusters', '-o', 'json']);
  // The command's own output.
  const { clusters: listed } = JSON.parse(clusters) as { readonly clusters: readonly { readonly trust: string }[] };
  t.deepEqual(
    listed.map(({ trust }) => trust),
    ['pinned'],
    clusters,
  );

  await stack.tka.stop();
  const status = await stack.tkaCommand(alice, ['status', '-o', 'json']);
  t.regex(status.stdout, /"state": "ready"/, status.stderr);
  const doctor = await stack.tkaCommand(alice, ['doctor']);
  t.regex(
    doctor.stdout,
    /http:\/\/tka-0\.tail\.test does not answer; http:\/\/tka-1\.tail\.test, a replica of it, does/,
  );
  const again = await tka('login', '--role', 'view');
  t.is(again.code, 0, again.stderr);
  t.is(again.stdout, first.stdout, 'the same context');
  t.regex(again.stderr, /tka-0\.tail\.test does not answer: using its replica http:\/\/tka-1\.tail\.test/);
  t.is(await address(), 'https://tka-1.tail.test');
  t.true(await isLetIn());
  t.deepEqual(await replicas.objects(), { 'ready TkaSignin': 1, ServiceAccount: 1, ClusterRoleBinding: 1 });
  t.is((await tka('logout')).code, 0);
  t.deepEqual(await replicas.objects(), {});
});

test.serial('the API server away for longer than the lease: nobody leads, and then one does again', async (t) => {
  t.timeout(90_000);
  await replicas.leader();
  await stack.kubernetes.stop();
  try {
    await until(
      async () => !(await Promise.all(stack.servers.map((server) => replicas.isLeading(server)))).includes(true),
      { what: 'nobody to lead', timeoutMs: takeoverMs },
    );
  } finally {
    await stack.kubernetes.start();
  }
  const dave = stack.machine('dave@example.com');
  const sessions = await Promise.all(
    roles.slice(0, 10).map((role, i) => replicas.logIn(dave, role, stack.servers[i % 2] ?? stack.tka)),
  );
  t.is(new Set(sessions).size, 10);
  await replicas.leader();
  t.true(stack.servers.every(({ isRunning }) => isRunning));
});
