/**
 * How access through the proxy ends: by whatever takes the grant, the node or the session away, requests and open streams
 * alike, while the watch that is cut is one that a client has open. One stack for the whole file.
 */
import { readFileSync } from 'node:fs';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { policyOf } from '../dev/stack/policy.ts';
import type { Rule } from '../dev/stack/policy.ts';
import { startStack } from '../dev/stack/stack.ts';
import type { Stack } from '../dev/stack/stack.ts';
import { until } from '../dev/stack/until.ts';
import { Person } from './person.ts';
import { Caller } from './proxy/caller.ts';
import type { Entry } from './proxy/caller.ts';
import { writeDeafEngine } from './proxy/deaf-engine.ts';
import { Running } from './proxy/running.ts';
import { credentialsIn, logged, logOf, timeOf } from './proxy/server-log.ts';
import type { LogLine } from './proxy/server-log.ts';
import type { Watch } from './proxy/watch.ts';

const alice = 'alice@example.com';
const bob = 'bob@example.com';
/** Their nodes do not come back. */
const [expiring, leaving] = ['erin@example.com', 'laura@example.com'];
const rules: Readonly<Record<string, readonly Rule[]>> = {
  [alice]: [{ role: 'cluster-admin', period: '8h', priority: 100 }],
  [bob]: [{ role: 'view', period: '1h', priority: 10, namespaces: ['default', 'second'] }],
  [expiring]: [{ role: 'view', period: '1h', priority: 10 }],
  [leaving]: [{ role: 'view', period: '1h', priority: 10 }],
};
const path = '/api/v1/namespaces/default/configmaps';
/** What tka promises from when its node knows, and a little for the control server to tell it. */
const promisedMs = 15_000;
const tellingMs = 3000;

let stack: Stack;

test.before(async (t) => {
  t.timeout(180_000);
  stack = await startStack({ users: [alice, bob, expiring, leaving], policy: policyOf(rules) });
  for (const object of [
    ['namespace', 'second'],
    ['configmap', 'standing'],
  ])
    await stack.kubectl(['create', ...object]);
});
test.after.always(() => stack?.close());
test.afterEach.always(async () => {
  await stack.policy.write(policyOf(rules));
  await stack.kubectl(['delete', 'tkasignins', '--all', '-n', 'tka-sessions', '--wait']);
});

interface Victim {
  readonly caller: Caller;
  readonly entry: Entry;
  readonly watch: Watch;
  /** Milliseconds since the epoch: sessions before it had the same name. */
  readonly since: number;
}

/** Logged in, with a watch that is open. */
async function victim(user: string): Promise<Victim> {
  const since = Date.now();
  const caller = Caller.of(stack, user);
  // A grant that was given back by the test before may not have arrived yet.
  const entry = await until(() => caller.login(), { what: `${user} to log in`, timeoutMs: 20_000, everyMs: 250 });
  const watch = await caller.watch(entry, `${path}?watch=true`);
  await watch.sees('ADDED', 'standing');
  return { caller, entry, watch, since };
}

interface Loss {
  /** What the last word to the client, the log and the Event say. */
  readonly reason: RegExp;
  readonly lose: (entry: Entry) => Promise<unknown>;
  readonly timeoutMs: number;
}

