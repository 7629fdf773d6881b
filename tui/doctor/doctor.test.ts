import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { parse } from 'yaml';
import { doctor } from '../commands/doctor.ts';
import { type Handler, sendJson, startStubServer } from '../testing/stub-server.ts';
import { type Status, statusOf } from '../testing/tailscaled.ts';
import {
  answering,
  createMachine,
  type Options,
  peer,
  rule,
  whoami,
  writeKubeconfig,
  writeKubectl,
} from '../testing/machine.ts';

test('where all is well every check says so, and the exit code is 0', async (t) => {
  const { examine } = await createMachine(t);
  const { code, findings } = await examine();
  t.deepEqual(
    Object.entries(findings).filter(([, { state }]) => state !== 'ok'),
    [],
  );
  t.is(code, 0);
  t.regex(findings['tailscaled']?.finding ?? '', /laptop\.tail\.example \(2 nodes visible\)/);
  t.regex(findings['trust']?.finding ?? '', /node nTka, tag:tka/);
  t.regex(findings['identity']?.finding ?? '', /alice@example\.com, on laptop/);
  t.regex(findings['grant']?.finding ?? '', /view in the whole cluster for 8h/);
  t.regex(findings['session']?.finding ?? '', /alice-0123456789 \(view, 7h59m left\)/);
  t.regex(findings['rights']?.finding ?? '', /authorized \(1 rule\) in the namespace default/);
});

test('a person reads a line for each check, with a mark and a word, and the remedies under it', async (t) => {
  const { runtime } = await createMachine(t, {
    answers: { 'GET /api/v1alpha1/whoami': answering({ ...whoami, rules: [] }) },
  });
  t.is(await doctor(runtime, { theme: 'ascii' }), 3);
  t.regex(runtime.out.text, /^\+ ok {6}node {11}Node \d/m);
  t.regex(runtime.out.text, /^x failed {2}grant {10}the tailnet policy grants you no role\n {25}Ask /m);
  t.is(runtime.err.text, '1 failed.\n');
});

test('-q leaves the findings, -o yaml says the same as -o json', async (t) => {
  const { runtime } = await createMachine(t);
  t.is(await doctor(runtime, { quiet: true, output: 'yaml' }), 0);
  t.is(runtime.err.text, '');
  t.like(parse(runtime.out.text), { healthy: true, checks: [{ name: 'node', state: 'ok' }] });
});

