/** One server under two names, both pinned to one node: what each command makes of the contexts of a login by either. */
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import anyTest, { type ExecutionContext } from 'ava';
import { answers, calls, inHours, prepare, readKubeconfigAt, session } from '../testing/command.ts';

const test = anyTest.serial;
const { setup, remove } = await prepare();
test.after.always(remove);

async function loggedInTwice(t: ExecutionContext, nodes: readonly [string, string] = ['n1', 'n1']) {
  const listed = { sessions: [{ session, username: 'a', role: 'view', until: inHours(1), ready: true }] };
  const { stub, cli } = await setup(t, { [calls.sessions]: answers(200, listed) });
  const names = [stub.url, stub.url.replace('127.0.0.1', 'localhost')] as const;
  const servers = names.map((server, index) => ({ server, nodeId: nodes[index], tags: [], tailnet: 'tail.example' }));
  mkdirSync(join(cli.home, '.config', 'tka'), { recursive: true });
  writeFileSync(join(cli.home, '.config', 'tka', 'known-servers.json'), JSON.stringify({ servers }));
  for (const server of names) t.is((await cli.run(['login', '--server', server])).code, 0);
  const read = () => readKubeconfigAt(cli.kubeconfig);
  return { stub, cli, names, read };
}

test('a login by each name leaves one context, which goes by the last name', async (t) => {
  const { cli, names, read } = await loggedInTwice(t);
  t.is(read().contexts.length, 1);
  t.is(read().users.length, 1);
  t.true(JSON.stringify(read().users[0]?.user['exec']).includes(names[1]));
  const status = await cli.run(['status', '--all', '-o', 'json']);
  t.is(status.code, 0, status.stderr);
  const { servers } = JSON.parse(status.stdout) as { servers: { sessions: { contexts: string[]; state: string }[] }[] };
  t.deepEqual(
    servers.map(({ sessions }) => sessions.map(({ state, contexts }) => [state, contexts.length])),
    [[['ready', 1]]],
  );
});

test('status, renew and logout by the other name find the context and remove the credentials of both', async (t) => {
  const { stub, cli, names, read } = await loggedInTwice(t);
  const status = await cli.run(['status', '--server', names[0], '-o', 'json']);
  t.deepEqual(
    (JSON.parse(status.stdout) as { sessions: { contexts: string[] }[] }).sessions.map(({ contexts }) => contexts),
    [read().contexts.map(({ name }) => name)],
  );
  const renewed = await cli.run(['renew', '--server', names[0]]);
  t.is(renewed.code, 0, renewed.stderr);
  t.is(read().contexts.length, 1);
  stub.answer(calls.logout, answers(200, { username: 'a', role: 'view', until: inHours(1), session }));
  const out = await cli.run(['logout', '--server', names[1], '-o', 'json']);
  t.is(out.code, 0, out.stderr);
  t.like(JSON.parse(out.stdout), { sessions: [{ session, contexts: ['tka-prod-view'] }] });
  t.deepEqual(read().contexts, []);
  t.deepEqual(readdirSync(join(cli.home, '.cache', 'tka', 'credentials')), []);
});

test('logout --all asks a server once, though its two sessions were opened by two names', async (t) => {
  const { stub, cli, names, read } = await loggedInTwice(t);
  stub.answer(calls.login, answers(200, { session: 'alice-9', username: 'a', role: 'edit', until: inHours(1) }));
  t.is((await cli.run(['login', '--server', names[0]])).code, 0);
  t.is(read().contexts.length, 2);
  stub.answer(calls.logout, answers(200, { username: 'a', role: 'view', until: inHours(1), session }));
  const out = await cli.run(['logout', '--all', '-o', 'json']);
  t.is(out.code, 0, out.stderr);
  t.is((JSON.parse(out.stdout) as { servers: unknown[] }).servers.length, 1);
  t.is(stub.calls.filter((call) => call === calls.logout).length, 1);
  t.deepEqual(read().contexts, []);
});

test('names of two nodes stay two servers', async (t) => {
  const { read } = await loggedInTwice(t, ['n1', 'n2']);
  t.is(read().contexts.length, 2);
});
