/**
 * The control server is stopped under a server with open sessions: what goes on by the netmap in hand, what is refused past the one
 * limit, and what ends past the other. One stack for the whole file.
 */
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { policyOf } from '../dev/stack/policy.ts';
import { startStack } from '../dev/stack/stack.ts';
import type { Stack } from '../dev/stack/stack.ts';
import { until } from '../dev/stack/until.ts';
import { Caller, type Entry } from './proxy/caller.ts';
import { logged, logOf, timeOf } from './proxy/server-log.ts';
import type { Watch } from './proxy/watch.ts';

const [alice, bob] = ['alice@example.com', 'bob@example.com'];
const path = '/api/v1/namespaces/default/configmaps';
const [offlineLoginSeconds, unknownGrantSeconds] = [8, 14];

let stack: Stack;

test.before(async (t) => {
  t.timeout(180_000);
  stack = await startStack({ users: [alice, bob], policy: policyOf(), tka: false });
  await stack.startTka({ config: { limits: { offlineLoginSeconds, unknownGrantSeconds } } });
  await stack.kubectl(['create', 'configmap', 'standing', '-n', 'default']);
});
test.after.always(() => stack?.close());

const of = (user: string): Caller => Caller.of(stack, user);

async function watching(user: string): Promise<{ readonly entry: Entry; readonly watch: Watch }> {
  const entry = await of(user).login();
  const watch = await of(user).watch(entry, `${path}?watch=true`);
  await watch.sees('ADDED', 'standing');
  return { entry, watch };
}

const metric = async (): Promise<number> => {
  const text = await (await fetch(`${stack.tka.health}/metrics`)).text();
  return Number(/^tka_control_away_seconds (\S+)$/m.exec(text)?.[1]);
};

/** Stops the control server; resolves when the server has said that it has no contact. */
async function loseContact(): Promise<number> {
  const since = Date.now();
  await stack.headscale.stop();
  await until(() => logOf(stack, since).some(({ msg }) => msg.startsWith('no contact with the control server')), {
    what: 'the server to miss its control server',
    timeoutMs: 20_000,
  });
  return since;
}

async function regainContact(): Promise<void> {
  const since = Date.now();
  await stack.headscale.restart();
  await until(() => logOf(stack, since).some(({ msg }) => msg === 'contact with the control server again'), {
    what: 'contact',
    timeoutMs: 40_000,
  });
}

const sessionExists = async ({ session }: Entry): Promise<boolean> =>
  (await stack.kubectl(['get', 'signin', session, '-n', 'tka-sessions'])).code === 0;

const login = (user: string) => of(user).api('/api/v1alpha1/login', { method: 'POST' });

async function refused(t: ExecutionContext, since: number): Promise<void> {
  const answer = await until(
    async () => {
      const got = await login(bob);
      return got.status === 503 && got;
    },
    { what: 'a login to be refused', timeoutMs: 20_000, everyMs: 250 },
  );
  t.like(JSON.parse(answer.body), { code: 'control_unreachable' });
  t.regex(answer.body, /no contact with the control server https:.* for \d+ s: .*new logins are refused/);
  const audit = await logged(stack, { event: 'login', result: 'failed', code: 'control_unreachable' }, since);
  t.regex(String(audit['reason']), /no contact with the control server/);
  const ready = await stack.tka.readyz();
  t.is(ready.status, 503);
  t.regex(ready.body, /new logins are refused/);
}

test.serial('contact that returns before the limits ends nothing and refuses nothing', async (t) => {
  t.timeout(90_000);
  const { entry, watch } = await watching(alice);
  t.is(await metric(), 0);
  await loseContact();
  const { status, body } = await stack.tka.readyz();
  t.is(status, 200, body);
  t.regex(body, /"notes":\["no contact with the control server/);
  t.true((await metric()) > 0);
  t.is((await login(bob)).status, 202, 'by the netmap in hand');
  t.is((await of(alice).ask(entry, path)).status, 200);
  await regainContact();
  t.is((await stack.tka.readyz()).status, 200);
  t.is(await metric(), 0);
  t.true(await sessionExists(entry));
  await stack.kubectl(['create', 'configmap', 'later', '-n', 'default']);
  await watch.sees('ADDED', 'later');
  watch.close();
});

test.serial('past the limits new logins are refused, then sessions end with their streams', async (t) => {
  t.timeout(120_000);
  const { entry, watch } = await watching(alice);
  const since = await loseContact();
  await refused(t, since);
  t.true(await sessionExists(entry), 'open sessions outlast new logins');

  const end = await watch.end((unknownGrantSeconds + 15) * 1000);
  t.true(end.at - since >= (unknownGrantSeconds - 1) * 1000, `cut after ${end.at - since} ms`);
  t.regex(watch.events.at(-1)?.object.message ?? '', /no contact with the control server for too long/);
  const revoked = await logged(stack, { event: 'revoked', session: entry.session }, since);
  t.regex(String(revoked['reason']), /no contact with the control server for too long/);
  t.true(end.at - timeOf(revoked) < 1000);
  await until(async () => !(await sessionExists(entry)), { what: 'the session to go', timeoutMs: 10_000 });
  t.is((await of(alice).ask(entry, path)).status, 401);

  await regainContact();
  t.is((await stack.tka.readyz()).status, 200);
  t.is((await login(bob)).status, 202);
});
