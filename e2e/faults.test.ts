/**
 * What is left when things die, and what an operator is told when they cannot start: on a stack whose server is stopped,
 * killed, starved and misconfigured.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { parse, stringify } from 'yaml';
import { policyOf } from '../dev/stack/policy.ts';
import { startStack } from '../dev/stack/stack.ts';
import type { Stack } from '../dev/stack/stack.ts';
import type { TkaOverrides } from '../dev/stack/tka-server.ts';
import { until } from '../dev/stack/until.ts';
import { startReceiver } from '../node/testing/trace-receiver.ts';
import { Person } from './person.ts';
import { Running } from './proxy/running.ts';

let stack: Stack;
let scratch: string;
const alice = 'alice@example.com';
const bob = 'bob@example.com';
const as = (name: string): Person => new Person(stack, name);

test.before(async (t) => {
  t.timeout(180_000);
  scratch = await mkdtemp(join(tmpdir(), 'tka-faults-'));
  stack = await startStack({ users: [alice, bob], policy: policyOf() });
});
test.after.always(async () => {
  await stack?.close();
  await rm(scratch, { recursive: true, force: true });
});
test.afterEach.always(async () => {
  if (!stack.tka.isRunning) await stack.startTka();
  await stack.kubectl(['delete', 'tkasignins', '--all', '-n', 'tka-sessions', '--wait']);
});

const ours = async (): Promise<string[]> => {
  const kinds = 'tkasignins,serviceaccounts,clusterrolebindings,rolebindings';
  const { stdout } = await stack.kubectl(['get', kinds, '-A', '-l', 'app.kubernetes.io/managed-by=tka', '-o', 'name']);
  return stdout.split('\n').filter((line) => line !== '');
};

const nothingLeft = (): Promise<boolean> =>
  until(async () => (await ours()).length === 0, { what: 'everything of the session to go', timeoutMs: 60_000 });

const editSignin = async (session: string, patch: unknown): Promise<void> => {
  const name = ['signin', session, '-n', 'tka-sessions'];
  const { code, stderr } = await stack.kubectl(['patch', ...name, '--type=merge', '-p', JSON.stringify(patch)]);
  if (code !== 0) throw new Error(stderr);
};

const childrenOf = async (pid: number): Promise<number[]> => {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
  return text.trim() === '' ? [] : text.trim().split(' ').map(Number);
};

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

test.serial('a session expires although the server was killed and started again', async (t) => {
  const { session } = await as(bob).login();
  t.is((await ours()).length, 3);
  stack.killTka('SIGKILL');
  await stack.tka.exited;
  const soon = new Date(Date.now() + 5000).toISOString().replace(/\.\d+Z$/, 'Z');
  await editSignin(session, { spec: { expiresAt: soon } });
  await stack.startTka();
  await nothingLeft();
  await t.notThrowsAsync(as(bob).refused());
});

test.serial('a session that ended while the server was away is removed by the next one', async (t) => {
  const { session } = await as(bob).login();
  await stack.stopTka();
  await editSignin(session, { spec: { expiresAt: '2020-01-01T00:00:00Z' } });
  t.is((await ours()).length, 3);
  await stack.startTka();
  t.true(await nothingLeft());
});

test.serial('an account whose session was deleted with the finalizer stripped is swept', async (t) => {
  const { session } = await as(bob).login();
  stack.killTka('SIGKILL');
  await stack.tka.exited;
  await editSignin(session, { metadata: { finalizers: null } });
  t.is((await stack.kubectl(['delete', 'signin', session, '-n', 'tka-sessions'])).code, 0);
  t.is((await ours()).length, 2, 'the account and its binding are orphans now');
  await stack.startTka();
  t.true(await nothingLeft());
});

test.serial('no token outlives its session, with the server dead', async (t) => {
  const person = as(bob);
  const { until: end } = await person.login();
  const { stdout } = await person.tka('kubeconfig');
  stack.killTka('SIGKILL');
  await stack.tka.exited;
  const payload = /token: [\w-]+\.([\w-]+)\./.exec(stdout)?.[1] ?? '';
  const { exp } = JSON.parse(Buffer.from(payload, 'base64url').toString());
  t.true(exp * 1000 <= Date.parse(end), `${new Date(exp * 1000).toISOString()} is after ${end}`);
  t.true(exp * 1000 > Date.parse(end) - 60_000, 'a token that ends much too early is no use');
});

test.serial('a session about to end gives no token, and logging in again renews it', async (t) => {
  const person = as(bob);
  const { session } = await person.login();
  const soon = new Date(Date.now() + 300_000).toISOString().replace(/\.\d+Z$/, 'Z');
  await editSignin(session, { spec: { expiresAt: soon } });
  await until(async () => (await person.send('/api/v1alpha1/kubeconfig')).status === 409, {
    what: 'the server to know the new end',
    timeoutMs: 10_000,
  });
  t.is((await person.login()).session, session);
  t.is((await person.send('/api/v1alpha1/kubeconfig')).status, 200);
});

test.serial('the engine killed under load: no answer goes to the wrong person, and it comes back', async (t) => {
  t.timeout(60_000);
  const { pid } = stack.tka;
  const [engine = 0] = await childrenOf(pid);
  t.true(engine > 0);
  const stop = new AbortController();
  let wrong = 0;
  const answered = { before: 0, after: 0 };
  let killed = false;
  const load = [alice, bob].flatMap((name) =>
    Array.from({ length: 4 }, async () => {
      while (!stop.signal.aborted) {
        const answer = await as(name)
          .send('/api/v1alpha1/whoami', { timeoutMs: 3000 })
          .catch(() => undefined);
        if (answer?.status !== 200) continue;
        if (JSON.parse(answer.body).username !== name) wrong += 1;
        answered[killed ? 'after' : 'before'] += 1;
      }
    }),
  );
  await until(() => answered.before > 20, { what: 'load', timeoutMs: 10_000 });
  process.kill(engine, 'SIGKILL');
  await until(() => !isAlive(engine), { what: 'the engine to die', timeoutMs: 5000 });
  killed = true;
  await until(() => answered.after > 20, { what: 'answers after the engine died', timeoutMs: 30_000 });
  stop.abort();
  await Promise.all(load);
  t.is(wrong, 0);
  t.is(stack.tka.pid, pid, 'the server itself lives on');
  const metrics = await (await fetch(`${stack.tka.health}/metrics`)).text();
  t.regex(metrics, /^tka_engine_restarts_total(?:\{[^}]*\})? 1$/m);
});

test.serial('an idle watch ends when the engine is killed, and no later request meets a dead connection', async (t) => {
  t.timeout(90_000);
  await stack.kubectl(['create', 'configmap', 'standing']);
  await as(bob).login('--mode', 'proxy', '--use');
  const watching = new Running(t, stack, bob, ['kubectl', 'get', 'configmaps', '-w', '--output-watch-events']);
  await watching.says(/ADDED +standing/);
  const logout = (): Promise<{ readonly status: number; readonly body: string }> =>
    as(alice).send('/api/v1alpha1/logout', { method: 'POST', timeoutMs: 20_000 });
  // Connections that tailscaled keeps for the next requests.
  await Promise.all(Array.from({ length: 8 }, logout));
  const [engine = 0] = await childrenOf(stack.tka.pid);
  const killedAt = Date.now();
  process.kill(engine, 'SIGKILL');
  const { at } = await watching.end(20_000);
  t.log(`the watch ended ${at - killedAt} ms after the engine was killed`);
  await until(async () => (await as(bob).send('/api/v1alpha1/whoami', { timeoutMs: 3000 })).status === 200, {
    what: 'an answer',
    timeoutMs: 30_000,
  });
  for (const answer of await Promise.all(Array.from({ length: 8 }, logout))) {
    t.is(answer.status, 200, answer.body);
    t.not(answer.body, '');
  }
});

test.serial(
  'without the API server reads answer what tka knows, all else is 503, and everything works again',
  async (t) => {
    t.timeout(120_000);
    const { session } = await as(alice).login();
    const statuses = async (): Promise<Readonly<Record<string, number>>> => {
      const asked = {
        '/.well-known/tka': {},
        '/api/v1alpha1/whoami': {},
        '/api/v1alpha1/sessions': {},
        '/api/v1alpha1/cluster-info': {},
        '/api/v1alpha1/login': {},
        '/api/v1alpha1/login?': { headers: { prefer: 'wait=3' } },
        '/api/v1alpha1/kubeconfig': {},
        [`/api/v1alpha1/kubeconfig?session=${session}&mode=proxy`]: {},
        '/api/v1alpha1/login?post': { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' },
        '/api/v1alpha1/logout': { method: 'POST' },
      };
      const answers = Object.entries(asked).map(async ([path, options]) => {
        // A login that is there already needs no write: another user's does.
        const user = path.endsWith('?post') ? bob : alice;
        return [path, (await as(user).send(path, options)).status];
      });
      return Object.fromEntries(await Promise.all(answers));
    };
    await stack.kubernetes.stop();
    try {
      t.deepEqual(await statuses(), {
        '/.well-known/tka': 200,
        '/api/v1alpha1/whoami': 200,
        '/api/v1alpha1/sessions': 200,
        '/api/v1alpha1/cluster-info': 200,
        '/api/v1alpha1/login': 200,
        '/api/v1alpha1/login?': 503,
        '/api/v1alpha1/kubeconfig': 503,
        [`/api/v1alpha1/kubeconfig?session=${session}&mode=proxy`]: 503,
        '/api/v1alpha1/login?post': 503,
        '/api/v1alpha1/logout': 503,
      });
      const { code, stderr } = await as(alice).tka('kubeconfig');
      t.not(code, 0);
      t.regex(stderr, /API server is away/);
    } finally {
      await stack.kubernetes.start();
    }
    await until(async () => (await stack.tka.readyz()).status === 200, { what: 'the server ready', timeoutMs: 60_000 });
    t.true(await as(alice).can('get', 'namespaces'));
    t.is((await as(alice).tka('logout')).code, 0);
    t.true(await nothingLeft());
  },
);

test.serial('an engine that hangs is replaced', async (t) => {
  t.timeout(60_000);
  const [engine = 0] = await childrenOf(stack.tka.pid);
  process.kill(engine, 'SIGSTOP');
  await until(() => !isAlive(engine), { what: 'the hung engine to be killed', timeoutMs: 30_000 });
  await until(async () => (await as(bob).send('/api/v1alpha1/whoami', { timeoutMs: 3000 })).status === 200, {
    what: 'an answer',
    timeoutMs: 30_000,
  });
  t.pass();
});

test.serial('neither SIGTERM nor SIGKILL leaves an engine behind', async (t) => {
  const engines = await childrenOf(stack.tka.pid);
  t.is(engines.length, 1);
  t.is(await stack.tka.stop(), 0);
  t.false(engines.some(isAlive));

  await stack.startTka();
  const [engine = 0] = await childrenOf(stack.tka.pid);
  stack.killTka('SIGKILL');
  await stack.tka.exited;
  await until(() => !isAlive(engine), { what: 'the engine to end with its server', timeoutMs: 10_000 });
});

test.serial('a login of the command is one trace at a receiver; without the receiver it goes on', async (t) => {
  t.timeout(90_000);
  const receiver = await startReceiver();
  await stack.stopTka();
  await stack.startTka({ config: { tracing: { endpoint: `http://127.0.0.1:${receiver.port}` } } });
  const traceId = '0af7651916cd43dd8448eb211c80319c';
  const traceparent = `00-${traceId}-b7ad6b7169203331-01`;
  const { code, stdout, stderr } = await stack.tkaCommand(bob, ['login', '--non-interactive', '-o', 'json'], {
    env: { TKA_SERVER: stack.tka.url, TRACEPARENT: traceparent },
  });
  t.is(code, 0, stderr);
  const { session } = JSON.parse(stdout);
  const wanted = ['POST /api/v1alpha1/login', 'grant', 'store', 'reconcile', 'usable', 'token'];
  const ofTrace = () => receiver.spans.filter((span) => span.traceId === traceId);
  await until(() => wanted.every((name) => ofTrace().some((span) => span.name === name)), {
    what: `spans ${wanted.join()} of the caller's trace, among ${receiver.spans.map(({ name }) => name).join()}`,
    timeoutMs: 20_000,
  });
  const ids = new Set(ofTrace().map(({ spanId }) => spanId));
  const outside = ofTrace().filter(({ parentSpanId }) => !ids.has(parentSpanId));
  t.true(
    outside.every(({ parentSpanId }) => parentSpanId === 'b7ad6b7169203331'),
    JSON.stringify(outside),
  );
  const login = ofTrace().find(({ name }) => name === wanted[0]);
  t.like(login, { hasFailed: false, attributes: { 'http.response.status_code': 200 } });
  t.true(stack.tka.readLog().includes(String(login?.attributes['tka.request_id'])), 'the audit line has the same ID');
  for (const secret of [session, 'bob', '@', 'eyJ', 'tka_']) t.false(receiver.bodies.join().includes(secret), secret);

  await receiver[Symbol.asyncDispose]();
  const before = stack.tka.readLog().length;
  await as(bob).login();
  t.true(await as(bob).can('list', 'pods'));
  const told = (): number => stack.tka.readLog().slice(before).split('traces cannot be sent').length - 1;
  await until(() => told() > 0, { what: 'the log to say that traces cannot be sent', timeoutMs: 30_000 });
  t.is(told(), 1);
  // Without traces again, for the tests after it.
  await stack.stopTka();
  await stack.startTka({ config: { tracing: undefined } });
});

/** Starts the server with what cannot work; resolves with the log of this run alone. */
const startBadly = async (overrides: TkaOverrides): Promise<() => string> => {
  await stack.stopTka();
  const before = stack.tka.readLog().length;
  await stack.startTka({ ...overrides, untilReady: false });
  return () => stack.tka.readLog().slice(before);
};

