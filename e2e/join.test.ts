/**
 * `tka exec --join` on a CI runner that has no Tailscale, and the examples in docs/ci as the runner's shell: what works, what is
 * said where it does not, and that nothing is left on the runner, on the tailnet and at the server.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { z } from 'zod';
import { policyOf } from '../dev/stack/policy.ts';
import { startStack } from '../dev/stack/stack.ts';
import type { Stack } from '../dev/stack/stack.ts';
import { until } from '../dev/stack/until.ts';
import { type Job, Runner } from './ci-examples/runner.ts';
import { gitHubSteps, gitLabSteps, type Step } from './ci-examples/steps.ts';

let stack: Stack;
let key: string;

test.before(async (t) => {
  t.timeout(180_000);
  stack = await startStack({
    users: [],
    policy: policyOf({
      'tag:ci': [
        { role: 'view', period: '30m', priority: 10 },
        { role: 'edit', period: '30m', priority: 5, namespaces: ['default'] },
      ],
    }),
  });
  key = await stack.headscale.authKey({ owner: 'tag:ci', ephemeral: true });
});
test.after.always(() => stack?.close());

const keysSchema = z.array(z.object({ id: z.coerce.number() }));

function runnerOf(t: ExecutionContext): Runner {
  const runner = new Runner(stack);
  t.teardown(() => runner[Symbol.dispose]());
  return runner;
}

const joined = (more: Readonly<Record<string, string>> = {}): Record<string, string> => ({
  TS_AUTHKEY: key,
  TS_CONTROL_URL: stack.controlUrl,
  ...more,
});

const names = async (): Promise<string[]> => (await stack.headscale.nodes()).map(({ hostname }) => hostname);

const sessions = async (): Promise<string> =>
  (await stack.kubectl(['get', 'tkasignins', '-n', 'tka-sessions', '-o', 'name'])).stdout.trim();

async function nothingIsLeft(t: ExecutionContext, runner: Runner): Promise<void> {
  t.deepEqual(runner.leftovers(), []);
  t.deepEqual(await names(), ['tka'], 'only the server is on the tailnet');
  await until(async () => (await sessions()) === '', { what: 'the session to go', timeoutMs: 20_000 });
}

test.serial('a job without tailscaled uses kubectl, and leaves nothing', async (t) => {
  const runner = runnerOf(t);
  const { code, stdout, stderr } = await runner.run('tka exec --join -- kubectl get namespaces -o name', joined());
  t.is(code, 0, stderr);
  t.regex(stdout, /^namespace\/default$/m);
  t.regex(
    stderr,
    /^Joining the tailnet as tka-exec-[0-9a-f]{6} (?:…|\.{3})\nJoined as tka-exec-\w+\.tail\.test in \d+\.\d s\.$/m,
  );
  t.regex(stderr, /^Left the tailnet\.$/m);
  await nothingIsLeft(t, runner);
});

test.serial('the child has a way into the tailnet that is its own, and no key', async (t) => {
  const runner = runnerOf(t);
  const script = `
    env > "$HOME/environment"
    curl -fsS http://tka/.well-known/tka > "$HOME/plain"
    curl -fsSk https://tka.tail.test/.well-known/tka > "$HOME/tunnel"
    curl -s -o /dev/null -w '%{http_code}' -x "$(echo "$HTTP_PROXY" | sed 's|//.*@|//|')" http://tka/ > "$HOME/nobody"
    tka status -o json > "$HOME/status"
    exit 7`;
  writeFileSync(join(runner.home, 'script'), script);
  const flags = '--join -q --hostname ci-job-1 --server http://tka.tail.test';
  const { code, stderr } = await runner.run(`tka exec ${flags} -- sh "$HOME/script"`, joined({ TS_AUTH_KEY: key }));
  const read = (name: string): string => readFileSync(join(runner.home, name), 'utf8');
  t.is(code, 7, `the child's exit code passes through: ${stderr}`);
  t.is(stderr, '');
  t.false(read('environment').includes(key));
  t.notRegex(read('environment'), /^TS_AUTH_?KEY=/m);
  t.is(read('nobody'), '407');
  t.regex(read('plain'), /"cluster/);
  t.is(read('tunnel').trim(), read('plain').trim());
  t.regex(read('status'), /ci-job-1/);
  t.deepEqual(await names(), ['tka']);
});

const examples: readonly [string, () => Promise<readonly Step[]>][] = [
  ['GitHub Actions', () => gitHubSteps({ 'secrets.TS_AUTHKEY': key, 'vars.TS_CONTROL_URL': stack.controlUrl })],
  ['GitLab CI', () => gitLabSteps({ TS_AUTHKEY: join(stack.dir, 'auth-key'), TS_CONTROL_URL: stack.controlUrl })],
];
for (const [system, read] of examples) {
  test.serial(`the example for ${system} deploys, and leaves nothing`, async (t) => {
    t.timeout(120_000);
    writeFileSync(join(stack.dir, 'auth-key'), `${key}\n`, { mode: 0o600 });
    const runner = runnerOf(t);
    const steps = await read();
    t.true(steps.length >= 2);
    let said = '';
    for (const { name, script, env } of steps) {
      const { code, stdout, stderr } = await runner.run(script, env);
      t.is(code, 0, `${name}: ${stdout}${stderr}`);
      said += stdout;
    }
    t.regex(said, /configmap\/app-settings created \(server dry run\)/);
    t.regex(said, /^configmap\/app-settings$/m);
    t.is((await stack.kubectl(['delete', 'configmap', 'app-settings', '-n', 'default'])).code, 0);
    await nothingIsLeft(t, runner);
  });
}

test.serial('a wrong and an expired key are denied, with the remedy', async (t) => {
  const runner = runnerOf(t);
  const expired = await stack.headscale.authKey({ owner: 'tag:ci', ephemeral: true });
  const keys = keysSchema.parse(JSON.parse(await stack.headscale.cli(['preauthkeys', 'list', '-o', 'json'])));
  await stack.headscale.cli(['preauthkeys', 'expire', '--id', String(Math.max(...keys.map(({ id }) => id)))]);
  for (const [what, wrong] of [
    ['wrong', key.replace(/.{8}$/, 'aaaaaaaa')],
    ['expired', expired],
  ] as const) {
    const { code, stdout, stderr } = await runner.run(
      'tka exec --join -- kubectl version',
      joined({ TS_AUTHKEY: wrong }),
    );
    t.is(code, 3, `${what}: ${stderr}`);
    t.is(stdout, '');
    t.regex(stderr, /^error: the auth key was refused by https:\/\/127\.0\.0\.1:\d+: .*\n {2}Make a new auth key/m);
    t.false(stderr.includes(wrong));
  }
  // This control server takes tags from keys alone.
  const { code, stderr } = await runner.run('tka exec --join --tags ci -- kubectl version', joined());
  t.is(code, 3, stderr);
  t.regex(stderr, /requested tags \[tag:ci\] are invalid or not permitted/);
  t.regex(stderr, /--tags is best left out/);
  await nothingIsLeft(t, runner);
});

test.serial('without a control server: unreachable, in time', async (t) => {
  const runner = runnerOf(t);
  const env = joined({ TS_CONTROL_URL: 'https://127.0.0.1:1' });
  const started = performance.now();
  const { code, stderr } = await runner.run('tka exec --join --timeout 4s -- kubectl version', env);
  t.is(code, 4, stderr);
  t.regex(
    stderr,
    /^error: tka-exec-\w+ was not on the tailnet within 4 s: .*https:\/\/127\.0\.0\.1:1.*\n {2}Can this machine reach/m,
  );
  t.true(performance.now() - started < 15_000);
  await nothingIsLeft(t, runner);
});

test.serial('a server that is no machine of the tailnet: unreachable', async (t) => {
  const runner = runnerOf(t);
  const { code, stderr } = await runner.run('tka exec --join --server other -- kubectl version', joined());
  t.is(code, 4, stderr);
  t.regex(stderr, /^error: no machine of the joined tailnet has the name other$/m);
  await nothingIsLeft(t, runner);
});

const moments: readonly [string, string, (job: Job) => Promise<unknown>][] = [
  ['while it joins', 'true', ({ says }) => says('Joining the tailnet')],
  ['while it logs in', 'true', ({ says }) => says('Joined as')],
  ['while the command runs', 'echo working; exec sleep 100', ({ says }) => says('working')],
];
const signals: readonly [string, NodeJS.Signals, 'the process' | 'its group', number][] = [
  ['SIGTERM', 'SIGTERM', 'the process', 143],
  ['Ctrl-C', 'SIGINT', 'its group', 130],
];
for (const [when, script, reached] of moments) {
  for (const [what, signal, whom, expected] of signals) {
    test.serial(`${what} ${when} leaves nothing`, async (t) => {
      const runner = runnerOf(t);
      const job = runner.start(`exec tka exec --join -- sh -c '${script}'`, joined());
      await reached(job);
      const { pid = 0 } = job.child;
      process.kill(whom === 'its group' ? -pid : pid, signal);
      const { code, stderr } = await job.ended;
      t.is(code, expected, stderr);
      await nothingIsLeft(t, runner);
    });
  }
}
