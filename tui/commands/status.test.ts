/** `tka status`. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import anyTest from 'ava';
import { calls, prepare, session } from '../testing/command.ts';
import { sendJson, startStubServer } from '../testing/stub-server.ts';

// One child at a time: many at once are slow enough to run into the command's own time-outs.
const test = anyTest.serial;
const { setup, remove } = await prepare();
test.after.always(remove);

test('status lists sessions with their contexts and the time that is left', async (t) => {
  const { stub, cli } = await setup(t);
  await cli.run(['login', '--server', stub.url]);
  const table = await cli.run(['status']);
  t.regex(table.stdout, /^CURRENT\s+CONTEXT.*\n\*\s+tka-prod-view\s+alice-0123456789\s+view\s+ready\s+7h59m\n$/);
  const { sessions } = JSON.parse((await cli.run(['status', '-o', 'json'])).stdout) as {
    sessions: { remainingSeconds: number }[];
  };
  t.like(sessions, [{ session, state: 'ready', contexts: ['tka-prod-view'], current: true }]);
  t.true((sessions[0]?.remainingSeconds ?? 0) > 28_000);
});

test('status lists ended and unknown sessions, and says if there are none', async (t) => {
  const { stub, cli } = await setup(t);
  stub.answer(calls.sessions, (_, response) => sendJson(response, 200, { sessions: [] }));
  const none = await cli.run(['status', '--server', stub.url]);
  t.like(none, { code: 0, stdout: '' });
  t.regex(none.stderr, /tka login/);
  await cli.run(['login', '--server', stub.url]);
  t.regex((await cli.run(['status'])).stdout, /tka-prod-view .* ended /);
  stub.answer(calls.sessions, (_, response) => void response.socket?.destroy());
  const away = await cli.run(['status']);
  t.is(away.code, 4);
  t.regex(away.stdout, /tka-prod-view .* unreachable /);
  t.like(JSON.parse((await cli.run(['status', '-o', 'json'])).stdout), { sessions: [{ state: 'unknown' }] });
});

test('a server that does not answer is waited for aloud, and hides nothing of the others', async (t) => {
  const { stub, cli } = await setup(t);
  const silent = await startStubServer();
  t.teardown(() => silent.close());
  await cli.run(['login', '--server', stub.url]);
  await cli.run(['login', '--server', silent.url, '--context-name', 'elsewhere']);
  silent.answer(calls.sessions, () => {});
  const { code, stdout, stderr } = await cli.run(['status', '--all', '--timeout', '3s']);
  t.is(code, 4);
  t.regex(stdout, new RegExp(`${stub.url} .* tka-prod-view .* ready `));
  t.regex(stdout, new RegExp(`${silent.url} .* elsewhere .* unreachable `));
  t.true(stderr.startsWith(`Waiting for ${silent.url} to answer`), stderr);
  t.false(stderr.includes(`Waiting for ${stub.url}`));
  const quiet = await cli.run(['status', '--all', '--timeout', '3s', '-q']);
  t.notRegex(quiet.stderr, /Waiting/);
});

test('status shows every known server, also those without a session and those that are away', async (t) => {
  const { stub, cli } = await setup(t);
  const empty = await startStubServer();
  t.teardown(() => empty.close());
  empty.answer(calls.sessions, (_, response) => sendJson(response, 200, { sessions: [] }));
  await cli.run(['login', '--server', stub.url]);
  await cli.run(['config', 'set', 'server', empty.url]);
  const trusted = await startStubServer();
  t.teardown(() => trusted.close());
  const pin = { server: trusted.url, nodeId: 'n1', tags: [] };
  const replica = { ...pin, server: 'http://127.0.0.1:1', nodeId: 'n2', replicaOf: trusted.url };
  writeFileSync(join(cli.home, '.config', 'tka', 'known-servers.json'), JSON.stringify({ servers: [pin, replica] }));
  const both = await cli.run(['status']);
  t.is(both.code, 0, both.stderr);
  t.regex(both.stdout, new RegExp(`${stub.url} .* tka-prod-view .* ready `));
  t.regex(both.stdout, new RegExp(`${empty.url} .* no session `));
  t.regex(both.stdout, new RegExp(`${trusted.url} `));
  const { sessions, servers } = JSON.parse((await cli.run(['status', '-o', 'json'])).stdout) as Record<
    string,
    unknown[]
  >;
  t.is(sessions?.length, 2);
  t.is(servers?.length, 3, 'a replica is no row of its own');
  empty.answer(calls.sessions, (_, response) => void response.socket?.destroy());
  const away = await cli.run(['status', '--timeout', '2s']);
  t.is(away.code, 0, 'this machine has no session there');
  t.regex(away.stdout, new RegExp(`${empty.url} .* unreachable `));
});

test('status --session shows that one; exit code 3 without one', async (t) => {
  const { stub, cli } = await setup(t);
  await cli.run(['login', '--server', stub.url]);
  t.regex((await cli.run(['status', '--session', session])).stdout, /alice-0123456789 +view +ready/);
  const others = stub.calls.length;
  await cli.run(['config', 'set', 'server', 'http://127.0.0.1:1']);
  const { servers } = JSON.parse((await cli.run(['status', '--session', session, '-o', 'json'])).stdout) as {
    servers: { server: string }[];
  };
  t.deepEqual(
    servers.map(({ server }) => server),
    [stub.url],
    'no other server is asked',
  );
  t.true(stub.calls.length > others);
  await cli.run(['config', 'unset', 'server']);
  const none = await cli.run(['status', '--session', 'alice-9']);
  t.like(none, { code: 3, stdout: '' });
  t.regex(none.stderr, /^error: you have no session alice-9\n/);
});

test('the namespaces of a wide session are counted in the table, and all in the data', async (t) => {
  const { stub, cli } = await setup(t);
  const namespaces = Array.from({ length: 120 }, (_, i) => `namespace-${i}`);
  const one = {
    session,
    username: 'alice@example.com',
    role: 'view',
    namespaces,
    until: '2099-01-01T00:00:00Z',
    ready: true,
  };
  stub.answer(calls.sessions, (_, response) => sendJson(response, 200, { sessions: [one] }));
  const table = await cli.run(['status', '--server', stub.url]);
  t.regex(table.stdout, /view \(120 namespaces\)/);
  t.true(table.stdout.split('\n').every((line) => line.length <= 100));
  const data = JSON.parse((await cli.run(['status', '--server', stub.url, '-o', 'json'])).stdout) as {
    sessions: object[];
  };
  t.like(data.sessions[0], { namespaces });
});