/** Resolves with the whole log when the server has ended with the code. */
const endsWith = async (log: () => string, wanted: number): Promise<string> => {
  const code = await stack.tka.exited;
  if (code !== wanted) throw new Error(`exit code ${code}, not ${wanted}:\n${log()}`);
  return log();
};

const says = (log: () => string, pattern: RegExp): Promise<boolean> =>
  until(() => pattern.test(log()), { what: `the log to say ${pattern}`, timeoutMs: 30_000 });

test.serial('a wrong auth key is named, with the remedy', async (t) => {
  const log = await startBadly({ authKey: 'hskey-auth-0000-1111', freshState: true });
  const text = await endsWith(log, 1);
  t.regex(text, /auth key was refused by .*; make a new one/);
  t.notRegex(text, /hskey-auth-0000-1111/);
  t.notRegex(lastMessage(text), /\n\s+at /);
});

test.serial('an expired auth key is named', async (t) => {
  const authKey = await stack.headscale.authKey({ owner: 'tag:tka', expiration: '1s' });
  const expires = Date.now() + 2000;
  await until(() => Date.now() > expires, { what: 'the key to expire', timeoutMs: 5000 });
  const log = await startBadly({ authKey, freshState: true });
  t.regex(await endsWith(log, 1), /auth key was refused by .*expired.*; make a new one/);
});

