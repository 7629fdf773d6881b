/**
 * The stack's own node: that pods run on it, that the real kubectl can do with them what it does with any, and that
 * nothing of it stays on the machine, however the stack ends.
 */
import { spawn } from 'node:child_process';
import type { ChildProcessByStdio } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { globSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import anyTest from 'ava';
import type { ExecutionContext } from 'ava';
import type { Result } from '../dev/stack/processes.ts';
import { send } from '../dev/stack/send.ts';
import { canRunNodes, startStack } from '../dev/stack/stack.ts';
import type { ClusterStack } from '../dev/stack/stack.ts';
import { processesOf, remaining, tracesOf } from '../dev/stack/node/traces.ts';
import { until } from '../dev/stack/until.ts';

const ability = canRunNodes();
const test = ability.ok ? anyTest.serial : anyTest.serial.skip;
if (!ability.ok) anyTest.skip(`no container runtime: ${ability.reason}`, (t) => t.pass());

let stack: ClusterStack;

if (ability.ok) {
  anyTest.before(async (t) => {
    t.timeout(300_000);
    stack = await startStack({ tailnet: false, node: true });
  });
  anyTest.after.always(() => stack?.close());
}

/** Rejects with what kubectl said unless it ends with exit code 0. */
async function kubectl(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await stack.kubectl(args);
  if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: exit code ${code}: ${stderr}`);
  return stdout;
}

/** A kubectl that runs until the test ends. */
function startKubectl(t: ExecutionContext, ...args: readonly string[]): ChildProcessByStdio<null, Readable, null> {
  const child = spawn(stack.kubernetes.kubectlPath, args, {
    env: { PATH: process.env['PATH'], HOME: stack.dir, KUBECONFIG: stack.kubeconfig },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  return child;
}

async function startPod(name: string, ...command: readonly string[]): Promise<void> {
  await kubectl('run', name, `--image=${stack.node.image}`, '--restart=Never', '--command', '--', ...command);
  await kubectl('wait', '--for=condition=Ready', `pod/${name}`, '--timeout=60s');
}

const exec = (input: string, ...command: readonly string[]): Promise<Result> =>
  stack.kubectl(['exec', '-i', 'deploy/echo', '--', ...command], { input });

test('a Deployment becomes available', async (t) => {
  const startedAt = performance.now();
  await kubectl('create', 'deployment', 'echo', `--image=${stack.node.image}`, '--port=8080');
  await kubectl('wait', '--for=condition=Available', 'deployment/echo', '--timeout=60s');
  t.log(`after ${Math.round(performance.now() - startedAt)} ms`);
  t.is((await kubectl('get', 'pods', '-o', 'jsonpath={.items[*].spec.nodeName}')).trim(), stack.node.name);
});

test('exec passes on input, output, error and exit code', async (t) => {
  const result = await exec('from here', 'sh', '-c', 'cat; echo problem >&2; exit 7');
  t.is(result.code, 7);
  t.is(result.stdout, 'from here');
  t.regex(result.stderr, /^problem\n/);
});

for (const [protocol, isWebSocket] of [
  ['websocket', 'true'],
  ['SPDY', 'false'],
]) {
  test(`exec over ${protocol} loses nothing of much output`, async (t) => {
    const count = 20_000_000;
    const args = ['exec', 'deploy/echo', '--', 'bytes', String(count)];
    const env = { KUBECTL_REMOTE_COMMAND_WEBSOCKETS: String(isWebSocket) };
    const { code, stdout } = await stack.kubectl(args, { env });
    t.is(code, 0);
    t.is(stdout.length, count);
    t.is(stdout.slice(64 * 1000, 64 * 1001), `${'1000'.padStart(63, '0')}\n`);
  });
}

test('cp copies files and directories both ways', async (t) => {
  const pod = (await kubectl('get', 'pods', '-l', 'app=echo', '-o', 'jsonpath={.items[0].metadata.name}')).trim();
  const local = join(stack.dir, 'cp');
  mkdirSync(join(local, 'sub'), { recursive: true });
  const content = randomBytes(3_000_000);
  writeFileSync(join(local, 'large'), content);
  writeFileSync(join(local, 'sub/small'), 'small');
  await kubectl('cp', local, `${pod}:/tmp/copy`);
  t.is((await exec('', 'cat', '/tmp/copy/sub/small')).stdout, 'small');
  await kubectl('cp', `${pod}:/tmp/copy`, join(stack.dir, 'back'));
  t.is(digest(readFileSync(join(stack.dir, 'back/large'))), digest(content));
  t.is(readFileSync(join(stack.dir, 'back/sub/small'), 'utf8'), 'small');
});

test('logs follows what a container writes, and the container goes on', async (t) => {
  await startPod('ticks', 'tick', '50ms');
  const following = startKubectl(t, 'logs', '-f', 'ticks');
  const lines: string[] = [];
  createInterface(following.stdout).on('line', (line) => lines.push(line));
  await until(() => lines.length >= 10, { what: 'ten lines of log', timeoutMs: 20_000 });
  t.deepEqual(
    lines.slice(0, 10),
    Array.from({ length: 10 }, (_, index) => `tick ${index + 1}`),
  );
  t.is((await kubectl('get', 'pod', 'ticks', '-o', 'jsonpath={.status.phase}')).trim(), 'Running');
});

test('attach speaks with the process that runs', async (t) => {
  const overrides = JSON.stringify({
    spec: {
      containers: [{ name: 'listens', image: stack.node.image, command: ['cat'], stdin: true, stdinOnce: true }],
    },
  });
  await kubectl('run', 'listens', `--image=${stack.node.image}`, '--restart=Never', `--overrides=${overrides}`);
  await kubectl('wait', '--for=condition=Ready', 'pod/listens', '--timeout=60s');
  const { code, stdout } = await stack.kubectl(['attach', '-i', 'listens'], { input: 'hello\n' });
  t.is(code, 0);
  t.true(stdout.includes('hello\n'), stdout);
});

test('port-forward leads to a container', async (t) => {
  const forwarding = startKubectl(t, 'port-forward', 'deploy/echo', '0:8080');
  const [line] = (await once(createInterface(forwarding.stdout), 'line')) as [string];
  const port = /127\.0\.0\.1:(\d+) ->/.exec(line)?.[1];
  const { status, body } = await send(`http://127.0.0.1:${port}/path?q=1`, { method: 'POST', body: 'sent' });
  t.is(status, 200);
  t.like(JSON.parse(body), { method: 'POST', url: '/path?q=1', body: 'sent' });
});