const off: Status = { BackendState: 'NeedsLogin', HaveNodeKey: false };
const faults: readonly (readonly [
  string,
  Options,
  {
    readonly check: string;
    readonly state: string;
    readonly says: RegExp;
    readonly remedy: RegExp;
    readonly code: number;
  },
])[] = [
  [
    'no tailscaled',
    { status: null },
    { check: 'tailscaled', state: 'failed', says: /no tailscaled/, remedy: /Install Tailscale/, code: 4 },
  ],
  [
    'a tailscaled that is logged out',
    { status: off },
    { check: 'tailscaled', state: 'failed', says: /logged (in|out)/, remedy: /tailscale (up|login)/, code: 4 },
  ],
  [
    'another machine than the trusted one',
    { status: statusOf([{ ...peer, id: 'nOther' }]) },
    {
      check: 'trust',
      state: 'failed',
      says: /has changed its identity/,
      remedy: /tka clusters forget/,
      code: 3,
    },
  ],
  [
    'names that do not resolve',
    { status: statusOf([peer], { CurrentTailnet: { MagicDNSSuffix: 'tail.example', MagicDNSEnabled: false } }) },
    { check: 'names', state: 'warning', says: /do not resolve/, remedy: /--accept-dns/, code: 0 },
  ],
  [
    'a tailscaled in userspace without a proxy',
    { status: statusOf([peer], { TUN: false }) },
    { check: 'names', state: 'failed', says: /no network interface/, remedy: /--outbound-http-proxy-listen/, code: 4 },
  ],
  [
    'a server that is no tka server',
    { answers: { 'GET /.well-known/tka': (_, response) => void response.writeHead(200).end('<html>') } },
    { check: 'reachable', state: 'failed', says: /not a tka server/, remedy: /captive portal/, code: 4 },
  ],
  [
    'a node that the server refuses',
    {
      answers: {
        'GET /api/v1alpha1/whoami': (_, response) =>
          sendJson(response, 403, { message: 'shared in', advice: ['use your own'], code: 'refused_node' }),
      },
    },
    { check: 'identity', state: 'failed', says: /shared in/, remedy: /use your own/, code: 3 },
  ],
  [
    'no grant',
    { answers: { 'GET /api/v1alpha1/whoami': answering({ ...whoami, rules: [] }) } },
    { check: 'grant', state: 'failed', says: /no role/, remedy: /tailnet admin/, code: 3 },
  ],
  [
    'an ambiguous grant',
    { answers: { 'GET /api/v1alpha1/whoami': answering({ ...whoami, rules: [rule, { ...rule, role: 'edit' }] }) } },
    { check: 'grant', state: 'warning', says: /several rules/, remedy: /--role/, code: 0 },
  ],
  [
    'rules that were left out',
    {
      answers: {
        'GET /api/v1alpha1/whoami': answering({
          ...whoami,
          dropped: [{ rule: '{"rol":1}', reason: 'unknown field\u001B[2J' }],
        }),
      },
    },
    { check: 'grant', state: 'warning', says: /were dropped/, remedy: /unknown field$/, code: 0 },
  ],
  [
    'a session that has ended',
    { answers: { 'GET /api/v1alpha1/sessions': answering({ sessions: [] }) } },
    { check: 'session', state: 'warning', says: /tka-prod/, remedy: /tka logout --local/, code: 0 },
  ],
  [
    'a clock that is a little off',
    { answers: { 'GET /.well-known/tka': wellKnownAt(-20_000) } },
    { check: 'clock', state: 'warning', says: /(19|20|21)s ahead/, remedy: /timedatectl/, code: 0 },
  ],
  [
    'a clock that is wrong',
    { answers: { 'GET /.well-known/tka': wellKnownAt(3_600_000) } },
    { check: 'clock', state: 'failed', says: /(59m|1h00m) behind/, remedy: /timedatectl/, code: 1 },
  ],
  [
    'a configuration file that is no YAML',
    { config: 'server: [' },
    { check: 'configuration', state: 'failed', says: /not valid YAML/, remedy: /Correct it/, code: 1 },
  ],
];

function wellKnownAt(aheadMs: number): Handler {
  return (_, response) => {
    const date = new Date(Date.now() + aheadMs).toUTCString();
    sendJson(response, 200, { cluster: 'prod', labels: {}, version: '9.8.7', modes: ['direct'] }, { date });
  };
}

for (const [what, options, { check, state, says, remedy, code }] of faults) {
  test(`${what}: ${check} ${state}, with its remedy, exit code ${code}`, async (t) => {
    const { examine } = await createMachine(t, options);
    const result = await examine();
    const found = result.findings[check];
    t.is(found?.state, state, JSON.stringify(result.findings, undefined, 1));
    t.regex(found?.finding ?? '', says);
    t.regex(found?.remedy?.join('\n') ?? '', remedy);
    t.is(result.code, code);
  });
}

test('what hangs on a server that is away is skipped, so that its fault is told once', async (t) => {
  const { examine } = await createMachine(t);
  const { code, findings } = await examine({ server: 'http://127.0.0.1:1' });
  t.is(code, 4);
  t.deepEqual(
    Object.keys(findings).filter((name) => findings[name]?.state === 'failed'),
    ['reachable'],
  );
  for (const name of ['version', 'clock', 'identity', 'grant', 'session']) t.is(findings[name]?.state, 'skipped', name);
});

test('without a tailscaled, a server that answers makes it a warning', async (t) => {
  const { examine, server } = await createMachine(t, { status: null });
  const { findings, code } = await examine({ server: server.replace('tka', '127.0.0.1') });
  t.is(findings['tailscaled']?.state, 'warning');
  t.is(findings['trust']?.state, 'skipped');
  t.is(code, 0);
});

test('a kubeconfig that cannot be read as one is exit code 1', async (t) => {
  const { runtime, examine } = await createMachine(t);
  writeFileSync(join(runtime.home, '.kube', 'config'), 'contexts: [');
  const { code, findings } = await examine();
  const failed = Object.keys(findings).filter((name) => findings[name]?.state === 'failed');
  t.deepEqual(failed, ['kubeconfig'], 'and is told once');
  t.regex(findings['kubeconfig']?.finding ?? '', /\.kube\/config/);
  t.is(code, 1);
});

