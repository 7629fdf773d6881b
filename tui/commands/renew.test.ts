/** `tka renew`: which session it means, what it asks, what it changes here. */
import { chmodSync, writeFileSync } from 'node:fs';
import anyTest from 'ava';
import { answers, calls, inHours, prepare, readKubeconfigAt, session } from '../testing/command.ts';
import { readCredential, readUntil } from '../credential/cache.ts';
import { unprintable } from '../testing/hostile-answers.ts';
import { sendJson, stubKubeconfig, stubToken } from '../testing/stub-server.ts';

const test = anyTest.serial;
const { setup, remove } = await prepare();
test.after.always(remove);

const alice = { session, username: 'alice@example.com', role: 'view' };
const other = { ...alice, session: 'alice-9876543210', role: 'edit', until: inHours(1), ready: true };

test('renew moves the end of the session of the current context, at the server and here', async (t) => {
  const { stub, cli } = await setup(t, { [calls.login]: answers(200, { ...alice, until: inHours(1) }) });
  await cli.run(['login', '--server', stub.url, '--context-name', 'mine', '-n', 'dev']);
  const before = readKubeconfigAt(cli.kubeconfig);
  const until = inHours(3);
  stub.answer(calls.login, (_, response) => sendJson(response, 200, { ...alice, until }));
  stub.answer(calls.kubeconfig, (_, response) => sendJson(response, 200, stubKubeconfig(stubToken(new Date(until)))));
  const ran = await cli.run(['renew', '--period', '3h', '-o', 'json']);
  t.is(ran.code, 0, ran.stderr);
  t.like(JSON.parse(ran.stdout), { session, role: 'view', until, server: stub.url, contexts: ['mine'] });
  const asked = stub.requests.findLast(({ call }) => call === calls.login);
  t.deepEqual(JSON.parse(asked?.body ?? ''), { role: 'view', period: '3h' });
  t.deepEqual(readKubeconfigAt(cli.kubeconfig), before);
  const key = { server: stub.url, session };
  t.is(readCredential({ HOME: cli.home }, key)?.until, until);
  t.is(readUntil({ HOME: cli.home }, key)?.until.getTime(), Math.floor(Date.parse(until) / 1000) * 1000);
});

test('renew writes the new token where the token is in the kubeconfig', async (t) => {
  const { stub, cli } = await setup(t);
  await cli.run(['login', '--server', stub.url, '--inline-token']);
  const token = stubToken(new Date(inHours(9)));
  stub.answer(calls.kubeconfig, (_, response) => sendJson(response, 200, stubKubeconfig(token)));
  t.is((await cli.run(['renew'])).code, 0);
  t.is(readKubeconfigAt(cli.kubeconfig).users[0]?.user['token'], token);
  t.is(readCredential({ HOME: cli.home }, { server: stub.url, session }), undefined);
});

test('a kubeconfig that cannot be written fails a renewal before the session is moved', async (t) => {
  const { stub, cli } = await setup(t);
  await cli.run(['login', '--server', stub.url, '--inline-token']);
  const asked = stub.calls.filter((call) => call === calls.login).length;
  chmodSync(cli.kubeconfig, 0o400);
  const ran = await cli.run(['renew']);
  t.is(ran.code, 1);
  t.regex(ran.stderr, /cannot be written: it is read-only/);
  t.is(stub.calls.filter((call) => call === calls.login).length, asked);
});

test('TKA_SESSION and TKA_SERVER of a shell come before the current context', async (t) => {
  const { stub, cli } = await setup(t);
  await cli.run(['login', '--server', stub.url]);
  stub.answer(calls.sessions, (_, response) =>
    sendJson(response, 200, { sessions: [{ ...alice, until: inHours(1), ready: true }, other] }),
  );
  stub.answer(calls.login, (_, response) => sendJson(response, 200, { ...other, until: inHours(2) }));
  stub.answer(
    calls.whoami,
    answers(200, {
      subject: 's',
      username: 'a',
      node: 'n',
      tags: [],
      rules: [{ role: 'edit', period: '2h', priority: 1 }],
      dropped: [],
    }),
  );
  const ran = await cli.run(['renew'], { TKA_SESSION: other.session, TKA_SERVER: stub.url });
  t.is(ran.code, 0, ran.stderr);
  t.deepEqual(JSON.parse(stub.requests.findLast(({ call }) => call === calls.login)?.body ?? ''), { role: 'edit' });
});

