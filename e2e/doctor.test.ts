/** `tka doctor` on a real tailnet, with the real kubectl: what it says of a machine where all is well, and of what is not. */
import test from 'ava';
import { policyOf } from '../dev/stack/policy.ts';
import { startStack } from '../dev/stack/stack.ts';
import type { Stack } from '../dev/stack/stack.ts';
import { Person } from './person.ts';

let stack: Stack;

test.before(async (t) => {
  t.timeout(180_000);
  stack = await startStack({
    users: ['alice@example.com', 'carol@example.com'],
    policy: policyOf({ 'alice@example.com': [{ role: 'view', period: '1h', priority: 10 }] }),
  });
});
test.after.always(() => stack?.close());

interface Examined {
  readonly code: number | null;
  readonly states: Readonly<Record<string, string>>;
  readonly findings: Readonly<Record<string, string>>;
}

async function examine(user: string, env: Readonly<Record<string, string>> = {}): Promise<Examined> {
  const run = await stack.tkaCommand(user, ['doctor', '-o', 'json'], { env: { TKA_SERVER: stack.tka.url, ...env } });
  // Our own command's output; what it lacks makes the assertions fail.
  const { checks } = JSON.parse(run.stdout) as { checks: { name: string; state: string; finding: string }[] };
  return {
    code: run.code,
    states: Object.fromEntries(checks.map(({ name, state }) => [name, state])),
    findings: Object.fromEntries(checks.map(({ name, finding }) => [name, finding])),
  };
}

test.serial('before the first login everything is ready for it', async (t) => {
  const { code, states, findings } = await examine('alice@example.com');
  t.is(code, 0, JSON.stringify(findings, undefined, 1));
  const notOk = Object.entries(states).filter(([, state]) => state !== 'ok');
  t.deepEqual(Object.fromEntries(notOk), { session: 'skipped', rights: 'skipped' }, JSON.stringify(findings));
  t.regex(findings['trust'] ?? '', /not trusted yet \(node \S+, tag:tka\)/);
  t.regex(findings['grant'] ?? '', /view in the whole cluster for 1h/);
  t.regex(findings['identity'] ?? '', /alice@example\.com/);
});

test.serial('with a session, kubectl itself gets in, and the machine is the one that was agreed to', async (t) => {
  const alice = new Person(stack, 'alice@example.com');
  const { session } = await alice.login();
  const { code, states, findings } = await examine('alice@example.com');
  t.deepEqual([...new Set(Object.values(states))], ['ok'], JSON.stringify(findings, undefined, 1));
  t.is(code, 0);
  t.regex(findings['trust'] ?? '', /^trusted: node/);
  t.true(findings['session']?.startsWith(`${session} (view, `), findings['session']);
  t.regex(findings['rights'] ?? '', /authorized \(\d+ rules\)/);
});

test.serial('a session that was revoked is told, and that kubectl does not get in', async (t) => {
  await stack.kubectl(['delete', 'tkasignins', '--all', '-n', 'tka-sessions', '--wait']);
  // Under a file, so that nothing can be made there.
  const cache = { XDG_CACHE_HOME: '/dev/null/cache' };
  const { code, states, findings } = await examine('alice@example.com', cache);
  t.is(states['session'], 'warning', JSON.stringify(findings, undefined, 1));
  t.is(states['rights'], 'failed', JSON.stringify(findings, undefined, 1));
  t.is(code, 1);
});

test.serial('who is granted nothing is told so, with exit code 3', async (t) => {
  const { code, states } = await examine('carol@example.com');
  t.is(states['grant'], 'failed');
  t.is(code, 3);
});

test.serial('without a tailscaled that can be asked the server is still looked at', async (t) => {
  const { code, states } = await examine('carol@example.com', { TKA_TAILSCALE_SOCKET: '/nowhere/socket' });
  t.like(states, { tailscaled: 'warning', trust: 'skipped', reachable: 'ok', grant: 'failed' });
  t.is(code, 3);
});

test.serial('a server that is away is exit code 4, and what hangs on it is skipped', async (t) => {
  await stack.stopTka();
  const { code, states, findings } = await examine('alice@example.com');
  t.like(
    states,
    { tailscaled: 'ok', reachable: 'failed', identity: 'skipped', grant: 'skipped' },
    findings['reachable'],
  );
  t.is(code, 4);
});
