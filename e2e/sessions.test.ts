/**
 * Sessions as scripts have them, by the real `tka` and the real kubectl on a real tailnet: opened, renewed, listed, two at
 * once, printed, used by twenty kubectls at the same moment, over a restart of the server, ended.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { policyOf } from '../dev/stack/policy.ts';
import { startStack } from '../dev/stack/stack.ts';
import type { Stack } from '../dev/stack/stack.ts';
import { until } from '../dev/stack/until.ts';
import { type LoggedIn, Person } from './person.ts';
import { logOf } from './proxy/server-log.ts';

const user = 'alice@example.com';
/** As a team with a namespace for each customer has them. */
const many = Array.from({ length: 500 }, (_, i) => `customer-${i}-of-a-team-with-one-namespace-each`);
const rules = {
  [user]: [
    { role: 'view', period: '1h', priority: 10 },
    { role: 'edit', period: '30m', priority: 5, namespaces: ['default'] },
    { role: 'edit', perod: '30m', priority: 1 },
  ],
  'sam@example.com': [
    { role: 'view', period: '1h', priority: 10 },
    { role: 'edit', period: '1h', priority: 10 },
    { role: 'admin', period: '30m', priority: 1, namespaces: many },
    { role: 'cluster-admin', period: '30m', priority: 1 },
    { role: 'admin', perod: '30m' },
  ],
};

let stack: Stack;
let alice: Person;

test.before(async (t) => {
  t.timeout(180_000);
  // One of the rules has a mistake in it, as people make them.
  stack = await startStack({ users: [user, 'sam@example.com'], policy: policyOf(rules) });
  alice = new Person(stack, user);
});
test.after.always(() => stack?.close());
test.afterEach.always(async () => {
  await alice.tka('logout', '--all');
});

async function json(...args: readonly string[]): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await alice.tka(...args, '-o', 'json');
  if (code !== 0) throw new Error(`tka ${args.join(' ')} ended with ${code}: ${stderr}`);
  return JSON.parse(stdout) as Record<string, unknown>;
}

async function sessions(): Promise<readonly Record<string, unknown>[]> {
  return (await json('status'))['sessions'] as readonly Record<string, unknown>[];
}

/** Where the command keeps what it knows of a session. */
async function cached(session: string, suffix: string): Promise<string> {
  const directory = join(stack.machine(user).home, '.cache', 'tka', 'credentials');
  const files = await readdir(directory, { recursive: true });
  return join(directory, files.find((file) => file.endsWith(`${session}.${suffix}`)) ?? 'none');
}

/** Kubeconfigs that the server has handed out, by its own log. */
function handedOut(): number {
  return readFileSync(stack.tka.log, 'utf8').split('"event":"kubeconfig"').length - 1;
}

test.serial('who I am and what I may have', async (t) => {
  t.like(await json('whoami'), { username: user });
  const { rules: listed, dropped } = await json('roles');
  t.like(listed, [
    { role: 'view', period: '1h', state: 'default' },
    { role: 'edit', namespaces: ['default'], state: 'available' },
  ]);
  t.regex(JSON.stringify(dropped), /unknown field \\"perod\\"/);
  t.is((await alice.tka('roles', '-o', 'name')).stdout, 'view\nedit\n');
});

test.serial('a grant that is ambiguous names the choices, and is resolved by one', async (t) => {
  const sam = new Person(stack, 'sam@example.com');
  const refused = await sam.tka('login', '--non-interactive');
  t.is(refused.code, 1);
  t.regex(refused.stderr, /could be view.*\n.*could be edit.*\n[^]*--role/);
  t.is((await sam.login('--role', 'edit')).role, 'edit');
  await sam.tka('logout');
});

test.serial('login, renew, logout: the end moves, kubectl works throughout, and nothing is left', async (t) => {
  const session = await alice.login('--period', '10m');
  t.true(await alice.can('list', 'pods'));
  const [listed] = await sessions();
  t.like(listed, { session: session.session, state: 'ready', current: true, contexts: [session.context] });
  const left = Number(listed?.['remainingSeconds']);
  t.true(left > 500 && left <= 630, `${left}`);

  const renewed = (await json('renew', '--period', '40m')) as unknown as LoggedIn;
  t.is(renewed.session, session.session);
  t.true(Date.parse(renewed.until) - Date.parse(session.until) > 25 * 60_000, renewed.until);
  t.true(Number((await sessions())[0]?.['remainingSeconds']) > 2300);
  t.true(await alice.can('list', 'pods'));
  const line = readFileSync(await cached(session.session, 'until'), 'utf8');
  t.is(line, `${Math.floor(Date.parse(renewed.until) / 1000)} view ${String((await json('login'))['cluster'])}\n`);

  t.is((await alice.tka('logout')).code, 0);
  t.deepEqual(await sessions(), []);
  t.false(readFileSync(alice.kubeconfig, 'utf8').includes(session.context));
  const gone = await alice.tka('renew');
  t.is(gone.code, 3);
  t.regex(gone.stderr, /no session.*\n.*tka login/);
});