test.serial('a control server that cannot be reached is named, and the server keeps trying, unready', async (t) => {
  const log = await startBadly({
    config: { tailscale: { controlUrl: 'https://127.0.0.1:9' } },
    freshState: true,
  });
  t.true(await says(log, /127\.0\.0\.1:9/));
  const { status, body } = await stack.tka.readyz();
  t.is(status, 503);
  t.regex(body, /control|tailnet/i);
  t.true(stack.tka.isRunning);
  t.is(await stack.tka.stop(), 0);
});

test.serial('an API server that cannot be reached is named, and the server keeps trying, unready', async (t) => {
  const kubeconfig = await kubeconfigFor('https://127.0.0.1:9');
  const log = await startBadly({ config: { kubernetes: { kubeconfig } } });
  t.true(await says(log, /API server.*away/));
  t.regex(log(), /127\.0\.0\.1:9/);
  t.is((await stack.tka.readyz()).status, 503);
  t.is(await stack.tka.stop(), 0);
});

test.serial('a Kubernetes that is too old is refused by name', async (t) => {
  const old = createServer((req, res) => {
    res.setHeader('content-type', 'application/json');
    if (req.url === '/version') res.end(JSON.stringify({ major: '1', minor: '29', gitVersion: 'v1.29.4' }));
    else res.writeHead(404).end('{}');
  });
  await new Promise<void>((resolve) => old.listen(0, '127.0.0.1', resolve));
  t.teardown(() => old.close());
  // Listening on a port, so the address is no path.
  const { port } = old.address() as AddressInfo;
  const kubeconfig = await kubeconfigFor(`http://127.0.0.1:${port}`, { 'insecure-skip-tls-verify': true });
  const text = await endsWith(await startBadly({ config: { kubernetes: { kubeconfig } } }), 1);
  t.regex(text, /1\.29/);
  t.regex(text, /1\.30/);
});