/** The watch, the session and its objects are gone in time, and everybody is told why. */
async function losesAll(t: ExecutionContext, { caller, entry, watch, since }: Victim, loss: Loss): Promise<void> {
  const { session } = entry;
  const startedAt = Date.now();
  await loss.lose(entry);
  const end = await watch.end(loss.timeoutMs);
  t.log(`the watch was cut after ${end.at - startedAt} ms`);
  const last = watch.events.at(-1);
  t.is(last?.type, 'ERROR', JSON.stringify(last));
  t.is(last?.object.kind, 'Status');
  t.regex(last?.object.message ?? '', loss.reason);
  t.is((await caller.ask(entry, path).catch(() => ({ status: 401 }))).status, 401);

  // Whichever is first: the pass over streams finds out by itself, beside the one over sessions.
  const told = (line: LogLine): boolean =>
    line['session'] === session && (line.msg === 'streams were cut' || line['event'] === 'revoked');
  const knewAt = timeOf(await until(() => logOf(stack, since).find(told), { what: 'the reason', timeoutMs: 5000 }));
  t.true(end.at - knewAt < 1000, `cut ${end.at - knewAt} ms after tka knew`);
  const line = await logged(stack, { event: 'k8s', requestId: watch.requestId, phase: 'end' });
  t.regex(String(line['cut']), loss.reason);
  await until(async () => (await objectsOf(entry)).length === 0, {
    what: "the session's objects to go",
    timeoutMs: Math.max(0, startedAt + loss.timeoutMs - Date.now()),
  });
}

async function objectsOf({ session }: Entry): Promise<string[]> {
  const kinds = 'tkasignins,serviceaccounts,clusterrolebindings,rolebindings';
  const { stdout } = await stack.kubectl(['get', kinds, '-A', '-l', 'app.kubernetes.io/managed-by=tka', '-o', 'name']);
  return stdout.split('\n').filter((name) => name.includes(session));
}

async function eventsOf({ session }: Entry): Promise<string[]> {
  const selector = `involvedObject.name=${session},involvedObject.kind=TkaSignin`;
  const { stdout } = await stack.kubectl([
    'get',
    'events',
    '-n',
    'tka-sessions',
    '--field-selector',
    selector,
    '-o',
    'json',
  ]);
  const { items } = JSON.parse(stdout) as { items: readonly { message: string }[] }; // a list of Events
  return items.map(({ message }) => message);
}

function revocationOf({ entry: { session }, since }: Victim): LogLine | undefined {
  return logOf(stack, since).find((line) => line['event'] === 'revoked' && line['session'] === session);
}

const changedPolicies: Readonly<Record<string, { readonly user: string; readonly to: readonly Rule[] | undefined }>> = {
  'a grant that disappears': { user: bob, to: undefined },
  'a role that is lowered': { user: alice, to: [{ role: 'view', period: '8h', priority: 100 }] },
  'namespaces that are narrowed': {
    user: bob,
    to: [{ role: 'view', period: '1h', priority: 10, namespaces: ['default'] }],
  },
};

function endsByPolicy(title: string, isDeaf: boolean): void {
  const { user, to } = changedPolicies[title] ?? { user: bob, to: undefined };
  test.serial(`${title} ends the session and its watch${isDeaf ? ', without any hint of a change' : ''}`, async (t) => {
    t.timeout(90_000);
    const engine = isDeaf ? writeDeafEngine(stack.dir) : undefined;
    if (engine !== undefined) {
      await stack.restartTka({ env: { TKA_ENGINE: engine.program } });
      t.teardown(() => stack.restartTka());
    }
    const { [user]: _, ...others } = rules;
    const lost = await victim(user);
    await losesAll(t, lost, {
      reason: /policy no longer grants it/,
      lose: () => stack.policy.write(policyOf(to === undefined ? others : { ...others, [user]: to })),
      timeoutMs: promisedMs + tellingMs,
    });
    t.regex(String(revocationOf(lost)?.['reason']), /policy no longer grants it/);
    t.true((await eventsOf(lost.entry)).some((message) => message.includes('policy no longer grants it')));
    if (engine !== undefined) t.not(readFileSync(engine.hints, 'utf8'), '', 'there were hints to keep back');
  });
}

for (const title of Object.keys(changedPolicies)) endsByPolicy(title, false);
endsByPolicy('a grant that disappears', true);