test.serial('a rule for 500 namespaces holds in each of them, and a dropped rule is named by the login', async (t) => {
  t.timeout(120_000);
  const sam = new Person(stack, 'sam@example.com');
  const items = many.map((name) => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } }));
  const input = JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
  t.is((await stack.kubectl(['create', '-f', '-'], { input })).code, 0);
  const login = await sam.tka('login', '--non-interactive', '-o', 'json', '--role', 'admin');
  t.is(login.code, 0, login.stderr);
  const session = JSON.parse(login.stdout) as LoggedIn;
  t.deepEqual(session.namespaces, [...many].sort());
  t.regex(login.stderr, /rule of the tailnet policy was dropped: .*unknown field "perod"/);
  const last = many.at(-1) ?? '';
  t.true(await sam.can('list', 'secrets', '-n', last));
  t.false(await sam.can('list', 'secrets', '-n', 'default'));
  t.is((await sam.tka('logout')).code, 0);
  const left = await stack.kubectl([
    'get',
    'rolebindings',
    '-A',
    '-l',
    'app.kubernetes.io/managed-by=tka',
    '-o',
    'name',
  ]);
  t.is(left.stdout, '');
});

test.serial('a login while the API server refuses what tka may do waits until it does not', async (t) => {
  const sam = new Person(stack, 'sam@example.com');
  const since = Date.now();
  const binding = ['clusterrolebinding', 'tka-bindable-roles'];
  const { stdout } = await stack.kubectl(['get', ...binding, '-o', 'json']);
  const { apiVersion, kind, metadata, roleRef, subjects } = JSON.parse(stdout);
  const { name, labels } = metadata;
  const input = JSON.stringify({ apiVersion, kind, metadata: { name, labels }, roleRef, subjects });
  // As the authorizer does for some seconds after a start.
  await stack.kubectl(['delete', ...binding]);
  const login = sam.tka('login', '--non-interactive', '--role', 'cluster-admin');
  try {
    const isRefused = (): boolean =>
      logOf(stack, since).some(({ event, result }) => event === 'login' && result === 'failed');
    await until(isRefused, { what: 'a login that is refused', timeoutMs: 20_000 });
  } finally {
    await stack.kubectl(['apply', '-f', '-'], { input });
  }
  const { code, stderr } = await login;
  t.is(code, 0, stderr);
  t.regex(stderr, /does not let tka use the role cluster-admin yet: trying again/);
  t.true(await sam.can('delete', 'nodes'));
  t.is((await sam.tka('logout')).code, 0);
});

test.serial('two roles at once are two sessions in two contexts, and one ends without the other', async (t) => {
  const view = await alice.login('--context-name', '{cluster}-{role}');
  const edit = await alice.login('--role', 'edit', '--context-name', '{cluster}-{role}', '-n', 'default');
  t.not(view.session, edit.session);
  t.regex(edit.context, /-edit$/);
  t.true(await alice.can('create', 'configmaps', '--context', edit.context));
  t.false(await alice.can('create', 'configmaps', '--context', view.context));
  t.is((await sessions()).length, 2);
  t.is((await alice.tka('logout', '--session', edit.session)).code, 0);
  t.deepEqual(
    (await sessions()).map(({ session }) => session),
    [view.session],
  );
  t.true(await alice.can('list', 'pods', '--context', view.context));
});

test.serial('a printed kubeconfig is all that kubectl needs', async (t) => {
  const { code, stdout, stderr } = await alice.tka('login', '--print-kubeconfig', '--non-interactive');
  t.is(code, 0, stderr);
  const file = join(stack.machine(user).home, 'printed.yaml');
  writeFileSync(file, stdout, { mode: 0o600 });
  const { stdout: names, code: kubectl } = await alice.kubectl('--kubeconfig', file, 'get', 'namespaces', '-o', 'name');
  t.is(kubectl, 0);
  t.regex(names, /namespace\/default/);
});

test.serial("kubectl reaches tka at the node's address with tls-server-name, and by no other name", async (t) => {
  await json('login');
  const [cluster = ''] = (await alice.kubectl('config', 'get-clusters')).stdout.trim().split('\n').slice(1);
  const at = (name: string) =>
    alice.kubectl(
      'config',
      'set-cluster',
      cluster,
      `--server=https://${stack.tka.ip}/k8s`,
      `--tls-server-name=${name}`,
    );
  await at('tka.tail.test');
  const right = await alice.kubectl('get', 'namespaces', '-o', 'name');
  t.regex(right.stdout, /namespace\/default/, right.stderr);
  await at('other.tail.test');
  t.regex((await alice.kubectl('get', 'namespaces')).stderr, /certificate is valid for .*tka\.tail\.test/);
});

test.serial('20 kubectls at once with a credential that has ended ask the server once', async (t) => {
  t.timeout(120_000);
  const { session } = await alice.login();
  const path = await cached(session, 'json');
  const credential = JSON.parse(readFileSync(path, 'utf8')) as object;
  writeFileSync(path, JSON.stringify({ ...credential, expiresAt: new Date(Date.now() - 60_000).toISOString() }));
  const before = handedOut();
  const runs = await Promise.all(Array.from({ length: 20 }, () => alice.kubectl('get', 'namespaces', '-o', 'name')));
  t.deepEqual([...new Set(runs.map(({ code, stderr }) => `${code} ${stderr}`))], ['0 ']);
  t.is(handedOut() - before, 1);
});

test.serial('a login while the server starts anew waits for it', async (t) => {
  t.timeout(90_000);
  await alice.login();
  const [, ran] = await Promise.all([stack.restartTka(), alice.tka('login', '--non-interactive')]);
  t.is(ran.code, 0, ran.stderr);
  t.true(await alice.can('list', 'pods'));
});