test('of several sessions and no context, renew asks which', async (t) => {
  const { stub, cli } = await setup(t);
  stub.answer(calls.sessions, answers(200, { sessions: [{ ...alice, until: inHours(1), ready: true }, other] }));
  const ran = await cli.run(['renew', '--server', stub.url]);
  t.is(ran.code, 2);
  t.regex(ran.stderr, /alice-0123456789, alice-9876543210\n.*--session/);
  t.false(stub.calls.includes(calls.login));
});

for (const [what, flags, expected] of [
  ['a session that has ended', ['--session', 'gone-1'], /the session gone-1 at http\S+ has ended\n.*tka login/],
  ['no session', [], /you have no session at http\S+\n.*tka login/],
] as const) {
  test(`renew with ${what} is exit code 3 and opens none`, async (t) => {
    const { stub, cli } = await setup(t, { [calls.sessions]: answers(200, { sessions: [] }) });
    const ran = await cli.run(['renew', '--server', stub.url, ...flags]);
    t.is(ran.code, 3);
    t.regex(ran.stderr, expected);
    t.false(stub.calls.includes(calls.login));
  });
}

test('a name that no session and no context has is no session that has ended', async (t) => {
  const { stub, cli } = await setup(t);
  stub.answer(calls.sessions, answers(200, { sessions: [{ ...alice, until: inHours(1), ready: true }] }));
  const ran = await cli.run(['renew', '--server', stub.url, '--session', 'alcie-1']);
  t.is(ran.code, 3);
  t.regex(ran.stderr, /^error: you have no session alcie-1 at http\S+\n {2}Your sessions: alice-0123456789\n$/);
});

test('a session whose scope the policy no longer grants is not renewed, and no other is opened', async (t) => {
  const { stub, cli } = await setup(t);
  stub.answer(
    calls.sessions,
    answers(200, { sessions: [{ ...alice, namespaces: ['dev'], until: inHours(1), ready: true }] }),
  );
  const ran = await cli.run(['renew', '--server', stub.url]);
  t.is(ran.code, 3);
  t.regex(ran.stderr, /now grants view in the whole cluster, not in dev\n.*tka login/);
  t.false(stub.calls.includes(calls.login));
});

test('a session with an invalid name is not renewed, and its name is not shown', async (t) => {
  const { stub, cli } = await setup(t);
  const hostile = { ...alice, session: 'a\u001B]0;pwned\u0007', namespaces: ['dev'], until: inHours(1), ready: true };
  stub.answer(calls.sessions, answers(200, { sessions: [hostile] }));
  const ran = await cli.run(['renew', '--server', stub.url]);
  t.is(ran.code, 1);
  t.notRegex(ran.stderr, unprintable);
  t.regex(ran.stderr, /an invalid session name/);
  t.false(stub.calls.includes(calls.login));
});

test('renew in a shell with the integration tells it the new end', async (t) => {
  const { stub, cli } = await setup(t);
  await cli.run(['login', '--server', stub.url]);
  const file = `${cli.home}/env`;
  writeFileSync(file, '', { mode: 0o600 });
  const shell = { TKA_ENV_FILE: file, TKA_ENV_SHELL: 'bash', TKA_SERVER: stub.url, TKA_SESSION: session };
  const ran = await cli.run(['renew'], shell);
  t.is(ran.code, 0, ran.stderr);
  const { readFileSync } = await import('node:fs');
  t.regex(readFileSync(file, 'utf8'), /^export TKA_UNTIL=/);
});
