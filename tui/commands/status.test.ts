/** `tka status`. */
import anyTest from 'ava';
import { calls, prepare, session } from '../command-fixture.ts';
import { sendJson, startStubServer } from '../stub-server.ts';

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

test('status says what has ended, what is unknown, and that there is nothing', async (t) => {
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
