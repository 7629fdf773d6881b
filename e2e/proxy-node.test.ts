/**
 * Pods through tka with the real kubectl: exec, attach, cp, port-forward and logs, over websocket and over SPDY; how such a
 * stream ends with its session; and what a recording holds. Needs a node that runs pods.
 */
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import anyTest from 'ava';
import { policyOf } from '../dev/stack/policy.ts';
import type { Result } from '../dev/stack/processes.ts';
import { send } from '../dev/stack/send.ts';
import { canRunNodes, startStack } from '../dev/stack/stack.ts';
import type { Stack } from '../dev/stack/stack.ts';
import { until } from '../dev/stack/until.ts';
import { Person } from './person.ts';
import { Running } from './proxy/running.ts';
import { credentialsIn, logged, logOf, timeOf } from './proxy/server-log.ts';

const ability = canRunNodes();
const test = ability.ok ? anyTest.serial : anyTest.serial.skip;
if (!ability.ok) {
  anyTest('skipped: no container runtime', (t) => {
    t.log(ability.reason);
    t.pass();
  });
}

const alice = 'alice@example.com';
const rules = { [alice]: [{ role: 'cluster-admin', period: '8h', priority: 100 }] };

let stack: Stack;
let pod = '';

if (ability.ok) {
  anyTest.before(async (t) => {
    t.timeout(300_000);
    stack = await startStack({ users: [alice], policy: policyOf(rules), node: true });
    await admin('create', 'deployment', 'echo', `--image=${stack.node.image}`, '--port=8080');
    await admin('wait', '--for=condition=Available', 'deployment/echo', '--timeout=60s');
    pod = (await admin('get', 'pods', '-l', 'app=echo', '-o', 'jsonpath={.items[0].metadata.name}')).trim();
    await logIn();
  });
  anyTest.after.always(() => stack?.close());
}

async function admin(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await stack.kubectl(args);
  if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: exit code ${code}: ${stderr}`);
  return stdout;
}

/** A grant that was given back a moment ago may not have arrived yet. */
async function logIn(): Promise<string> {
  const person = new Person(stack, alice);
  const login = (): ReturnType<Person['login']> => person.login('--mode', 'proxy', '--use');
  return (await until(login, { what: 'alice to log in', timeoutMs: 20_000, everyMs: 250 })).session;
}

const protocols = { websocket: 'true', SPDY: 'false' } as const;
const envOf = (protocol: keyof typeof protocols): Record<string, string> => ({
  KUBECTL_REMOTE_COMMAND_WEBSOCKETS: protocols[protocol],
  KUBECTL_PORT_FORWARD_WEBSOCKETS: protocols[protocol],
});
const everyProtocol = Object.keys(protocols) as readonly (keyof typeof protocols)[];

function kubectl(protocol: keyof typeof protocols, args: readonly string[], input = ''): Promise<Result> {
  return stack.runAs(alice, 'kubectl', args, { env: envOf(protocol), input });
}

for (const protocol of everyProtocol) {
  test(`exec over ${protocol} passes on input, output, error and exit code`, async (t) => {
    const command = ['exec', '-i', pod, '--', 'sh', '-c', 'cat; echo problem >&2; exit 7'];
    const { code, stdout, stderr } = await kubectl(protocol, command, 'from here');
    t.is(code, 7);
    t.is(stdout, 'from here');
    t.regex(stderr, /^problem\n/);
  });

  test(`exec over ${protocol} loses nothing of 50 MB`, async (t) => {
    const count = 50_000_000;
    const { code, stdout } = await kubectl(protocol, ['exec', pod, '--', 'bytes', String(count)]);
    t.is(code, 0);
    t.is(stdout.length, count);
    t.is(stdout.slice(64 * 1000, 64 * 1001), `${'1000'.padStart(63, '0')}\n`);
  });

  test(`cp over ${protocol} copies files both ways`, async (t) => {
    const local = join(stack.machine(alice).home, protocol);
    mkdirSync(local, { recursive: true });
    const content = randomBytes(3_000_000);
    writeFileSync(join(local, 'large'), content);
    t.is((await kubectl(protocol, ['cp', local, `${pod}:/tmp/${protocol}`])).code, 0);
    t.is((await kubectl(protocol, ['cp', `${pod}:/tmp/${protocol}`, `${local}-back`])).code, 0);
    t.is(digest(readFileSync(join(`${local}-back`, 'large'))), digest(content));
  });

  test(`attach over ${protocol} speaks with the process that runs`, async (t) => {
    const name = `listens-${protocol.toLowerCase()}`;
    const container = { name, image: stack.node.image, command: ['cat'], stdin: true, stdinOnce: true };
    const overrides = `--overrides=${JSON.stringify({ spec: { containers: [container] } })}`;
    await admin('run', name, `--image=${stack.node.image}`, '--restart=Never', overrides);
    await admin('wait', '--for=condition=Ready', `pod/${name}`, '--timeout=60s');
    const { code, stdout } = await kubectl(protocol, ['attach', '-i', name], 'hello\n');
    t.is(code, 0);
    t.true(stdout.includes('hello\n'), stdout);
  });

  test(`port-forward over ${protocol} leads to a container`, async (t) => {
    const forwarding = new Running(t, stack, alice, ['kubectl', 'port-forward', pod, '0:8080'], envOf(protocol));
    const [, port] = /127\.0\.0\.1:(\d+) ->/.exec(await forwarding.says(/127\.0\.0\.1/)) ?? [];
    for (const path of ['/one', '/two']) {
      const { status, body } = await send(`http://127.0.0.1:${port}${path}`, { method: 'POST', body: 'sent' });
      t.is(status, 200);
      t.like(JSON.parse(body), { method: 'POST', url: path, body: 'sent' });
    }
  });
}

