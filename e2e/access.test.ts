/**
 * Who gets in, with which rights, and how access ends: on a real tailnet and a real Kubernetes API, by the real `tka`
 * and the real kubectl. One stack for the whole file; each test leaves no session behind.
 */
import { readFile, stat } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import test from 'ava';
import { policyOf } from '../dev/stack/policy.ts';
import { send } from '../dev/stack/send.ts';
import type { Answer } from '../dev/stack/send.ts';
import { startStack } from '../dev/stack/stack.ts';
import type { Stack } from '../dev/stack/stack.ts';
import { until } from '../dev/stack/until.ts';
import { Person } from './person.ts';

const rules = {
  'alice@example.com': [
    { role: 'cluster-admin', period: '8h', priority: 100 },
    { role: 'view', period: '1h', priority: 10 },
  ],
  'bob@example.com': [{ role: 'view', period: '1h', priority: 10 }],
  'tag:ci': [{ role: 'edit', period: '30m', priority: 10, namespaces: ['default'] }],
  'sam@a.example': [{ role: 'view', period: '1h', priority: 1 }],
  'sam@b.example': [{ role: 'view', period: '1h', priority: 1 }],
};

let stack: Stack;
const as = (name: string): Person => new Person(stack, name);

test.before(async (t) => {
  t.timeout(180_000);
  stack = await startStack({
    users: ['alice@example.com', 'bob@example.com', 'carol@example.com', 'tag:ci', 'sam@a.example', 'sam@b.example'],
    policy: policyOf(rules),
  });
});
test.after.always(() => stack?.close());
test.afterEach.always(async () => {
  await stack.kubectl(['delete', 'tkasignins', '--all', '-n', 'tka-sessions', '--wait']);
});

/** The API server's answer to a token and nothing else. */
const askAs = (token: string, path: string): Promise<Answer> =>
  send(`${stack.kubernetes.url}${path}`, {
    timeoutMs: 20_000,
    caFile: stack.caFile,
    headers: { authorization: `Bearer ${token}` },
  });

const objectsOfSessions = async (): Promise<string[]> => {
  const { stdout } = await stack.kubectl([
    'get',
    'tkasignins,serviceaccounts,clusterrolebindings,rolebindings',
    '-A',
    '-l',
    'app.kubernetes.io/managed-by=tka',
    '-o',
    'name',
  ]);
  return stdout.split('\n').filter((line) => line !== '');
};

test.serial('alice logs in, kubectl has the rights of her role, and logging out takes them away', async (t) => {
  const alice = as('alice@example.com');
  const before = Date.now();
  const session = await alice.login();
  t.like(session, { username: 'alice@example.com', role: 'cluster-admin' });
  const lasts = Date.parse(session.until) - before;
  t.true(lasts > 8 * 3_600_000 && lasts < 8 * 3_600_000 + 60_000, `lasts ${lasts} ms`);

  const whoami = await alice.kubectl('auth', 'whoami', '-o', 'jsonpath={.status.userInfo.username}');
  t.regex(whoami.stdout, /^system:serviceaccount:tka-sessions:tka-alice-example-com-[0-9a-f]{10}-[0-9a-f]{8}$/);
  t.true(await alice.can('*', '*'));
  t.is((await alice.kubectl('create', 'configmap', 'hers', '-n', 'default')).code, 0);
  t.is((await alice.kubectl('delete', 'configmap', 'hers', '-n', 'default')).code, 0);

  const status = await alice.tka('status', '-o', 'json');
  t.true(status.stdout.includes(session.session), status.stdout + status.stderr);

  const token = await alice.tka('kubeconfig');
  t.is(token.code, 0, token.stderr);
  const stolen = /token: (\S+)/.exec(token.stdout)?.[1] ?? '';
  t.not(stolen, '');
  t.is((await alice.tka('logout')).code, 0);
  t.deepEqual(await objectsOfSessions(), []);
  const kubeconfig = await readFile(alice.kubeconfig, 'utf8');
  t.false(kubeconfig.includes(session.context), kubeconfig);

  await until(
    async () => {
      const { status } = await askAs(stolen, '/api/v1/namespaces');
      return status === 401;
    },
    { what: 'the old token to be refused', timeoutMs: 15_000, everyMs: 250 },
  );
});

