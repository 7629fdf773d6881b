/**
 * Kubeconfigs as other programs write them, with the real kubectl beside: what it reads, tka reads; what tka adds, it reads; and
 * what it makes of a file, tka still understands.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { cacheDir, cacheKey, tools } from '../dev/stack/tools.ts';
import { mergeEntries, ownContexts, removeEntries, type SessionEntries } from '../tui/kubeconfig/entries.ts';
import { editKubeconfig, readKubeconfig } from '../tui/kubeconfig/file.ts';
import { shapes } from './testing/kubeconfig-shapes.ts';

const { signal } = new AbortController();
const marker = { server: 'http://tka', session: 'alice-0123456789' };
const entries: SessionEntries = {
  marker,
  name: 'tka-prod',
  cluster: { server: 'https://tka/k8s', 'certificate-authority-data': 'Q0E=' },
  user: {
    exec: {
      apiVersion: 'client.authentication.k8s.io/v1',
      command: 'tka',
      args: ['credential'],
      interactiveMode: 'Never',
    },
  },
  use: true,
};

function kubectl(kubeconfig: string, ...args: readonly string[]): string {
  const kube = tools.find(({ name }) => name === 'kube');
  if (kube === undefined) throw new Error('no tool is called kube');
  const path = join(cacheDir(), cacheKey(kube), 'kubectl');
  return execFileSync(path, args, { env: { KUBECONFIG: kubeconfig }, encoding: 'utf8', stdio: 'pipe' });
}

interface Named {
  readonly name: string;
}

interface View {
  readonly contexts: readonly Named[] | null;
  readonly clusters: readonly Named[] | null;
  readonly users: readonly Named[] | null;
  readonly 'current-context': string;
}

/** What kubectl reads: what is tka's, and the rest. */
function view(kubeconfig: string): {
  readonly own: readonly string[];
  readonly others: unknown;
  readonly current: string;
} {
  // kubectl's own output; what it lacks makes the assertions fail.
  const read = JSON.parse(kubectl(kubeconfig, 'config', 'view', '--raw', '-o', 'json')) as View;
  const lists = [read.contexts, read.clusters, read.users].map((list) => list ?? []);
  return {
    own: lists.flatMap((list) => list.filter(({ name }) => name === 'tka-prod').map(({ name }) => name)),
    others: lists.map((list) => list.filter(({ name }) => name !== 'tka-prod')),
    current: read['current-context'],
  };
}

const names = (kubeconfig: string): readonly string[] =>
  kubectl(kubeconfig, 'config', 'get-contexts', '-o', 'name').split('\n').filter(Boolean);

const logIn = (paths: readonly string[]) =>
  editKubeconfig(paths, ({ files, destination }) => mergeEntries(files, destination, entries), {
    signal,
    create: true,
  });
const logOut = (paths: readonly string[]) =>
  editKubeconfig(paths, ({ files }) => removeEntries(files, ({ session }) => session === marker.session), { signal });

function temporary(t: ExecutionContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'tka-e2e-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** A login and a logout in a copy of the file: kubectl sees the entries come and go, and all others stay. */
async function checkRoundTrip(t: ExecutionContext, path: string, what: string): Promise<void> {
  const copy = `${path}.copy`;
  cpSync(path, copy);
  const before = view(copy);
  await logIn([copy]);
  t.deepEqual(view(copy), { ...before, own: ['tka-prod', 'tka-prod', 'tka-prod'], current: 'tka-prod' }, what);
  await logOut([copy]);
  t.deepEqual(view(copy), { ...before, current: '' }, what);
  rmSync(copy);
}

test('every config verb of kubectl leaves a file that a login can be added to', async (t) => {
  const path = join(temporary(t), 'config');
  const verbs: readonly (readonly string[])[] = [
    ['set-cluster', 'x', '--server=https://127.0.0.1:1'],
    ['set-credentials', 'u', '--token=abc'],
    ['set-context', 'c', '--cluster=x', '--user=u', '--namespace=n'],
    ['use-context', 'c'],
    ['rename-context', 'c', 'd'],
    ['set', 'preferences.colors', 'true'],
    ['unset', 'preferences'],
    ['unset', 'users'],
    ['set-context', 'y'],
    ['delete-context', 'y'],
    ['delete-context', 'd'],
    ['unset', 'current-context'],
    ['delete-cluster', 'x'],
    ['set', 'clusters.z.server', 'https://z'],
    ['unset', 'clusters'],
    ['unset', 'contexts'],
    ['set-credentials', 'v', '--exec-command=aws', '--exec-api-version=client.authentication.k8s.io/v1'],
    ['delete-user', 'v'],
  ];
  for (const verb of verbs) {
    kubectl(path, 'config', ...verb);
    await checkRoundTrip(t, path, verb.join(' '));
  }
});

test('what kubectl makes of a file with a session in it still is the session to tka', async (t) => {
  const path = join(temporary(t), 'config');
  await logIn([path]);
  for (const verb of [
    ['set-context', 'c'],
    ['rename-context', 'tka-prod', 'mine'],
    ['use-context', 'c'],
  ]) {
    kubectl(path, 'config', ...verb);
  }
  t.deepEqual(ownContexts(readKubeconfig([path]).files), [{ ...marker, context: 'mine', current: false }]);
  await logIn([path]);
  t.deepEqual(names(path).toSorted(), ['c', 'mine']);
  t.is(view(path).current, 'mine');
  await logOut([path]);
  t.deepEqual(names(path), ['c']);
});

for (const [what, content] of Object.entries(shapes)) {
  test(`a kubeconfig ${what} is read as kubectl reads it, and takes a login`, async (t) => {
    const path = join(temporary(t), 'config');
    writeFileSync(path, content);
    await checkRoundTrip(t, path, what);
  });
}

test('names that YAML 1.1 takes for booleans or numbers are the same names to kubectl', async (t) => {
  for (const name of ['on', 'y', 'no', '012', '1e3', '0x1f', '1_000', 'null', '12:30:45']) {
    const path = join(temporary(t), 'config');
    await editKubeconfig([path], ({ files, destination }) => mergeEntries(files, destination, { ...entries, name }), {
      signal,
      create: true,
    });
    t.is(view(path).current, name);
  }
});

test('of several files kubectl sees the entries, whichever of them are missing or empty', async (t) => {
  const directory = temporary(t);
  const [missing, empty, full] = ['missing', 'empty', 'full'].map((name) => join(directory, name)) as [
    string,
    string,
    string,
  ];
  writeFileSync(empty, '');
  kubectl(full, 'config', 'set-context', 'c');
  const before = readFileSync(full, 'utf8');
  const list = ['', missing, '', empty, full].join(delimiter);
  await logIn([missing, empty, full]);
  t.deepEqual(names(list).toSorted(), ['c', 'tka-prod']);
  t.is(readFileSync(full, 'utf8'), before);
  await logOut([missing, empty, full]);
  t.deepEqual(names(list), ['c']);
});