test('logs -f shows a line when it is written', async (t) => {
  await admin('run', 'ticks', `--image=${stack.node.image}`, '--restart=Never', '--command', '--', 'tick', '50ms');
  await admin('wait', '--for=condition=Ready', 'pod/ticks', '--timeout=60s');
  const following = new Running(t, stack, alice, ['kubectl', 'logs', '-f', 'ticks']);
  await following.says(/^tick 30$/);
  t.deepEqual(
    following.lines.slice(0, 30),
    Array.from({ length: 30 }, (_, index) => `tick ${index + 1}`),
  );
});

test('an exec is in the log with its command line, at its start and at its end', async (t) => {
  const since = Date.now();
  await kubectl('websocket', ['exec', pod, '--', 'echo', 'noted']);
  const fields = { event: 'k8s', subresource: 'exec', name: pod };
  const start = await logged(stack, { ...fields, phase: 'start' }, since);
  const end = await logged(stack, { ...fields, phase: 'end' }, since);
  t.deepEqual(start['command'], ['echo', 'noted']);
  t.is(end['requestId'], start['requestId']);
  t.like(end, { username: alice, resource: 'pods', namespace: 'default', status: 101 });
});

for (const protocol of everyProtocol) {
  test(`a grant that disappears during an exec over ${protocol} ends it`, async (t) => {
    const since = Date.now();
    t.teardown(async () => {
      await stack.policy.write(policyOf(rules));
      await logIn();
    });
    const command = ['kubectl', 'exec', '-i', pod, '--', 'cat'] as const;
    const talking = new Running(t, stack, alice, command, envOf(protocol));
    talking.stdin.write('there\n');
    await talking.says(/^there$/);
    await stack.policy.write(policyOf({ [alice]: [] }));
    const { at, code } = await talking.end(18_000);
    // Over SPDY kubectl takes an error stream that ends without a word for success.
    if (protocol === 'websocket') {
      t.is(code, 1);
      t.regex(talking.stderr, /policy grants it no more/);
    }
    const revoked = await logged(stack, { event: 'revoked' }, since);
    t.true(at - timeOf(revoked) < 1000, `${at - timeOf(revoked)} ms after tka knew`);
  });
}

test('an exec is recorded where the operator asks for it, without what was typed', async (t) => {
  t.timeout(90_000);
  const directory = join(stack.dir, 'recordings');
  await stack.restartTka({ config: { recording: { directory } } });
  t.teardown(() => stack.restartTka());
  const since = Date.now();
  // What is typed is not shown again.
  const script = 'echo begun; read secret; echo "Schlüssel: ${#secret}"; echo problem >&2; exit 3';
  const { code, stdout } = await kubectl('websocket', ['exec', '-i', pod, '--', 'sh', '-c', script], 'correct horse\n');
  t.is(code, 3);
  t.is(stdout, 'begun\nSchlüssel: 13\n');

  const [file = '', ...others] = await until(
    () => {
      const files = readdirSync(directory);
      return files.some((name) => readFileSync(join(directory, name), 'utf8').includes('Schlüssel')) && files;
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
  const output = events.map(([, , data]) => data).join('');
  t.true(output.includes('begun\nSchlüssel: 13\n') && output.includes('problem\n'), output);
  t.false(text.includes('correct horse'));
  const { requestId } = await logged(stack, { event: 'k8s', subresource: 'exec', phase: 'end' }, since);
  t.true(file.includes(String(requestId)), file);
  t.is(
    logOf(stack, since).find(({ msg }) => msg === 'a stream is not recorded'),
    undefined,
  );

  const spdy = await kubectl('SPDY', ['exec', pod, '--', 'echo', 'unseen']);
  t.not(spdy.code, 0);
  t.is(spdy.stdout, '');
  t.regex(spdy.stderr, /would have to be recorded/);
});

test('no credential of the whole run is in the log', (t) => {
  t.deepEqual(credentialsIn(stack), []);
});

function digest(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}