test.serial('the kubeconfig and the cached credential are for the user alone', async (t) => {
  const alice = as('alice@example.com');
  await alice.login();
  t.is((await stat(alice.kubeconfig)).mode & 0o777, 0o600);
  const kubeconfig = await readFile(alice.kubeconfig, 'utf8');
  t.regex(kubeconfig, /interactiveMode: Never/);
  t.notRegex(kubeconfig, /token:/);
});

test.serial('carol, whom the policy grants nothing, is told so', async (t) => {
  const { code, stdout, stderr } = await as('carol@example.com').tka('login', '--non-interactive');
  t.is(code, 3);
  t.is(stdout, '');
  t.regex(stderr, /policy grants you no role/);
  t.notRegex(stderr, /\n\s+at /);
  t.deepEqual(await objectsOfSessions(), []);
});

test.serial('bob may look and not touch', async (t) => {
  const bob = as('bob@example.com');
  await bob.login();
  t.true(await bob.can('list', 'pods', '-A'));
  t.false(await bob.can('create', 'pods', '-n', 'default'));
  t.false(await bob.can('get', 'secrets', '-n', 'default'));
  t.is((await bob.tka('login', '--role', 'cluster-admin', '--non-interactive')).code, 3);
  const long = await bob.tka('login', '--period', '2h', '--non-interactive');
  t.is(long.code, 3);
  t.regex(long.stderr, /1h at most/);
});

test.serial('a tagged machine has its role in its namespaces and nowhere else', async (t) => {
  const ci = as('tag:ci');
  const session = await ci.login();
  t.deepEqual(session.namespaces, ['default']);
  t.true(await ci.can('create', 'deployments', '-n', 'default'));
  t.false(await ci.can('create', 'deployments', '-n', 'kube-system'));
  t.false(await ci.can('list', 'nodes'));
  const { stdout } = await stack.kubectl(['get', 'signin', session.session, '-n', 'tka-sessions', '-o', 'json']);
  t.regex(JSON.parse(stdout).spec.subject, /\|node:/);
});

test.serial('kubectl delete tkasignin revokes', async (t) => {
  const bob = as('bob@example.com');
  const { session } = await bob.login();
  t.true(await bob.can('list', 'pods'));
  t.is((await stack.kubectl(['delete', 'signin', session, '-n', 'tka-sessions', '--wait'])).code, 0);
  t.deepEqual(await objectsOfSessions(), []);
  await t.notThrowsAsync(bob.refused());
});

test.serial('two people who look alike share nothing', async (t) => {
  const [one, other] = [as('sam@a.example'), as('sam@b.example')];
  const [first, second] = await Promise.all([one.login(), other.login()]);
  t.not(first.session, second.session);
  const names = await Promise.all(
    [one, other].map(
      async (sam) => (await sam.kubectl('auth', 'whoami', '-o', 'jsonpath={.status.userInfo.username}')).stdout,
    ),
  );
  t.false(names.includes(''));
  t.is(new Set(names).size, 2, names.join());

  t.is((await other.send(`/api/v1alpha1/kubeconfig?session=${first.session}`)).status, 404);
  const ended = await other.send('/api/v1alpha1/logout', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ session: first.session }),
  });
  t.is(ended.status, 200);
  t.true(await one.can('list', 'pods'), "the other's logout must not end this session");
});

test.serial('another role is another session, and the first one dies alone', async (t) => {
  const alice = as('alice@example.com');
  const admin = await alice.login();
  const view = await alice.login('--role', 'view', '--use');
  t.not(admin.session, view.session);
  t.not(admin.context, view.context);
  t.true(await alice.can('*', '*', '--context', admin.context));
  t.false(await alice.can('*', '*', '--context', view.context));
  t.true(await alice.can('list', 'pods', '--context', view.context));

  t.is((await alice.tka('logout', '--session', admin.session)).code, 0);
  t.true(await alice.can('list', 'pods', '--context', view.context));
  t.is((await objectsOfSessions()).filter((name) => name.includes('tkasignin')).length, 1);
});

