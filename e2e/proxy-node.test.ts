/**
 * Pods through tka with the real kubectl: exec, attach, cp, port-forward and logs, over websocket and over SPDY; how such a
 * stream ends with its session; and what a recording holds. Needs a node that runs pods.
 */
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import anyTest from 'ava';
import { policyOf } from '../dev/stack/policy.ts';
import { canRunNodes, startStack } from '../dev/stack/stack.ts';
import type { Stack } from '../dev/stack/stack.ts';
import { until } from '../dev/stack/until.ts';
import { everyProtocol, kubectl, logIn, podStreams } from './proxy/pod-streams.ts';
import { credentialsIn, logged, logOf } from './proxy/server-log.ts';

const ability = canRunNodes();
const test = ability.ok ? anyTest.serial : anyTest.serial.skip;
if (!ability.ok) anyTest.skip(`no container runtime: ${ability.reason}`, (t) => t.pass());

const alice = 'alice@example.com';
const rules = { [alice]: [{ role: 'cluster-admin', period: '8h', priority: 100 }] };

let stack: Stack;
let pod = '';
let listeners = 0;

if (ability.ok) {
  anyTest.before(async (t) => {
    t.timeout(300_000);
    stack = await startStack({ users: [alice], policy: policyOf(rules), node: true });
    await admin('create', 'deployment', 'echo', `--image=${stack.node.image}`, '--port=8080');
    await admin('wait', '--for=condition=Available', 'deployment/echo', '--timeout=60s');
    pod = (await admin('get', 'pods', '-l', 'app=echo', '-o', 'jsonpath={.items[0].metadata.name}')).trim();
    await logIn(stack, alice);
  });
  anyTest.after.always(() => stack?.close());
}