test.serial(
  'the last minutes of a session are as good as the others, for a server that has just started too',
  async (t) => {
    t.timeout(60_000);
    const caller = Caller.of(stack, bob);
    const { session } = await caller.login();
    const expiresAt = new Date(Date.now() + 300_000).toISOString().replace(/\.\d+Z$/, 'Z');
    const patch = JSON.stringify({ spec: { expiresAt } });
    await stack.kubectl(['patch', 'signin', session, '-n', 'tka-sessions', '--type=merge', '-p', patch]);
    await stack.restartTka();
    const entry = await caller.entry(session);
    t.is((await caller.ask(entry, path)).status, 200);
    const direct = await caller.api(`/api/v1alpha1/kubeconfig?mode=direct&session=${session}`);
    t.is(direct.status, 409, 'what is given away must not outlive it');
  },
);

// No server is started after this: it would be waited for by machines that are not in the tailnet any more.
// Before nodes leave: a server that starts is waited for by every machine.
test.serial('a role that is taken off the list before a start: its sessions end at the start (S15)', async (t) => {
  const bobs = await victim(bob);
  t.teardown(() => stack.restartTka());
  await stack.restartTka({ config: { roles: { namespaced: ['edit'] } } });
  const startedAt = Date.now();
  await until(async () => (await objectsOf(bobs.entry)).length === 0, { what: 'the end', timeoutMs: promisedMs });
  t.log(`gone ${Date.now() - startedAt} ms after the start`);
  t.regex(String(revocationOf(bobs)?.['reason']), /not in roles\.namespaced/);
});

for (const [what, user, command, reason] of [
  ['expires', expiring, 'expire', /refused \(expired\)|has left the tailnet/],
  ['is deleted', leaving, 'delete', /has left the tailnet/],
] as const) {
  test.serial(`a node that ${what} ends the sessions it logged in to, and their watches`, async (t) => {
    t.timeout(60_000);
    const lost = await victim(user);
    const { hostname } = stack.machine(user);
    const { id = '' } = (await stack.headscale.nodes()).find((node) => node.hostname === hostname) ?? {};
    await stack.headscale.cli(['nodes', command, '-i', id, ...(command === 'delete' ? ['--force'] : [])]);
    // Its own tailnet has forgotten the node: whether it hears a last word is not in tka's hands.
    await until(async () => (await objectsOf(lost.entry)).length === 0, {
      what: 'the session to end',
      timeoutMs: promisedMs + tellingMs,
    });
    const revoked = revocationOf(lost);
    t.regex(String(revoked?.['reason']), reason);
    const line = await logged(stack, { event: 'k8s', requestId: lost.watch.requestId, phase: 'end' });
    t.true(timeOf(line) - timeOf(revoked ?? line) < 1000);
    t.true((await eventsOf(lost.entry)).some((message) => reason.test(message)));
    lost.watch.close();
  });
}

test.serial('a deleted TkaSignin ends the watch', async (t) => {
  await losesAll(t, await victim(bob), {
    reason: /revoked/,
    lose: ({ session }) => stack.kubectl(['delete', 'signin', session, '-n', 'tka-sessions', '--wait']),
    timeoutMs: promisedMs,
  });
});

test.serial('a logout ends the watch', async (t) => {
  const lost = await victim(bob);
  await losesAll(t, lost, { reason: /logout/, lose: () => lost.caller.logout(), timeoutMs: promisedMs });
});

test.serial('the end of the session ends the watch', async (t) => {
  const lost = await victim(bob);
  const expiresAt = new Date(Date.now() + 3000).toISOString().replace(/\.\d+Z$/, 'Z');
  const patch = JSON.stringify({ spec: { expiresAt } });
  await losesAll(t, lost, {
    reason: /expired/,
    lose: ({ session }) =>
      stack.kubectl(['patch', 'signin', session, '-n', 'tka-sessions', '--type=merge', '-p', patch]),
    timeoutMs: promisedMs,
  });
});