test.serial('a hand-made binding to a dead session gives nothing to the next', async (t) => {
  const bob = as('bob@example.com');
  await bob.login();
  const whoami = await bob.kubectl('auth', 'whoami', '-o', 'jsonpath={.status.userInfo.username}');
  const account = whoami.stdout.split(':').at(-1) ?? '';
  const binding = ['clusterrolebinding', 'by-hand'];
  t.is(
    (
      await stack.kubectl([
        'create',
        ...binding,
        '--clusterrole=cluster-admin',
        `--serviceaccount=tka-sessions:${account}`,
      ])
    ).code,
    0,
  );
  t.teardown(() => stack.kubectl(['delete', ...binding]));
  await until(() => bob.can('*', '*'), { what: 'the binding to count', timeoutMs: 5000 });
  t.is((await bob.tka('logout')).code, 0);
  await bob.login();
  t.false(await bob.can('*', '*'));
});

test.serial('50 logins at once by one user are one session', async (t) => {
  const answers = await Promise.all(
    Array.from({ length: 50 }, () =>
      as('bob@example.com').send('/api/v1alpha1/login', {
        method: 'POST',
        headers: { prefer: 'wait=20' },
        timeoutMs: 30_000,
      }),
    ),
  );
  t.deepEqual([...new Set(answers.map(({ status }) => status))], [200], answers[0]?.body);
  t.is(new Set(answers.map(({ body }) => JSON.parse(body).session)).size, 1);
  t.is((await objectsOfSessions()).length, 3, 'one TkaSignin, one ServiceAccount, one binding');
});

test.serial('a released client, which sends no Accept header, body or type, gets what it decodes', async (t) => {
  const bob = as('bob@example.com');
  t.is((await bob.send('/api/v1alpha1/login')).status, 401);
  const posted = await bob.send('/api/v1alpha1/login', { method: 'POST' });
  t.is(posted.status, 202);
  t.like(JSON.parse(posted.body), { username: 'bob@example.com', role: 'view' });

  const got = await until(
    async () => {
      const answer = await bob.send('/api/v1alpha1/kubeconfig');
      t.true(answer.status === 200 || answer.status === 202, answer.body);
      return answer.status === 200 && answer;
    },
    { what: 'the kubeconfig', timeoutMs: 10_000 },
  );
  const config = JSON.parse(got.body);
  const context = config.contexts[config['current-context']];
  t.is(config.clusters[context.cluster].server, stack.kubernetes.url);
  t.true(Buffer.from(config.clusters[context.cluster]['certificate-authority-data'], 'base64').includes('CERTIFICATE'));
  t.regex(config.users[context.user].token, /^eyJ/);
  t.is((await bob.send('/api/v1alpha1/login')).status, 200);
  t.is((await bob.send('/api/v1alpha1/logout', { method: 'POST' })).status, 200);
  t.is((await bob.send('/api/v1alpha1/logout', { method: 'POST' })).status, 200);
});

test.serial('ready means usable now: the first request with a new token succeeds, every time', async (t) => {
  const bob = as('bob@example.com');
  for (let round = 0; round < 30; round += 1) {
    const login = await bob.send('/api/v1alpha1/login', { method: 'POST', headers: { prefer: 'wait=20' } });
    t.is(login.status, 200);
    const { body } = await bob.send('/api/v1alpha1/kubeconfig', { headers: { accept: 'application/json' } });
    const { status } = await askAs(JSON.parse(body).users[0].user.token, '/api/v1/namespaces/default/pods');
    t.is(status, 200, `round ${round}`);
    t.is((await bob.send('/api/v1alpha1/logout', { method: 'POST' })).status, 200);
  }
});

