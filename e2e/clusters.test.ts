/**
 * Which servers are found and which are believed: on a real tailnet, by what the real tailscaled of a user says. Names do not
 * resolve on the machine of the test, as on none with a tailscaled in userspace: its proxy resolves them.
 */
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { policyOf } from '../dev/stack/policy.ts';
import type { Result } from '../dev/stack/processes.ts';
import { startStack } from '../dev/stack/stack.ts';
import type { Stack } from '../dev/stack/stack.ts';
import { until } from '../dev/stack/until.ts';

const alice = 'alice@example.com';
let stack: Stack;

test.before(async (t) => {
  t.timeout(180_000);
  stack = await startStack({
    // Machines called tka-evil-example-com and tag-tka-ci, on which no server answers.
    users: [alice, 'tka-evil@example', 'tag:tka-ci'],
    policy: policyOf({ [alice]: [{ role: 'view', period: '1h', priority: 1 }] }),
  });
});
test.after.always(() => stack?.close());

/** Without a word of which server. */
const tka = (...args: readonly string[]): Promise<Result> => stack.tkaCommand(alice, args);
const knownServers = (): string => join(stack.machine(alice).home, '.config', 'tka', 'known-servers.json');

interface Listed {
  readonly name: string;
  readonly server: string;
  readonly trust: string;
  readonly state: string;
  readonly reason?: string;
  readonly roles?: readonly string[];
  readonly node?: { readonly id: string; readonly tags: readonly string[] };
}

async function list(): Promise<readonly Listed[]> {
  const { code, stdout, stderr } = await tka('clusters', '-o', 'json');
  if (code !== 0) throw new Error(stderr);
  // Our own command's output; what it lacks makes the assertions fail.
  return (JSON.parse(stdout) as { clusters: readonly Listed[] }).clusters;
}

test.serial('the server is found by its tag; machines that only look like one are listed as away', async (t) => {
  const clusters = await list();
  const here = clusters.filter(({ state }) => state === 'here');
  t.is(here.length, 1, JSON.stringify(clusters));
  t.like(here[0], { server: `http://${stack.tka.dnsName}`, trust: 'new', roles: ['view'] });
  t.true(here[0]?.node?.tags.includes('tag:tka'));
  const away = clusters.filter(({ state }) => state === 'away');
  t.is(away.length, 2, JSON.stringify(clusters));
  t.true(away.some(({ server }) => server.includes('tka-evil')));
  t.true(away.every(({ reason = '' }) => reason !== ''));
  const table = await tka('clusters');
  t.regex(table.stdout, /^NAME +SERVER +TRUST/);
});

test.serial(
  'a script is not believed to trust what was found: exit code 3, and the name to give by hand',
  async (t) => {
    const { code, stdout, stderr } = await tka('login', '--non-interactive');
    t.is(code, 3, stderr);
    t.is(stdout, '');
    t.true(stderr.includes(`--server http://${stack.tka.dnsName}`), stderr);
    t.false(existsSync(knownServers()));
  },
);

test.serial('named by hand it is pinned, and from then on scripts find it by themselves', async (t) => {
  const server = `http://${stack.tka.dnsName}`;
  const first = await tka('login', '--non-interactive', '--server', stack.tka.dnsName);
  t.is(first.code, 0, first.stderr);
  const { servers } = JSON.parse(await readFile(knownServers(), 'utf8')) as { servers: readonly object[] };
  t.like(servers, [{ server, tags: ['tag:tka'] }]);
  t.is((await list()).find(({ state }) => state === 'here')?.trust, 'pinned');
  t.is((await tka('logout')).code, 0);
  const again = await tka('login', '--non-interactive');
  t.is(again.code, 0, again.stderr);
  const name = (await list()).find(({ state }) => state === 'here')?.name ?? '';
  const byName = await tka('login', '--non-interactive', '--cluster', name);
  t.is(byName.code, 0, byName.stderr);
  t.is((await tka('logout')).code, 0);
});

test.serial('a server that is another machine than was agreed to is refused, until it is forgotten', async (t) => {
  const before = await readFile(knownServers(), 'utf8');
  await writeFile(knownServers(), before.replace(/"nodeId": "[^"]*"/, '"nodeId": "nOther"'));
  const refused = await tka('login', '--non-interactive', '--server', stack.tka.dnsName);
  t.is(refused.code, 3, refused.stderr);
  t.regex(refused.stderr, /has changed its identity\n.*node nOther, tag:tka; now it is node \w+, tag:tka/);
  const [, name = ''] = /tka clusters forget (\S+)/.exec(refused.stderr) ?? [];
  const look = await tka('whoami', '--server', stack.tka.dnsName);
  t.is(look.code, 0, look.stderr);
  t.regex(look.stderr, /warning: .* has changed its identity/);
  const forgotten = await tka('clusters', 'forget', name);
  t.is(forgotten.code, 0, forgotten.stderr);
  t.is((await tka('login', '--non-interactive', '--server', stack.tka.dnsName)).code, 0);
  t.is((await tka('logout')).code, 0);
});

test.serial('what tailscaled knows explains why a server cannot be reached', async (t) => {
  const unknown = await tka('whoami', '--server', 'tkka');
  t.is(unknown.code, 4, unknown.stderr);
  t.regex(unknown.stderr, /no machine of this tailnet has the name tkka\n {2}Did you mean tka\./);
  await stack.machine(alice).tailscale(['down']);
  try {
    const stopped = await tka('login', '--non-interactive', '--cluster', 'x');
    t.is(stopped.code, 4, stopped.stderr);
    t.regex(stopped.stderr, /Tailscale is stopped on this machine\n[^]*tailscale up/);
  } finally {
    await stack.machine(alice).tailscale(['up', '--reset', '--accept-dns=false', `--login-server=${stack.controlUrl}`]);
  }
});

test.serial('a machine that logged out says so, with the remedy', async (t) => {
  await stack.machine(alice).tailscale(['logout']);
  await until(async () => (await stack.machine(alice).status()).BackendState === 'NeedsLogin', {
    what: 'alice to be logged out',
    timeoutMs: 15_000,
    everyMs: 100,
  });
  const { code, stderr } = await tka('login', '--non-interactive');
  t.is(code, 4, stderr);
  t.regex(stderr, /this machine is logged out of its tailnet\n {2}Join it: tailscale up/);
});