test.serial("kubectl get -w is cut with the session, and says why; another's goes on", async (t) => {
  const [one, other] = [new Person(stack, alice), new Person(stack, bob)];
  await until(async () => one.login('--mode', 'proxy', '--use'), { what: 'alice to log in', timeoutMs: 20_000 });
  const { session } = await other.login('--mode', 'proxy', '--use');
  const command = ['kubectl', 'get', 'configmaps', '-n', 'default', '-w', '--output-watch-events'] as const;
  const [goesOn, cut] = [new Running(t, stack, alice, command), new Running(t, stack, bob, command)];
  await Promise.all([goesOn, cut].map((watching) => watching.says(/ADDED +standing/)));
  t.is((await stack.kubectl(['delete', 'signin', session, '-n', 'tka-sessions', '--wait'])).code, 0);
  const { code } = await cut.end(5000);
  // kubectl takes the last word for one more object to print, and the end for the end.
  t.is(code, 0, cut.stderr);
  t.regex(cut.lines.at(-1) ?? '', /^ERROR +Failure +Unauthorized +the session has ended \(revoked\): run `tka login`$/);
  for (const action of ['create', 'delete']) await stack.kubectl([action, 'configmap', 'later']);
  await goesOn.says(/DELETED +later/);
});

test.serial('no credential of the whole run is in the log', (t) => {
  t.deepEqual(credentialsIn(stack), []);
});

/** The roles that tka may bind, as an administrator edits them. */
async function mayBind(...roles: readonly string[]): Promise<void> {
  const rule = { apiGroups: ['rbac.authorization.k8s.io'], resources: ['clusterroles'], verbs: ['bind', 'get'] };
  const patch = JSON.stringify({ rules: [{ ...rule, resourceNames: roles }] });
  const { code, stderr } = await stack.kubectl([
    'patch',
    'clusterrole',
    'tka-bindable-roles',
    '--type=merge',
    '-p',
    patch,
  ]);
  if (code !== 0) throw new Error(stderr);
}

test.serial('a role that tka may not bind any more: its sessions end, and are told why (S15)', async (t) => {
  t.teardown(() => mayBind('view', 'edit', 'admin', 'cluster-admin'));
  const bobs = await victim(bob);
  const alices = await victim(alice);
  const reason = /may not bind the role view in namespace/;
  await losesAll(t, bobs, { reason, timeoutMs: promisedMs, lose: () => mayBind('edit', 'admin', 'cluster-admin') });
  t.regex(String(revocationOf(bobs)?.['reason']), reason);
  t.true((await eventsOf(bobs.entry)).some((message) => reason.test(message)));
  t.is((await alices.caller.ask(alices.entry, path)).status, 200, 'a session of another role goes on');
});

test.serial('an account that is deleted: the session goes on with the one that is made again (S16)', async (t) => {
  const { caller, entry } = await victim(bob);
  const account = (await objectsOf(entry)).find((name) => name.startsWith('serviceaccount/')) ?? '';
  const uid = async () =>
    (await stack.kubectl(['get', account, '-n', 'tka-sessions', '-o', 'jsonpath={.metadata.uid}'])).stdout;
  const before = await uid();
  await stack.kubectl(['delete', account, '-n', 'tka-sessions', '--wait=false']);
  const statuses: number[] = [];
  await until(
    async () => {
      const { status } = await caller.ask(entry, path);
      statuses.push(status);
      return status === 200 && ![before, ''].includes(await uid());
    },
    { what: 'the session to work again', timeoutMs: 5000 },
  );
  t.false(statuses.includes(401), statuses.join());
  const review = { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' };
  const { body } = await caller.ask(entry, '/apis/authentication.k8s.io/v1/selfsubjectreviews', {
    method: 'POST',
    headers: { authorization: `Bearer ${entry.token}`, 'content-type': 'application/json' },
    body: JSON.stringify(review),
  });
  t.is(JSON.parse(body).status.userInfo.uid, await uid());
});
