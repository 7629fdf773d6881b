/**
 * What goes on between kubectl and a pod, through tka, over websocket and over SPDY: exec, attach, port-forward and logs, what
 * of it is written down, and how it ends with its session. The same for a real node and for one that stands in.
 */
import type { TestFn } from 'ava';
import { policyOf } from '../../dev/stack/policy.ts';
import type { Result } from '../../dev/stack/processes.ts';
import { send } from '../../dev/stack/send.ts';
import type { Stack } from '../../dev/stack/stack.ts';
import { until } from '../../dev/stack/until.ts';
import { Person } from '../person.ts';
import { Running } from './running.ts';
import { logged, timeOf } from './server-log.ts';

export interface Pods {
  readonly stack: () => Stack;
  /** May do everything there, by these rules. */
  readonly user: string;
  readonly rules: Parameters<typeof policyOf>[0];
  /** The name of a pod that serves HTTP on port 8080. */
  serving(): Promise<string>;
  /** One that gives back what it is told. */
  listening(): Promise<string>;
  /** One that logs `tick 1`, `tick 2` and so on. */
  ticking(): Promise<string>;
}

const protocols = { websocket: 'true', SPDY: 'false' } as const;
type Protocol = keyof typeof protocols;
export const envOf = (protocol: Protocol): Record<string, string> => ({
  KUBECTL_REMOTE_COMMAND_WEBSOCKETS: protocols[protocol],
  KUBECTL_PORT_FORWARD_WEBSOCKETS: protocols[protocol],
});
export const everyProtocol = Object.keys(protocols) as readonly Protocol[];

/** A grant that was given back a moment ago may not have arrived yet. */
export async function logIn(stack: Stack, user: string): Promise<string> {
  const person = new Person(stack, user);
  const login = (): ReturnType<Person['login']> => person.login('--mode', 'proxy', '--use');
  return (await until(login, { what: `${user} to log in`, timeoutMs: 20_000, everyMs: 250 })).session;
}

export function kubectl(
  stack: Stack,
  user: string,
  protocol: Protocol,
  args: readonly string[],
  input = '',
): Promise<Result> {
  return stack.runAs(user, 'kubectl', args, { env: envOf(protocol), input });
}

export function podStreams(test: TestFn, { stack: stackOf, user, rules, ...pods }: Pods): void {
  const run = (...how: [Protocol, readonly string[], string?]): Promise<Result> => kubectl(stackOf(), user, ...how);

  for (const protocol of everyProtocol) {
    test.serial(`exec over ${protocol} passes on input, output, error and exit code`, async (t) => {
      await logIn(stackOf(), user);
      const command = ['exec', '-i', await pods.serving(), '--', 'sh', '-c', 'cat; echo problem >&2; exit 7'];
      const { code, stdout, stderr } = await run(protocol, command, 'from here');
      t.is(code, 7, stderr);
      t.is(stdout, 'from here');
      t.regex(stderr, /^problem\n/);
    });

    test.serial(`exec over ${protocol} loses nothing of 50 MB`, async (t) => {
      await logIn(stackOf(), user);
      const count = 50_000_000;
      const { code, stdout } = await run(protocol, ['exec', await pods.serving(), '--', 'bytes', String(count)]);
      t.is(code, 0);
      t.is(stdout.length, count);
      t.is(stdout.slice(64 * 1000, 64 * 1001), `${'1000'.padStart(63, '0')}\n`);
    });

    test.serial(`attach over ${protocol} speaks with the process that runs`, async (t) => {
      await logIn(stackOf(), user);
      const { code, stdout } = await run(protocol, ['attach', '-i', await pods.listening()], 'hello\n');
      t.is(code, 0);
      t.true(stdout.includes('hello\n'), stdout);
    });

    test.serial(`port-forward over ${protocol} leads to a container`, async (t) => {
      await logIn(stackOf(), user);
      const command = ['kubectl', 'port-forward', await pods.serving(), '0:8080'] as const;
      const forwarding = new Running(t, stackOf(), user, command, envOf(protocol));
      const [, port] = /127\.0\.0\.1:(\d+) ->/.exec(await forwarding.says(/127\.0\.0\.1/)) ?? [];
      for (const path of ['/one', '/two']) {
        const { status, body } = await send(`http://127.0.0.1:${port}${path}`, { method: 'POST', body: 'sent' });
        t.is(status, 200);
        t.like(JSON.parse(body), { method: 'POST', url: path, body: 'sent' });
      }
    });

    test.serial(`a grant that disappears during an exec over ${protocol} ends it, and kubectl says why`, async (t) => {
      const since = Date.now();
      const stack = stackOf();
      await logIn(stack, user);
      t.teardown(async () => {
        await stack.policy.write(policyOf(rules));
        await logIn(stack, user);
      });
      const command = ['kubectl', 'exec', '-i', await pods.serving(), '--', 'cat'] as const;
      const talking = new Running(t, stack, user, command, envOf(protocol));
      talking.stdin.write('there\n');
      await talking.says(/^there$/);
      await stack.policy.write(policyOf({ ...rules, [user]: [] }));
      const { at, code } = await talking.end(18_000);
      t.is(code, 1);
      t.regex(talking.stderr, /policy no longer grants it/);
      const revoked = await logged(stack, { event: 'revoked' }, since);
      t.true(at - timeOf(revoked) < 1000, `${at - timeOf(revoked)} ms after tka knew`);
    });
  }

  test.serial('logs -f shows a line when it is written', async (t) => {
    await logIn(stackOf(), user);
    const following = new Running(t, stackOf(), user, ['kubectl', 'logs', '-f', await pods.ticking()]);
    await following.says(/^tick 30$/);
    t.deepEqual(
      following.lines.slice(0, 30),
      Array.from({ length: 30 }, (_, index) => `tick ${index + 1}`),
    );
  });

  test.serial('an exec is in the log with its command line, at its start and at its end', async (t) => {
    const since = Date.now();
    await logIn(stackOf(), user);
    const name = await pods.serving();
    await run('websocket', ['exec', name, '--', 'echo', 'noted']);
    const fields = { event: 'k8s', subresource: 'exec', name };
    const start = await logged(stackOf(), { ...fields, phase: 'start' }, since);
    const end = await logged(stackOf(), { ...fields, phase: 'end' }, since);
    t.deepEqual(start['command'], ['echo', 'noted']);
    t.is(end['requestId'], start['requestId']);
    t.like(end, { username: user, resource: 'pods', namespace: 'default', status: 101 });
  });
}