test.serial('a missing CRD is named with the command that installs it', async (t) => {
  await stack.stopTka();
  const { stdout: crd } = await stack.kubectl(['get', 'crd', 'tkasignins.tka.specht-labs.de', '-o', 'json']);
  t.is((await stack.kubectl(['delete', 'crd', 'tkasignins.tka.specht-labs.de'])).code, 0);
  try {
    const text = await endsWith(await startBadly({}), 1);
    t.regex(text, /tkasignins\.tka\.specht-labs\.de/);
    t.regex(text, /kubectl apply -k OVERLAY/);
  } finally {
    await stack.kubectl(['create', '-f', '-'], { input: stripped(crd) });
    await stack.kubectl(['wait', '--for=condition=Established', 'crd/tkasignins.tka.specht-labs.de']);
  }
});

test.serial('a missing right is named by verb and resource', async (t) => {
  const { stdout: binding } = await stack.kubectl(['get', 'clusterrolebinding', 'tka', '-o', 'json']);
  await stack.kubectl(['delete', 'clusterrolebinding', 'tka']);
  try {
    const text = await endsWith(await startBadly({}), 1);
    t.regex(text, /create/);
    t.regex(text, /clusterrolebindings/);
  } finally {
    await stack.kubectl(['create', '-f', '-'], { input: stripped(binding) });
  }
});

