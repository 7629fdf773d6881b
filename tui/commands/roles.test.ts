/** `tka whoami` and `tka roles`. */
import anyTest from 'ava';
import { answers, calls, prepare } from '../testing/command.ts';
import { stubWhoami } from '../testing/stub-server.ts';

const test = anyTest.serial;
const { setup, remove } = await prepare();
test.after.always(remove);

const identity = stubWhoami({ username: 'alice@example.com', role: 'view' });
const view = { role: 'view', period: '8h', priority: 10 };
const edit = { role: 'edit', period: '1h', priority: 5, namespaces: ['dev', 'test'] };
const dropped = [{ rule: '{"role":"admin","perod":"1h"}', reason: 'unknown field "perod"' }];

test('whoami says who the caller is to the server', async (t) => {
  const { stub, cli } = await setup(t);
  const ran = await cli.run(['whoami', '--server', stub.url]);
  t.is(ran.code, 0, ran.stderr);
  t.regex(
    ran.stdout,
    /^USER\s+alice@example\.com\nNODE\s+laptop\nTAGS\s+-\nSUBJECT\s+control\.example\|user:7\nSERVER\s+http/,
  );
  t.is((await cli.run(['whoami', '--server', stub.url, '-o', 'name', '-q'])).stdout, 'alice@example.com\n');
  t.like(JSON.parse((await cli.run(['whoami', '--server', stub.url, '-o', 'json'])).stdout), {
    ...identity,
    server: stub.url,
  });
});

test('roles lists what may be had, which is the default, and what is not used and why', async (t) => {
  const rules = [view, edit, { ...edit, period: '2h', priority: 1 }];
  const { stub, cli } = await setup(t, { [calls.whoami]: answers(200, { ...identity, rules, dropped }) });
  const ran = await cli.run(['roles', '--server', stub.url]);
  t.is(ran.code, 0, ran.stderr);
  const lines = ran.stdout.split('\n').map((line) => line.replaceAll(/ {2,}/g, '|'));
  t.deepEqual(lines.slice(1, 3), ['*|view|the whole cluster|8h|10', '|edit|dev,test|1h|5']);
  t.regex(lines[3] ?? '', /^\|edit\|dev,test\|2h\|1\|never used: another rule of this role/);
  t.regex(ran.stdout, /unknown field "perod"\s+\{"role":"admin","perod":"1h"\}/);
  t.is((await cli.run(['roles', '--server', stub.url, '-o', 'name'])).stdout, 'view\nedit\n');
  const data = JSON.parse((await cli.run(['roles', '--server', stub.url, '-o', 'json'])).stdout) as {
    rules: { state: string }[];
  };
  t.deepEqual(
    data.rules.map(({ state }) => state),
    ['default', 'available', 'shadowed'],
  );
});

test('roles says where a login has to choose, and where nothing is granted', async (t) => {
  const { stub, cli } = await setup(t, {
    [calls.whoami]: answers(200, { ...identity, rules: [view, { ...edit, priority: 10 }] }),
  });
  t.regex(
    (await cli.run(['roles', '--server', stub.url])).stderr,
    /without --role is refused[^\n]*\n {2}view in the whole cluster for 8h\n {2}edit in dev, test/,
  );
  stub.answer(calls.whoami, answers(200, { ...identity, rules: [] }));
  const none = await cli.run(['roles', '--server', stub.url]);
  t.like(none, { code: 0, stdout: '' });
  t.regex(none.stderr, /grants alice@example\.com nothing/);
});

test('nothing of a hostile server reaches the terminal as it is', async (t) => {
  const evil = 'a\u001B]0;evil\u0007\u202E\n';
  const hostile = {
    subject: evil,
    username: evil,
    node: evil,
    tags: [evil],
    rules: [{ ...edit, role: evil, period: evil, namespaces: [evil] }],
    dropped: [{ rule: evil, reason: evil }],
  };
  const { stub, cli } = await setup(t, { [calls.whoami]: answers(200, hostile) });
  for (const args of [
    ['whoami'],
    ['roles'],
    ['roles', '-o', 'json'],
    ['roles', '-o', 'name'],
    ['whoami', '-o', 'yaml'],
  ]) {
    const ran = await cli.run([...args, '--server', stub.url]);
    t.is(ran.code, 0, ran.stderr);
    t.notRegex((ran.stdout + ran.stderr).replaceAll('\n', ''), /[\p{Cc}\p{Cf}]/u);
  }
});
