/**
 * The Helm chart: what it renders, held against the manifests object by object; what docs/deploy.md shows; and a release through
 * its life on a real API server, with the rights that tka has in it.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { parse, stringify } from 'yaml';
import { buildTools } from '../dev/stack/build.ts';
import { startStack } from '../dev/stack/stack.ts';
import type { ClusterStack } from '../dev/stack/stack.ts';
import { loadConfig } from '../node/config/index.ts';
import { blocksOf } from './deploy/page.ts';
import { remains } from './deploy/remains.ts';
import { fieldsBesidesInstaller, fieldsOf, flatten, objectsOf } from './deploy/objects.ts';
import type { Objects } from './deploy/objects.ts';
import { rightsTable } from './deploy/rights.ts';
import { changes, pod, refused, settings } from './deploy/values.ts';
import { until } from '../dev/stack/until.ts';

const { version } = JSON.parse(await readFile(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string;
}; // ours
const chart = fileURLToPath(new URL('../charts/tka', import.meta.url));
const manifests = fileURLToPath(new URL('../manifests', import.meta.url));

let stack: ClusterStack;
let helm: string;
let dir: string;

test.before(async (t) => {
  t.timeout(180_000);
  ({ helm = '' } = await buildTools({ helm: true }));
  stack = await startStack({ tailnet: false, manifests: false });
  dir = mkdtempSync(join(tmpdir(), 'tka-helm-'));
});
test.after.always(async () => {
  await stack?.close();
  if (dir !== undefined) rmSync(dir, { recursive: true });
});

interface Said {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

let files = 0;
function valuesFile(values: unknown): string {
  const file = join(dir, `${files++}.yaml`);
  writeFileSync(file, stringify(values));
  return file;
}

function run(...args: readonly string[]): Promise<Said> {
  const env = { HOME: dir, KUBECONFIG: stack.kubeconfig };
  const { promise, resolve } = Promise.withResolvers<Said>();
  execFile(helm, args, { env, encoding: 'utf8' }, (error, stdout, stderr) =>
    resolve({ code: error === null ? 0 : Number(error.code ?? 1), stdout, stderr }),
  );
  return promise;
}

async function must(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await run(...args);
  if (code !== 0) throw new Error(`helm ${args.join(' ')}: exit code ${code}: ${stderr}`);
  return stdout;
}

const rendered = async (values: unknown = {}): Promise<Objects> =>
  objectsOf(await must('template', 'tka', chart, '--values', valuesFile(values)));

test('helm lint has nothing to say', async (t) => {
  const { code, stdout, stderr } = await run('lint', '--strict', chart);
  t.is(code, 0, stdout + stderr);
  t.notRegex(stdout + stderr, /\[(?:WARNING|ERROR)\]/);
});

test('with its default values the chart is what kubectl apply -k manifests/ applies', async (t) => {
  const { stdout } = await stack.kubectl(['kustomize', manifests]);
  const expected = objectsOf(stdout);
  const found = new Map(await rendered());
  t.deepEqual([...found.keys()].sort(), [...expected.keys()].sort());
  for (const [name, object] of expected) {
    const fields = fieldsBesidesInstaller(found.get(name));
    // In place of the digest in kustomize's name.
    fields.delete('spec.template.metadata.annotations.checksum/settings');
    t.deepEqual(Object.fromEntries(fields), Object.fromEntries(fieldsBesidesInstaller(object)), name);
  }
});

test('every object has the recommended labels, and nothing of tka carries the one of sessions', async (t) => {
  const { stdout } = await stack.kubectl(['kustomize', manifests]);
  for (const objects of [objectsOf(stdout), await rendered()]) {
    for (const [name, object] of objects) {
      const label = (key: string): unknown => flatten(object).get(`metadata.labels.app.kubernetes.io/${key}`);
      t.deepEqual(['name', 'instance', 'version', 'part-of'].map(label), ['tka', 'tka', version, 'tka'], name);
      t.regex(String(label('component')), /^(?:access|server)$/, name);
      t.true(['kustomize', 'Helm'].includes(String(label('managed-by'))), name);
    }
  }
});

const checksum = 'StatefulSet tka-system/tka: spec.template.metadata.annotations.checksum/settings';

for (const { values, changed, gone = [] } of changes) {
  test(`changes what it says and nothing else: ${JSON.stringify(values)}`, async (t) => {
    const [before, after] = (await Promise.all([rendered(), rendered(values)])).map(fieldsOf);
    const isOther = ([path, value]: [string, unknown]): boolean => path !== checksum && before?.get(path) !== value;
    t.deepEqual(Object.fromEntries([...(after ?? [])].filter(isOther)), changed);
    const missing = [...(before ?? [])].map(([path]) => path).filter((path) => after?.has(path) !== true);
    const whole = gone.filter((path) => path.endsWith(': *')).map((path) => path.slice(0, -1));
    const inWhole = (path: string): boolean => whole.some((object) => path.startsWith(object));
    t.deepEqual(missing.filter((path) => !inWhole(path)).sort(), gone.filter((path) => !path.endsWith(': *')).sort());
    for (const object of whole)
      t.true(
        missing.some((path) => path.startsWith(object)),
        object,
      );
    // Other settings start another pod.
    const isSettings = Object.keys(changed).some((path) => path.startsWith(settings));
    t.is(before?.get(checksum) !== after?.get(checksum), isSettings);
  });
}

test('with monitoring, it is also what kubectl apply -k manifests/monitoring applies', async (t) => {
  const { stdout } = await stack.kubectl(['kustomize', join(manifests, 'monitoring')]);
  const [plain, found] = await Promise.all([
    rendered(),
    rendered({ monitoring: { enabled: true, labels: { release: 'p' } } }),
  ]);
  const added = new Map([...found].filter(([name]) => !plain.has(name)));
  const expected = objectsOf(stdout);
  t.deepEqual([...added.keys()].sort(), [...expected.keys()].sort());
  for (const [name, object] of expected) {
    const fields = fieldsBesidesInstaller(added.get(name));
    if (!name.startsWith('ConfigMap')) t.is(fields.get('metadata.labels.release'), 'p', name);
    fields.delete('metadata.labels.release');
    t.deepEqual(Object.fromEntries(fields), Object.fromEntries(fieldsBesidesInstaller(object)), name);
  }
});

test('every alert leads to the page that a value names', async (t) => {
  const page = 'https://wiki.example.com/tka';
  const objects = await rendered({ monitoring: { enabled: true, runbookUrl: page } });
  const urls = [...fieldsOf(objects)].filter(([path]) => path.endsWith('.runbook_url')).map(([, url]) => String(url));
  t.true(urls.length > 10);
  for (const url of urls) t.regex(url, /^https:\/\/wiki\.example\.com\/tka#tka[a-z]+$/);
});

test('common labels are on every object and on the pods, and select none', async (t) => {
  const objects = await rendered({ commonLabels: { team: 'platform' }, monitoring: { enabled: true } });
  for (const [name, object] of objects) t.is(flatten(object).get('metadata.labels.team'), 'platform', name);
  const fields = fieldsOf(objects);
  t.is(fields.get('StatefulSet tka-system/tka: spec.template.metadata.labels.team'), 'platform');
  t.deepEqual(
    [...fields.keys()].filter((path) => /elector.*team/.test(path)),
    [],
  );
});

test('workload identity takes the place of the Secret', async (t) => {
  const identity = { auth: { workloadIdentity: { clientId: 'abc', audience: 'tailnet/abc' } }, tags: ['tag:tka'] };
  const fields = fieldsOf(await rendered(identity));
  const paths = [...fields.keys()].filter((path) => path.includes('envFrom'));
  t.deepEqual(paths, []);
  t.is(fields.get(`${pod}.volumes.0.projected.sources.0.serviceAccountToken.audience`), 'tailnet/abc');
  t.is(fields.get(`${settings}.tailscale.clientId`), 'abc');
  const mount = fields.get(`${pod}.containers.0.volumeMounts.0.mountPath`);
  t.true(String(fields.get(`${settings}.tailscale.idTokenFile`)).startsWith(`${String(mount)}/`));
});

/** Renders an overlay of kustomize that has these files; `tka` beside them is the checkout. */
async function overlay(overlayFiles: Readonly<Record<string, string>>): Promise<Objects> {
  const place = mkdtempSync(join(dir, 'overlay-'));
  symlinkSync(dirname(manifests), join(place, 'tka'));
  for (const [file, text] of Object.entries(overlayFiles)) writeFileSync(join(place, file), text);
  const { code, stdout, stderr } = await stack.kubectl(['kustomize', place]);
  if (code !== 0) throw new Error(stderr);
  return objectsOf(stdout);
}