test.serial('connections that tka has ended are in the way of no other', async (t) => {
  t.timeout(120_000);
  const machine = stack.machine('bob@example.com');
  const ask = async (): Promise<string> => {
    const socket = await machine.connect(stack.tka.ip, 80, AbortSignal.timeout(20_000));
    socket.write('GET /.well-known/tka HTTP/1.1\r\nHost: tka\r\nConnection: close\r\n\r\n');
    // It ends its own side after the server has.
    return text(socket);
  };
  // Ports are taken at random: of so many, some dozens are taken twice within the minute for which they could be remembered.
  let left = 2000;
  const askOn = async (): Promise<void> => {
    while ((left -= 1) >= 0) t.regex(await ask(), /^HTTP\/1\.1 200 /);
  };
  await Promise.all(Array.from({ length: 150 }, askOn));
});

test.serial('requests that a web page could forge are refused', async (t) => {
  const bob = as('bob@example.com');
  const post = (headers: Record<string, string>) => bob.send('/api/v1alpha1/login', { method: 'POST', headers });
  t.is((await post({ origin: 'https://evil.example' })).status, 403);
  t.is((await post({ 'sec-fetch-site': 'cross-site' })).status, 403);
  t.is((await post({ host: 'evil.example' })).status, 421);
  const typed = await bob.send('/api/v1alpha1/login', {
    method: 'POST',
    headers: { 'content-type': 'text/plain' },
    body: '{}',
  });
  t.is(typed.status, 415, typed.body);
  t.deepEqual(await objectsOfSessions(), []);
});

test.serial('the API is served over TLS too, by a certificate of its own authority', async (t) => {
  const { body } = await as('bob@example.com').send('/.well-known/tka');
  const { ca, modes } = JSON.parse(body);
  t.deepEqual(modes, ['direct', 'proxy']);
  const answer = await stack.fetch('bob@example.com', `https://${stack.tka.ip}/api/v1alpha1/whoami`, { ca });
  t.is(answer.status, 200);
  t.like(await answer.json(), { username: 'bob@example.com', rules: [{ role: 'view' }] });
});

test.serial('the API says what it is, on the tailnet and on the health port', async (t) => {
  const answer = await as('bob@example.com').send('/openapi.json');
  t.is(answer.status, 200);
  const document = JSON.parse(answer.body);
  t.is(document.openapi, '3.1.0');
  t.deepEqual(await (await fetch(`${stack.tka.health}/openapi.json`)).json(), document);
  const page = await fetch(`${stack.tka.health}/docs`);
  t.regex(page.headers.get('content-security-policy') ?? '', /^default-src 'none'/);
  const html = await page.text();
  for (const path of Object.keys(document.paths)) t.true(html.includes(path), path);
});

test.serial('a grant that is rewritten counts from the next login', async (t) => {
  const carol = as('carol@example.com');
  await stack.policy.write(policyOf({ ...rules, 'carol@example.com': [{ role: 'view', period: '1h', priority: 1 }] }));
  t.teardown(() => stack.policy.write(policyOf(rules)));
  await until(async () => (await carol.tka('login', '--non-interactive')).code === 0, {
    what: 'the new grant to reach the server',
    timeoutMs: 20_000,
    everyMs: 250,
  });
  t.true(await carol.can('list', 'pods'));
});

test.serial('no credential is in the log, and every decision is', async (t) => {
  const bob = as('bob@example.com');
  await bob.login();
  const { stdout } = await bob.tka('kubeconfig');
  const token = /token: (\S+)/.exec(stdout)?.[1] ?? '';
  t.not(token, '');
  await bob.tka('logout');
  const log = stack.tka.readLog();
  t.false(log.includes(token));
  t.notRegex(log, /eyJ[\w-]+\.[\w-]+\.[\w-]+/);
  t.notRegex(log, /hskey-|tskey-/);
  const events = log
    .split('\n')
    .filter((line) => line.includes('bob@example.com'))
    .flatMap((line) => /"event":"(\w+)"/.exec(line)?.[1] ?? []);
  for (const event of ['login', 'kubeconfig', 'logout']) t.true(events.includes(event), `${event} in ${events.join()}`);
});
