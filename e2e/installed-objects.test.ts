/**
 * Each object of the installation deleted or changed while tka runs: what people are told, what /readyz says, what heals by itself, and
 * that the one command of docs/troubleshooting.md repairs the rest. The installation is an overlay with a shorter list of roles,
 * which no remedy may reset. One stack for the whole file.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { stringify } from 'yaml';
import { policyOf } from '../dev/stack/policy.ts';
import { startStack } from '../dev/stack/stack.ts';
import type { Stack } from '../dev/stack/stack.ts';
import { until } from '../dev/stack/until.ts';
import { Person } from './person.ts';

const alice = 'alice@example.com';
const manifests = fileURLToPath(new URL('../manifests/cluster', import.meta.url));
const troubleshooting = fileURLToPath(new URL('../docs/troubleshooting.md', import.meta.url));

let stack: Stack;
let overlay: string;

test.before(async (t) => {
  t.timeout(180_000);
  overlay = await mkdtemp(join(tmpdir(), 'tka-overlay-'));
  await writeFile(
    join(overlay, 'kustomization.yaml'),
    stringify({
      resources: [relative(overlay, manifests)],
      patches: [
        {
          target: { kind: 'ClusterRole', name: 'tka-bindable-roles' },
          patch: stringify([{ op: 'replace', path: '/rules/0/resourceNames', value: ['view'] }]),
        },
      ],
    }),
  );
  const policy = policyOf({ [alice]: [{ role: 'view', period: '1h' }] });
  stack = await startStack({ users: [alice], policy, tka: false });
  await remedy();
  await stack.startTka(settings);
});
test.after.always(async () => {
  await stack?.close();
  await rm(overlay, { recursive: true, force: true });
});

const settings = { config: { roles: { clusterWide: ['view'], namespaced: ['view'] } } };
const person = (): Person => new Person(stack, alice);

const kubectl = async (...args: readonly string[]): Promise<string> => {
  const { code, stdout, stderr } = await stack.kubectl(args);
  if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`);
  return stdout;
};

/** `kubectl apply -k OVERLAY`, by the manager that the stack installs with. */
const remedy = async (): Promise<void> => {
  const apply = async (): Promise<boolean> => {
    const { code, stderr } = await stack.kubectl(['apply', '--server-side', '--force-conflicts', '-k', overlay]);
    // What was just deleted, or just made, is refused for a moment.
    if (code !== 0 && !/being (deleted|terminated)|not found|no matches for kind/.test(stderr)) throw new Error(stderr);
    return code === 0;
  };
  await until(apply, { what: 'kubectl apply -k OVERLAY', timeoutMs: 30_000 });
};

const readyz = async (): Promise<string> => (await stack.tka.readyz()).body;

/** Status and body of a login that waits until it can be used. */
const login = async (): Promise<{ readonly status: number; readonly body: string }> =>
  await person().send('/api/v1alpha1/login', { method: 'POST', headers: { prefer: 'wait=5' } });

const loginSays = async (status: number | 'refused', words: RegExp): Promise<void> => {
  await until(
    async () => {
      const answer = await login();
      return (status === 'refused' ? answer.status !== 200 : answer.status === status) && words.test(answer.body);
    },
    // Not so often that logins are limited.
    { what: `a login answered ${status} ${words}`, timeoutMs: 20_000, everyMs: 500 },
  );
};

const readyzSays = async (words: RegExp): Promise<void> => {
  await until(async () => words.test(await readyz()), { what: `/readyz to say ${words}`, timeoutMs: 30_000 });
};

/** Ready, a login works, and the roles are the overlay's. Leaves no session: the next login must make one. */
const isWell = async (t: ExecutionContext): Promise<void> => {
  await until(async () => (await stack.tka.readyz()).status === 200, { what: 'a ready server', timeoutMs: 30_000 });
  await until(async () => (await login()).status === 200, { what: 'a login', timeoutMs: 20_000, everyMs: 500 });
  t.is((await person().send('/api/v1alpha1/logout', { method: 'POST' })).status, 200);
  const roles = await kubectl('get', 'clusterrole', 'tka-bindable-roles', '-o', 'jsonpath={.rules[0].resourceNames}');
  t.is(roles, '["view"]');
};

const refusesToStart = async (t: ExecutionContext, words: RegExp): Promise<void> => {
  await stack.stopTka();
  const before = stack.tka.readLog().length;
  await stack.startTka({ ...settings, untilReady: false });
  t.is(await stack.tka.exited, 1);
  t.regex(stack.tka.readLog().slice(before), words);
};

interface Row {
  readonly title: string;
  readonly damage: () => Promise<unknown>;
  /** Of a login. */
  readonly login?: readonly [status: number | 'refused', words: RegExp];
  readonly readyz?: RegExp;
  /** What a server that starts says before it ends with exit code 1. */
  readonly start?: RegExp;
  /** It is repaired without anybody. */
  readonly heals?: boolean;
}

