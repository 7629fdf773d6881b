/**
 * An installation that is damaged while the server runs: policies, rights and Secrets are taken away under it, and given back. One stack
 * for the whole file.
 */
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { policyOf } from '../dev/stack/policy.ts';
import { startStack } from '../dev/stack/stack.ts';
import type { Stack } from '../dev/stack/stack.ts';
import type { TkaOverrides } from '../dev/stack/tka-server.ts';
import { until } from '../dev/stack/until.ts';
import { Caller } from './proxy/caller.ts';
import { logOf } from './proxy/server-log.ts';

const alice = 'alice@example.com';
const entry = fileURLToPath(new URL('../dist/tka-server.js', import.meta.url));
const manifest = (name: string): string => fileURLToPath(new URL(`../manifests/cluster/${name}`, import.meta.url));
const inSecrets: TkaOverrides = {
  config: {
    tailscale: { stateDir: undefined, stateSecret: 'tka-0-state' },
    api: { serverKeySecret: 'tka-server-key' },
  },
};
/** A look is 30 s after the last, and is confirmed 5 s later. */
const noticedMs = 60_000;

let stack: Stack;

test.before(async (t) => {
  t.timeout(180_000);
  stack = await startStack({ users: [alice], policy: policyOf(), tka: false });
  await stack.startTka(inSecrets);
});
test.after.always(() => stack?.close());

const kubectl = async (args: readonly string[], input = ''): Promise<string> => {
  const { code, stdout, stderr } = await stack.kubectl(args, { input });
  if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`);
  return stdout;
};
const login = () => Caller.of(stack, alice).api('/api/v1alpha1/login', { method: 'POST' });
const metric = async (): Promise<number> => {
  const text = await (await fetch(`${stack.tka.health}/metrics`)).text();
  return Number(/^tka_installation_problems (\S+)$/m.exec(text)?.[1]);
};
const serverPolicy = ['validatingadmissionpolicy', 'tka-server'];
const key = ['secret', 'tka-server-key', '-n', 'tka-system'];
const role = ['role', 'tka', '-n', 'tka-sessions'];

/** As `kubectl create -f` takes it back. */
const copyOf = async (object: readonly string[]): Promise<string> => {
  const found = await kubectl(['get', ...object, '-o', 'yaml']);
  return kubectl(
    ['annotate', '--local', '-f', '-', 'kubectl.kubernetes.io/last-applied-configuration-', '-o', 'yaml'],
    found,
  );
};

test.serial(
  'policies, rights and the key that go are told within a minute, hold logins, and heal by themselves',
  async (t) => {
    t.timeout(180_000);
    const since = Date.now();
    const entryOfAlice = await Caller.of(stack, alice).login();
    t.is(await metric(), 0);
    const [keyBefore, roleBefore] = [await copyOf(key), await copyOf(role)];

    await kubectl(['delete', 'validatingadmissionpolicy', 'tka-signins']);
    const warn = '{"spec":{"validationActions":["Warn"]}}';
    await kubectl(['patch', 'validatingadmissionpolicybinding', 'tka-bindings', '--type=merge', '-p', warn]);
    const never = '{"spec":{"matchConditions":[{"name":"never","expression":"false"}]}}';
    await kubectl(['patch', ...serverPolicy, '--type=merge', '-p', never]);
    await kubectl(['delete', ...key]);
    const withoutEvents = JSON.stringify([
      { op: 'test', path: '/rules/4/resources', value: ['events'] },
      { op: 'remove', path: '/rules/4' },
    ]);
    await kubectl(['patch', ...role, '--type=json', '-p', withoutEvents]);

    const problems = [
      /the admission policy tka-signins is not installed: install it again/,
      /the binding of the admission policy tka-bindings was changed: its validationActions are Warn, without Deny/,
      /tka may not create events in namespace tka-sessions/,
      /Secret tka-system\/tka-server-key does not exist/,
      /its matchConditions is always false: delete it \(kubectl delete validatingadmissionpolicy tka-server\), then install/,
    ];
    const ready = await until(
      async () => {
        const { status, body } = await stack.tka.readyz();
        return status === 503 && problems.every((problem) => problem.test(body)) && body;
      },
      { what: 'the server to say all that is wrong', timeoutMs: noticedMs },
    );
    t.regex(ready, /new logins are refused/);
    const refused = await login();
    t.is(refused.status, 503);
    t.like(JSON.parse(refused.body), { code: 'installation_damaged' });
    for (const problem of problems) t.regex(refused.body, problem);
    t.is(
      (await Caller.of(stack, alice).ask(entryOfAlice, '/api/v1/namespaces')).status,
      200,
      'open sessions stay active',
    );
    t.true((await metric()) >= 5);
    const told = (): string =>
      logOf(stack, since)
        .filter(({ msg }) => msg === 'the installation is damaged: new logins are refused')
        .map((line) => JSON.stringify(line))
        .join();
    await until(() => problems.slice(0, 3).every((problem) => problem.test(told())), {
      what: 'the log to name each',
      timeoutMs: 5000,
    });

    // By the client: two owners' validationActions would be merged by the server.
    await kubectl(['apply', '-f', manifest('admission.yaml')]);
    // As the problem says: to apply alone would leave the other program's condition in place.
    await kubectl(['delete', ...serverPolicy]);
    await kubectl(['apply', '-f', manifest('admission-server.yaml')]);
    await kubectl(['create', '-f', '-'], keyBefore);
    await kubectl(['replace', '--force', '-f', '-'], roleBefore);
    await until(async () => (await stack.tka.readyz()).status === 200, {
      what: 'the server to heal',
      timeoutMs: 60_000,
    });
    t.is((await login()).status, 202);
    t.is(await metric(), 0);
    t.is((await Caller.of(stack, alice).ask(entryOfAlice, '/api/v1/namespaces')).status, 200, 'by the same key');
  },
);

test.serial('a start without the key that was there is refused, makes none, and a new one heals it', async (t) => {
  t.timeout(90_000);
  await stack.stopTka();
  await kubectl(['delete', ...key]);
  await kubectl(['apply', '--server-side', '-f', manifest('secrets.yaml')]);
  const before = stack.tka.readLog().length;
  await stack.startTka({ ...inSecrets, untilReady: false });
  t.is(await stack.tka.exited, 1);
  t.regex(
    stack.tka.readLog().slice(before),
    /Secret tka-system\/tka-server-key holds no server key, though Secret tka-system\/tka-0-state holds a node that has joined: it was lost/,
  );
  t.is(await kubectl(['get', ...key, '-o', 'jsonpath={.data}']), '');
  const flags = ['--kubernetes-kubeconfig', stack.kubeconfig, '--api-server-key-secret', 'tka-server-key'];
  t.is((await stack.runAs(alice, process.execPath, [entry, 'rotate-key', ...flags])).code, 0);
  await stack.startTka(inSecrets);
  t.is((await login()).status, 202);
});