test('the overlay and the values that docs/deploy.md shows make the same installation', async (t) => {
  const [kustomization = '', config = ''] = await blocksOf('Install with kustomize', 'yaml');
  const [values = ''] = await blocksOf('Install with Helm', 'yaml');
  const [one, other] = [
    await overlay({ 'kustomization.yaml': kustomization, 'config.yaml': config }),
    await rendered(parse(values)),
  ];
  const fields = fieldsOf(other);
  fields.delete(checksum);
  t.deepEqual(Object.fromEntries(fields), Object.fromEntries(fieldsOf(one)));
  t.is(fields.get(`${pod}.containers.0.image`), 'registry.example.com/tka-server:0.1.0');
  const file = { path: 'config.yaml', text: config };
  t.deepEqual(loadConfig({ env: {}, flags: {}, isDebug: false, file }).warnings, []);
});

test('the patches that docs/deploy.md shows do what it says', async (t) => {
  const [, identity = ''] = await blocksOf('Other ways to join', 'yaml');
  const [port = ''] = await blocksOf('Network', 'yaml');
  const kustomization = {
    resources: ['tka/manifests'],
    patches: [
      { path: 'identity.yaml', target: { kind: 'StatefulSet', name: 'tka' } },
      { path: 'port.yaml', target: { kind: 'NetworkPolicy', name: 'tka' } },
    ],
  };
  const patches = { 'identity.yaml': identity, 'port.yaml': port };
  const fields = fieldsOf(await overlay({ 'kustomization.yaml': stringify(kustomization), ...patches }));
  t.is(fields.get('NetworkPolicy tka-system/tka: spec.egress.0.ports.5.port'), 16_443);
  t.deepEqual(
    [...fields.keys()].filter((path) => path.includes('envFrom')),
    [],
  );
  const path = [...fields].find(([field]) => field.endsWith('serviceAccountToken.path'));
  t.is(path?.[1], 'id-token');
  const mounts = [...fields].filter(([field]) => field.endsWith('.mountPath')).map(([, place]) => String(place));
  t.deepEqual(mounts.toSorted(), ['/etc/tka', '/tmp', '/var/run/secrets/tka']);
});