const rows: readonly Row[] = [
  {
    title: 'the namespace tka-sessions',
    damage: () => kubectl('delete', 'namespace', 'tka-sessions', '--timeout=30s'),
    login: [503, /tka's installation in this cluster is incomplete: .*kubectl apply -k OVERLAY/],
    start: /the namespace tka-sessions is not installed: .*kubectl apply -k OVERLAY/,
  },
  {
    title: 'the CustomResourceDefinition',
    damage: () => kubectl('delete', 'crd', 'tkasignins.tka.specht-labs.de', '--timeout=30s'),
    login: [503, /CustomResourceDefinition tkasignins\.tka\.specht-labs\.de is not installed/],
    readyz: /CustomResourceDefinition tkasignins\.tka\.specht-labs\.de is not installed: .*kubectl apply -k OVERLAY/,
    start: /CustomResourceDefinition tkasignins\.tka\.specht-labs\.de is not installed: .*kubectl apply -k OVERLAY/,
  },
  {
    title: 'the Role in tka-sessions',
    damage: () => kubectl('delete', 'role', 'tka', '-n', 'tka-sessions'),
    login: [503, /incomplete: tka may not create tkasignins in namespace tka-sessions/],
    start: /tka may not create tkasignins\.tka\.specht-labs\.de in namespace tka-sessions: .*kubectl apply -k OVERLAY/,
  },
  {
    title: 'the RoleBinding in tka-sessions, bound to another account',
    damage: async () => {
      const patch = '{"subjects":[{"kind":"ServiceAccount","name":"other","namespace":"tka-system"}]}';
      await kubectl('patch', 'rolebinding', 'tka', '-n', 'tka-sessions', '--type=merge', `-p=${patch}`);
    },
    login: [503, /incomplete: tka may not create tkasignins in namespace tka-sessions/],
  },
  {
    title: 'the rules of the ClusterRole tka',
    damage: () => kubectl('patch', 'clusterrole', 'tka', '--type=merge', '-p={"rules":[]}'),
    start:
      /tka may not create clusterrolebindings\.rbac\.authorization\.k8s\.io in the whole cluster: .*kubectl apply -k OVERLAY/,
  },
  {
    title: 'the list of roles',
    damage: () => kubectl('delete', 'clusterrole', 'tka-bindable-roles'),
    // 422 once that has lasted; 503 from the next look at the installation on.
    login: ['refused', /tka may not bind (?:the role view|clusterroles\S* view)/],
    start: /tka may not bind clusterroles\.rbac\.authorization\.k8s\.io view/,
  },
  {
    title: 'the Lease',
    damage: () => kubectl('delete', 'lease', 'tka', '-n', 'tka-system', '--ignore-not-found'),
    heals: true,
  },
];

for (const { title, damage, login: said, readyz: words, start, heals = false } of rows) {
  test.serial(`${title}, gone while tka runs and at its start: said, and repaired by one command`, async (t) => {
    t.timeout(120_000);
    await isWell(t);
    await damage();
    if (said !== undefined) await loginSays(...said);
    if (words !== undefined) await readyzSays(words);
    t.false(/is away/.test(await readyz()), 'the API server is there');
    if (start !== undefined) await refusesToStart(t, start);
    if (!heals) await remedy();
    if (!stack.tka.isRunning) await stack.startTka(settings);
    await isWell(t);
    t.notRegex(stack.tka.readLog(), /this is a bug|"msg":"a bug/);
  });
}

test.serial('tka-sessions deleted with sessions in it: it goes, their access with it, and no one waits', async (t) => {
  t.timeout(120_000);
  await isWell(t);
  await person().login('--mode', 'direct', '--use');
  t.is((await person().kubectl('get', 'namespaces')).code, 0);
  await kubectl('delete', 'namespace', 'tka-sessions', '--timeout=30s');
  const selector = ['-l', 'app.kubernetes.io/managed-by=tka', '-A', '-o', 'name'];
  t.is(await kubectl('get', 'clusterrolebindings,rolebindings,serviceaccounts', ...selector), '');
  await person().refused();
  await remedy();
  await isWell(t);
});

test.serial(
  'the ServiceAccount tka, deleted while tka runs: said, and repaired by the command and a restart',
  async (t) => {
    t.timeout(120_000);
    await isWell(t);
    await kubectl('delete', 'serviceaccount', 'tka', '-n', 'tka-system');
    await loginSays(503, /the API server does not know tka's credential: its ServiceAccount was deleted/);
    await readyzSays(/the API server does not know tka's credential/);
    await remedy();
    // What kubectl rollout restart does: another start, with a token of the new account.
    await stack.restartTka(settings);
    await isWell(t);
  },
);

test('every row is in the table of docs/troubleshooting.md', async (t) => {
  const text = await readFile(troubleshooting, 'utf8');
  for (const object of [
    'namespace `tka-sessions`',
    'CustomResourceDefinition',
    'Role or RoleBinding `tka` in `tka-sessions`',
    'ClusterRole or ClusterRoleBinding `tka`',
    'ClusterRole `tka-bindable-roles`',
    'Lease `tka`',
    'ServiceAccount `tka`',
  ]) {
    t.true(text.includes(`| ${object}`), object);
  }
});