test('pods find Services and the API server by name', async (t) => {
  await kubectl('expose', 'deployment/echo', '--port=80', '--target-port=8080');
  const answer = await until(
    async () => {
      const { code, stdout } = await exec('', 'get', 'http://echo/service');
      return code === 0 && stdout;
    },
    { what: 'the Service to lead to the pod', timeoutMs: 20_000 },
  );
  t.like(JSON.parse(answer), { url: '/service' });
  const script = 'get https://kubernetes.default.svc.cluster.local/version';
  const ca = '/var/run/secrets/kubernetes.io/serviceaccount/ca.crt';
  const { stdout, stderr } = await exec('', 'env', `SSL_CERT_FILE=${ca}`, 'sh', '-c', script);
  t.regex(stdout, /"gitVersion"/, stderr);
});

test('pods reach what listens on the machine, once it is exposed to them', async (t) => {
  const server = createServer((_, response) => response.end('from the machine')).listen(0, '127.0.0.1');
  t.teardown(() => server.close());
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo; // it listens on a port
  await stack.node.expose(port);
  t.is((await exec('', 'get', `http://host.tka.test:${port}/`)).stdout, 'from the machine');
});

test('two stacks have a node each at the same time', async (t) => {
  t.timeout(180_000);
  await using other = await startStack({ tailnet: false, node: true });
  t.not(other.node.name, stack.node.name);
  const run = ['run', 'here', `--image=${other.node.image}`, '--restart=Never'];
  t.is((await other.kubectl(run)).code, 0);
  const { code, stderr } = await other.kubectl(['wait', '--for=condition=Ready', 'pod/here', '--timeout=60s']);
  t.is(code, 0, stderr);
  t.is((await exec('', 'echo', 'still here')).stdout, 'still here\n');
});

test('nothing is left of a node when its stack is closed', async (t) => {
  t.timeout(180_000);
  const other = await startStack({ tailnet: false, node: true });
  const run = ['run', 'here', `--image=${other.node.image}`, '--restart=Never'];
  t.is((await other.kubectl(run)).code, 0);
  await other.kubectl(['wait', '--for=condition=Ready', 'pod/here', '--timeout=60s']);
  const { dir, node } = other;
  const before = tracesOf(dir, node.name);
  t.true(before.processes.length > 5 && before.files.length > 1, JSON.stringify(before));
  await other.close();
  t.deepEqual(remaining(before, dir), []);
});

test('nothing is left of a node whose start is aborted half-way', async (t) => {
  t.timeout(180_000);
  const directory = mkdtempSync(join(tmpdir(), 'tka-aborted-'));
  const { TMPDIR } = process.env;
  process.env['TMPDIR'] = directory;
  t.teardown(() => {
    if (TMPDIR === undefined) delete process.env['TMPDIR'];
    else process.env['TMPDIR'] = TMPDIR;
    rmSync(directory, { recursive: true, force: true });
  });
  const controller = new AbortController();
  const starting = startStack({ tailnet: false, node: true, signal: controller.signal });
  await until(() => globSync(join(directory, '*/logs/kubelet.log')).length > 0, {
    what: 'the kubelet to be started',
    timeoutMs: 120_000,
  });
  controller.abort(new Error('enough'));
  await t.throwsAsync(starting, { message: 'enough' });
  t.deepEqual([...processesOf(directory), ...readdirSync(directory)], []);
});

for (const signal of ['SIGINT', 'SIGKILL'] as const) {
  test(`nothing is left of a node after ${signal} of the command that started it`, async (t) => {
    t.timeout(180_000);
    const main = fileURLToPath(new URL('../dev/stack/main.ts', import.meta.url));
    const args = [main, 'up', '--with-node', '--no-tka', '--user', 'tag:ci'];
    const command = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    t.teardown(() => command.kill('SIGKILL'));
    const [line] = (await Promise.race([
      once(createInterface(command.stdout), 'line'),
      once(command, 'exit').then(([code]) => {
        throw new Error(`the command ended with exit code ${String(code)}`);
      }),
    ])) as [string];
    // The command's own line.
    const { kubeconfig, node } = JSON.parse(line) as { kubeconfig: string; node: { name: string; image: string } };
    const run = ['run', 'here', `--image=${node.image}`, '--restart=Never'];
    t.is((await stack.kubectl(run, { kubeconfig })).code, 0);
    await stack.kubectl(['wait', '--for=condition=Ready', 'pod/here', '--timeout=60s'], { kubeconfig });
    const dir = join(kubeconfig, '../..');
    const before = tracesOf(dir, node.name);
    command.kill(signal);
    await t.notThrowsAsync(
      until(
        () => {
          const left = remaining(before, dir);
          if (left.length > 0) throw new Error(left.join('\n'));
          return true;
        },
        { what: 'the end of everything', timeoutMs: 20_000 },
      ),
    );
  });
}

function digest(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}