test('a kubeconfig that is read-only, and a cache that cannot be written, are found', async (t) => {
  const { runtime, examine } = await createMachine(t);
  chmodSync(join(runtime.home, '.kube', 'config'), 0o400);
  t.like((await examine()).findings['kubeconfig'], { state: 'failed' });
  t.regex((await examine()).findings['kubeconfig']?.finding ?? '', /cannot be written: it is read-only/);
  const cache = join(runtime.home, '.cache', 'tka');
  mkdirSync(cache, { recursive: true, mode: 0o700 });
  // Where the file that is tried would be there is a directory, as root may write anywhere.
  mkdirSync(join(cache, `doctor.${process.pid}.tmp`));
  t.regex((await examine()).findings['cache']?.finding ?? '', /cannot be written \(\w+\)/);
});

test('a kubeconfig that others can read is named, with the command that closes it', async (t) => {
  const { runtime, examine } = await createMachine(t);
  const path = join(runtime.home, '.kube', 'config');
  chmodSync(path, 0o644);
  t.like((await examine()).findings['kubeconfig'], { state: 'warning', remedy: [`chmod 600 ${path}`] });
});

test('a context without its user, and a plugin that is gone, are found', async (t) => {
  const { runtime, examine, server } = await createMachine(t);
  writeKubeconfig(runtime.home, { server, user: 'other' });
  t.regex((await examine()).findings['kubeconfig']?.finding ?? '', /tka-prod has no user/);
  writeKubeconfig(runtime.home, { server });
  chmodSync(join(runtime.home, 'bin', 'tka'), 0o644);
  t.regex((await examine()).findings['kubeconfig']?.finding ?? '', /runs tka, which does not exist/);
});

test('a kubectl that is missing, or too old, is said', async (t) => {
  const { runtime, examine } = await createMachine(t);
  writeKubectl(join(runtime.home, 'bin'), { version: 'v1.24.3' });
  t.like((await examine()).findings['kubectl'], { state: 'failed', remedy: ['Install 1.26 or newer.'] });
  const without = { ...runtime, env: { ...runtime.env, PATH: '/nowhere' } };
  await doctor(without, {});
  t.regex(runtime.out.text, /warning kubectl +kubectl is not on PATH/);
});

test('a kubectl that is not let in is told in its own words', async (t) => {
  const { runtime, examine } = await createMachine(t);
  writeKubectl(join(runtime.home, 'bin'), { said: 'echo "error: the session \u001B[31mhas ended" >&2; exit 1' });
  const { findings, code } = await examine();
  t.is(findings['rights']?.finding, 'kubectl cannot use the context tka-prod: error: the session has ended');
  t.is(code, 1);
});

test('a cache that others can look into is named', async (t) => {
  const { runtime, examine } = await createMachine(t);
  const path = join(runtime.home, '.cache', 'tka');
  mkdirSync(path, { recursive: true, mode: 0o755 });
  chmodSync(path, 0o755);
  t.like((await examine()).findings['cache'], { state: 'warning', remedy: [`chmod 700 ${path}`] });
});

test('two servers and no choice between them is a failure of this machine, not of the arguments', async (t) => {
  const stubs = await Promise.all([startStubServer(), startStubServer()]);
  for (const stub of stubs) t.teardown(() => stub.close());
  const { runtime } = await createMachine(t, {
    status: null,
    config: `servers: [${stubs.map(({ url }) => url).join(', ')}]`,
  });
  rmSync(join(runtime.home, '.config', 'tka', 'known-servers.json'));
  rmSync(join(runtime.home, '.kube', 'config'));
  t.is(await doctor({ ...runtime, env: { ...runtime.env, TKA_SERVER: '' } }, {}), 4, 'there is no tailscaled either');
  const [, finding = ''] = /failed +server +(.*(?:\n {25}.*)*)/.exec(runtime.out.text) ?? [];
  for (const { url } of stubs) t.true(finding.includes(`prod-127.0.0.1-${new URL(url).port}`), runtime.out.text);
  t.regex(finding, /--server|--cluster/);
});