test.serial('a missing admission policy is named', async (t) => {
  const name = ['validatingadmissionpolicybinding', 'tka-signins'];
  const { stdout: binding } = await stack.kubectl(['get', ...name, '-o', 'json']);
  await stack.kubectl(['delete', ...name]);
  try {
    t.regex(await endsWith(await startBadly({}), 1), /tka-signins/);
  } finally {
    await stack.kubectl(['create', '-f', '-'], { input: stripped(binding) });
  }
});

test.serial('a bad configuration file is named with the key', async (t) => {
  const log = await startBadly({ config: { health: { prot: 1 } } });
  const text = await endsWith(log, 2);
  t.regex(text, /health\.prot/);
  t.regex(text, /config\.yaml/);
});

test.serial('a port in use is named with its setting', async (t) => {
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
  t.teardown(() => other.close());
  const { port } = other.address() as AddressInfo;
  const text = await endsWith(await startBadly({ config: { health: { port } } }), 1);
  t.regex(text, /health\.port/);
  t.true(text.includes(String(port)));
});

/** tka's own kubeconfig with another server. */
async function kubeconfigFor(server: string, more: Record<string, unknown> = {}): Promise<string> {
  const config = parse(await readFile(await stack.kubernetes.accountKubeconfig('tka-system', 'tka'), 'utf8'));
  config.clusters[0].cluster = { ...config.clusters[0].cluster, ...more, server };
  if (more['insecure-skip-tls-verify'] === true) delete config.clusters[0].cluster['certificate-authority-data'];
  const path = join(scratch, `kubeconfig-${Math.random().toString(36).slice(2)}`);
  await writeFile(path, stringify(config), { mode: 0o600 });
  return path;
}

/** An object as it can be created again. */
function stripped(json: string): string {
  const object = JSON.parse(json);
  delete object.metadata.resourceVersion;
  delete object.metadata.uid;
  delete object.status;
  return JSON.stringify(object);
}

function lastMessage(log: string): string {
  return log.trim().split('\n').at(-1) ?? '';
}