async function admin(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await stack.kubectl(args);
  if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: exit code ${code}: ${stderr}`);
  return stdout;
}

if (ability.ok)
  podStreams(anyTest, {
    stack: () => stack,
    user: alice,
    rules,
    serving: () => Promise.resolve(pod),
    listening: async () => {
      const name = `listens-${(listeners += 1)}`;
      const container = { name, image: stack.node.image, command: ['cat'], stdin: true, stdinOnce: true };
      const overrides = `--overrides=${JSON.stringify({ spec: { containers: [container] } })}`;
      await admin('run', name, `--image=${stack.node.image}`, '--restart=Never', overrides);
      await admin('wait', '--for=condition=Ready', `pod/${name}`, '--timeout=60s');
      return name;
    },
    ticking: async () => {
      await admin('run', 'ticks', `--image=${stack.node.image}`, '--restart=Never', '--command', '--', 'tick', '50ms');
      await admin('wait', '--for=condition=Ready', 'pod/ticks', '--timeout=60s');
      return 'ticks';
    },
  });

for (const protocol of everyProtocol) {
  test(`cp over ${protocol} copies files both ways`, async (t) => {
    const local = join(stack.machine(alice).home, protocol);
    mkdirSync(local, { recursive: true });
    const content = randomBytes(3_000_000);
    writeFileSync(join(local, 'large'), content);
    t.is((await kubectl(stack, alice, protocol, ['cp', local, `${pod}:/tmp/${protocol}`])).code, 0);
    t.is((await kubectl(stack, alice, protocol, ['cp', `${pod}:/tmp/${protocol}`, `${local}-back`])).code, 0);
    t.is(digest(readFileSync(join(`${local}-back`, 'large'))), digest(content));
  });
}

/** Posts to the kubelet's `run` through the node's proxy, which needs no upgraded connection. */
async function runByKubelet(words: string): Promise<Awaited<ReturnType<typeof kubectl>>> {
  const node = (await admin('get', 'nodes', '-o', 'jsonpath={.items[0].metadata.name}')).trim();
  const container = (await admin('get', 'pod', pod, '-o', 'jsonpath={.spec.containers[0].name}')).trim();
  const path = `/api/v1/nodes/${node}/proxy/run/default/${pod}/${container}?cmd=${words}`;
  return kubectl(stack, alice, 'websocket', ['create', '--raw', path, '-f', '-'], '{}');
}

test("a command by the kubelet's own run is in the audit, with its pod", async (t) => {
  const since = Date.now();
  const { code, stdout, stderr } = await runByKubelet('echo+ran');
  t.is(code, 0, stderr);
  t.regex(stdout, /ran/);
  const line = await logged(stack, { event: 'k8s', resource: 'nodes', subresource: 'proxy' }, since);
  t.like(line, { verb: 'create', status: 200, pod: `default/${pod}`, command: ['echo', 'ran'] });
});

/** What a recording shows, headers and times left out; a last line that is not whole yet is left out too. */
function writtenIn(recording: string): string {
  const [, ...lines] = readFileSync(recording, 'utf8').split('\n').slice(0, -1);
  return lines.map((line) => JSON.parse(line)[2]).join('');
}

for (const protocol of everyProtocol) {
  test(`an exec over ${protocol} is recorded where the operator asks for it, without what was typed`, async (t) => {
    t.timeout(90_000);
    const directory = join(stack.dir, `recordings-${protocol.toLowerCase()}`);
    await stack.restartTka({ config: { recording: { directory } } });
    t.teardown(() => stack.restartTka());
    const since = Date.now();
    // What is typed is not shown again.
    const script = 'echo begun; read secret; echo "Schlüssel: ${#secret}"; echo problem >&2; exit 3';
    const { code, stdout } = await kubectl(
      stack,
      alice,
      protocol,
      ['exec', '-i', pod, '--', 'sh', '-c', script],
      'correct horse\n',
    );
    t.is(code, 3);
    t.is(stdout, 'begun\nSchlüssel: 13\n');

    const expected = 'begun\nSchlüssel: 13\nproblem\n';
    const [file = '', ...others] = await until(
      () => {
        const files = readdirSync(directory);
        // As many characters as there are to come; in a recording each line has some of them.
        return files.some((name) => writtenIn(join(directory, name)).length >= expected.length) && files;
      },
      { what: 'the recording', timeoutMs: 5000 },
    );
    t.deepEqual(others, []);
    t.is(statSync(join(directory, file)).mode & 0o777, 0o600);
    const text = readFileSync(join(directory, file), 'utf8');
    t.true(text.endsWith('\n'));
    const [header, ...events] = text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    t.like(header, { version: 2, width: 80, height: 24 });
    t.is(typeof header.timestamp, 'number');
    for (const event of events) {
      t.is(event.length, 3);
      t.is(typeof event[0], 'number');
      t.true(event[1] === 'o' || event[1] === 'r', String(event[1]));
    }
    t.deepEqual(
      events.map(([seconds]) => seconds),
      events.map(([seconds]) => seconds).toSorted((a, b) => a - b),
    );
    const output = writtenIn(join(directory, file));
    // How the pieces of the two streams lie among each other is the container runtime's to say.
    const inAnyOrder = (written: string): string => written.split('').sort().join('');
    t.is(inAnyOrder(output), inAnyOrder(expected), output);
    t.false(text.includes('correct horse'));
    const { requestId } = await logged(stack, { event: 'k8s', subresource: 'exec', phase: 'end' }, since);
    t.true(file.includes(String(requestId)), file);
    t.is(
      logOf(stack, since).find(({ msg }) => msg === 'a stream is not recorded'),
      undefined,
    );
  });
}

test("with recording.fail: closed a command by the kubelet's own run does not run", async (t) => {
  t.timeout(90_000);
  await stack.restartTka({ config: { recording: { directory: join(stack.dir, 'run-recordings') } } });
  t.teardown(() => stack.restartTka());
  const byKubelet = await runByKubelet('echo+unseen');
  t.not(byKubelet.code, 0);
  t.notRegex(byKubelet.stdout, /unseen/);
  t.regex(byKubelet.stderr, /would have to be recorded/);
});

test('an ephemeral container is in the audit with its command, and the attach to it is recorded', async (t) => {
  t.timeout(90_000);
  const directory = join(stack.dir, 'debug-recordings');
  await stack.restartTka({ config: { recording: { directory } } });
  t.teardown(() => stack.restartTka());
  const since = Date.now();
  const words = ['sh', '-c', 'read line; echo "read $line"'];
  const debug = ['debug', pod, '-i', `--image=${stack.node.image}`, '--container=debugger', '--profile=general', '--'];
  const { stderr } = await kubectl(stack, alice, 'websocket', [...debug, ...words], 'it\n');
  const line = await logged(stack, { event: 'k8s', subresource: 'ephemeralcontainers' }, since);
  t.like(line, { name: pod, container: 'debugger', image: stack.node.image, command: words, status: 200 }, stderr);
  const attached = await logged(stack, { event: 'k8s', subresource: 'attach', phase: 'end' }, since);
  t.like(attached, { name: pod, container: 'debugger', status: 101 });
  const recording = readdirSync(directory).find((name) => name.includes(String(attached['requestId'])));
  const [header = ''] = readFileSync(join(directory, recording ?? ''), 'utf8').split('\n');
  t.like(JSON.parse(header), { version: 2, tka: { pod, container: 'debugger', subresource: 'attach' } });
});

test('no credential of the whole run is in the log', (t) => {
  t.deepEqual(credentialsIn(stack), []);
});

function digest(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}