for (const values of refused) {
  test(`refuses ${JSON.stringify(values)}`, async (t) => {
    const { code, stderr } = await run('template', 'tka', chart, '--values', valuesFile(values));
    t.not(code, 0);
    t.regex(stderr, /don't meet the specifications of the schema/);
  });
}

test.serial(
  'a release is installed with the rights of rights.txt, changed, and leaves nothing behind when it goes',
  async (t) => {
    t.timeout(120_000);
    await must('install', 'tka', chart, '-n', 'default');
    const roles = async (): Promise<string> => {
      const args = ['get', 'clusterrole', 'tka-bindable-roles', '-o', 'jsonpath={.rules[0].resourceNames}'];
      return (await stack.kubectl(args)).stdout;
    };
    t.is(await roles(), '["view","edit","admin","cluster-admin"]');
    const { stdout } = await stack.kubectl(['get', 'statefulset', 'tka', '-n', 'tka-system', '-o', 'name']);
    t.is(stdout, 'statefulset.apps/tka\n');

    // RBAC takes it up a moment later.
    const expected = await readFile(new URL('deploy/rights.txt', import.meta.url), 'utf8');
    let found = '';
    const rights = async (): Promise<boolean> => {
      found = await rightsTable(stack, 'system:serviceaccount:tka-system:tka', 'default');
      return found === expected;
    };
    await until(rights, { what: "tka's rights", timeoutMs: 5000 }).catch(() => undefined);
    t.is(found, expected);
    t.notRegex(expected.split('\n\n')[0] ?? '', /secret|token|impersonate|escalate|\*/);

    // What tka keeps in its Secrets outlives an upgrade.
    const keep = ['patch', 'secret', 'tka-0-state', '-n', 'tka-system', '-p', '{"stringData":{"kept":"value"}}'];
    t.is((await stack.kubectl(keep)).code, 0);
    const fewer = valuesFile({ roles: { clusterWide: ['view'], namespaced: ['edit'] } });
    await must('upgrade', 'tka', chart, '-n', 'default', '--values', fewer);
    t.is(await roles(), '["view","edit"]');
    const kept = ['get', 'secret', 'tka-0-state', '-n', 'tka-system', '-o', 'jsonpath={.data.kept}'];
    t.is((await stack.kubectl(kept)).stdout, Buffer.from('value').toString('base64'));
    await must('uninstall', 'tka', '-n', 'default', '--wait', '--timeout', '60s');
    t.deepEqual(await remains(stack), []);
  },
);
