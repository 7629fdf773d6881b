import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { home } from '../../commands/home.ts';
import { RefusedError } from '../../errors.ts';
import type { Runtime } from '../../runtime.ts';
import type { SessionRow } from '../../sessions/session-list.ts';
import { makeCluster, startedAt } from '../../testing/home.tsx';
import { createRuntime } from '../../testing/runtime.ts';
import { createHomeServices, flagsFor, problemOf, toHomeSession } from './services.ts';

const given = { server: 'http://other', port: 80, cluster: 'other', quiet: true };

test('a server that was only discovered goes by its name, so that the user is asked before it is trusted', (t) => {
  for (const trust of ['new', 'changed', 'unverifiable'] as const) {
    t.deepEqual(flagsFor(given, makeCluster('dev', { trust })), { quiet: true, cluster: 'dev' });
  }
});

test('a trusted server, or one that the user named, goes by its address', (t) => {
  const { server } = makeCluster('dev');
  t.deepEqual(flagsFor(given, makeCluster('dev')), { quiet: true, server });
  t.deepEqual(flagsFor(given, makeCluster('dev', { source: 'configuration', trust: 'new' })), { quiet: true, server });
});

test('what went wrong is shown as it is, without what could drive the terminal; a fault of ours is called one', (t) => {
  const refused = new RefusedError(403, 'no_grant', 'no\u001B[2J grant', ['ask\nan admin']);
  t.deepEqual(problemOf(refused), { message: 'no grant', advice: ['ask an admin'], code: 'no_grant' });
  t.regex(problemOf(new TypeError('x is undefined')).message, /bug in tka/);
});

const row: SessionRow = {
  session: 's',
  state: 'ready',
  contexts: [],
  current: false,
  role: 'edit',
  namespaces: ['b', 'a'],
};
const rules = [
  { role: 'edit', period: '8h', priority: 9 },
  { role: 'edit', period: '1h30m', priority: 1, namespaces: ['a', 'b'] },
];

test('a full bar is the period of the rule with the same role and scope', (t) => {
  t.is(toHomeSession(row, rules, startedAt).periodMs, 5_400_000);
  t.is(toHomeSession({ ...row, namespaces: ['c'] }, rules, startedAt).periodMs, undefined);
});

test('the end is by the clock of this machine, whatever the server makes of the time', (t) => {
  const until = new Date(startedAt + 600_500).toISOString();
  t.is(toHomeSession({ ...row, until, remainingSeconds: 600 }, rules, startedAt).endsAt, startedAt + 600_500);
  const ahead = { ...row, until, remainingSeconds: 60 };
  t.is(toHomeSession(ahead, rules, startedAt).endsAt, startedAt + 60_000);
  t.is(toHomeSession(row, rules, startedAt).endsAt, undefined);
});

test('on a terminal that cannot draw, the home screen is refused with what does the same', async (t) => {
  // Nothing but the environment is looked at.
  const runtime = { env: { TERM: 'dumb' } } as unknown as Runtime;
  t.like(await t.throwsAsync(home(runtime, {})), {
    exitCode: 2,
    message: 'this terminal cannot show the home screen (TERM is dumb or not set)',
  });
});

test('use takes the session at the server of its row, though another server has one of that name', async (t) => {
  const runtime = createRuntime(t);
  const servers = ['dev', 'ops'].map((name) => makeCluster(name));
  const named = servers.map(({ name, server }) => {
    const extensions = [{ name: 'tka.specht-labs.de/session', extension: { server, session: 'alice-view' } }];
    return {
      cluster: { name, cluster: { server: 'https://k', extensions } },
      user: { name, user: { token: 't', extensions } },
      context: { name, context: { cluster: name, user: name, extensions } },
    };
  });
  mkdirSync(join(runtime.home, '.kube'));
  writeFileSync(
    join(runtime.home, '.kube', 'config'),
    JSON.stringify({
      clusters: named.map(({ cluster }) => cluster),
      users: named.map(({ user }) => user),
      contexts: named.map(({ context }) => context),
    }),
  );
  const services = createHomeServices(runtime, {});
  for (const cluster of servers.toReversed()) {
    t.is((await services.use(cluster, 'alice-view', runtime.signal)).context, cluster.name);
  }
});
