import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import anyTest from 'ava';
import { keepSessions } from '../testing/stub-sessions.ts';
import { firstLine, left, runDirectory, setup } from '../testing/shells.ts';
import { sendJson } from '../testing/stub-server.ts';

const test = anyTest.serial;

for (const [signal, code] of [
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const) {
  test(`${signal} goes to the child, then the session ends, and the exit code is ${code}`, async (t) => {
    const { cli, server, sessions } = await setup(t);
    const trap = `trap 'echo told >&2; exit 0' ${signal.slice(3)}; echo ready; while :; do sleep 0.05; done`;
    const { child, ended } = cli.start(['shell', '--server', server.url, '--', 'sh', '-c', trap]);
    t.is(await firstLine(child), 'ready');
    child.kill(signal);
    t.like(await ended, { code, stderr: 'told\n' });
    t.deepEqual(sessions.ended, ['alice-view']);
    t.deepEqual(left(cli), []);
  });
}

test('SIGINT is for the child, whose exit code passes through', async (t) => {
  const { cli, server, sessions } = await setup(t);
  const trap = "trap 'exit 42' INT; echo ready; while :; do sleep 0.05; done";
  const { child, ended } = cli.start(['exec', '--server', server.url, '--', 'sh', '-c', trap]);
  t.is(await firstLine(child), 'ready');
  child.kill('SIGINT');
  t.is((await ended).code, 42);
  t.deepEqual(sessions.ended, ['alice-view']);
});

test('a child that does not heed SIGTERM is killed at the second', async (t) => {
  const { cli, server, sessions } = await setup(t);
  const trap = "trap 'echo told' TERM; echo ready; while :; do sleep 0.05; done";
  const { child, ended } = cli.start(['exec', '--server', server.url, '--', 'sh', '-c', trap]);
  t.is(await firstLine(child), 'ready');
  const told = new Promise<void>((resolve) => {
    child.stdout?.on('data', (chunk: Buffer) => chunk.includes('told') && resolve());
  });
  child.kill('SIGTERM');
  await told;
  child.kill('SIGTERM');
  t.is((await ended).code, 143);
  t.deepEqual(sessions.ended, ['alice-view']);
});

for (const [command, code] of [
  ['status', 0],
  ['login', 0],
  ['version', 0],
] as const) {
  const isEnded = command !== 'version';
  test(`what kill -9 leaves is ${isEnded ? 'ended' : 'not looked for'} by tka ${command}`, async (t) => {
    const { cli, server, sessions, startShell } = await setup(t);
    const shell = await startShell('--role', 'edit');
    shell.child.kill('SIGKILL');
    await new Promise((resolve) => shell.child.once('exit', resolve));
    t.is((await cli.run([command, '--server', server.url])).code, code);
    t.deepEqual(sessions.ended, isEnded ? ['alice-edit'] : []);
    t.is(left(cli).length, isEnded ? 0 : 1);
    await shell.end();
  });
}

test('what kill -9 leaves is ended by the next start', async (t) => {
  const { cli, sessions, startShell, exec } = await setup(t);
  const shell = await startShell('--role', 'edit');
  shell.child.kill('SIGKILL');
  await new Promise((resolve) => shell.child.once('exit', resolve));
  t.is(left(cli).length, 1);
  t.like(await exec('true'), { code: 0, stdout: '', stderr: '' });
  t.deepEqual(sessions.ended, ['alice-edit', 'alice-view']);
  t.deepEqual(left(cli), []);
  await shell.end();
});

test('what kill -9 leaves stays while another shell uses the session', async (t) => {
  const { cli, sessions, startShell } = await setup(t);
  const killed = await startShell();
  const other = await startShell();
  killed.child.kill('SIGKILL');
  await new Promise((resolve) => killed.child.once('exit', resolve));
  const third = await startShell('--role', 'edit');
  t.deepEqual(sessions.ended, []);
  t.is(left(cli).length, 2);
  await other.end();
  await third.end();
  t.deepEqual(sessions.ended, ['alice-view', 'alice-edit']);
  await killed.end();
});

test('where the server is away at the end the session is ended by a later start', async (t) => {
  const { cli, server, sessions, startShell, exec } = await setup(t);
  const shell = await startShell();
  server.answer('POST /api/v1alpha1/logout', (_, response) =>
    sendJson(response, 500, { message: 'away', advice: [], code: 'internal' }),
  );
  const ran = await shell.end(5);
  t.is(ran.code, 5);
  t.regex(ran.stderr, /^warning: the session alice-view stays active \(away\); the next tka command tries again\n$/);
  t.deepEqual(readdirSync(join(runDirectory(cli), left(cli)[0] ?? '')), ['record.json'], 'the kubeconfig is gone');

  const again = keepSessions(server);
  await exec('true');
  t.deepEqual(again.ended, ['alice-view'], 'not at once again: its own alone');
  const [name = ''] = left(cli);
  const record = join(runDirectory(cli), name, 'record.json');
  writeFileSync(
    record,
    readFileSync(record, 'utf8').replace(/"notBefore":"[^"]*"/, '"notBefore":"2020-01-01T00:00:00Z"'),
  );
  await exec('true');
  t.deepEqual(left(cli), []);
  t.deepEqual(sessions.ended, []);
});

test('Ctrl-C while it logs in ends what was opened, and leaves nothing', async (t) => {
  const { cli, server, sessions } = await setup(t);
  const { promise: asked, resolve } = Promise.withResolvers<void>();
  server.answer('GET /api/v1alpha1/kubeconfig', () => resolve());
  const { child, ended } = cli.start(['exec', '--server', server.url, '--', 'true']);
  await asked;
  child.kill('SIGINT');
  t.deepEqual(await ended, { code: 130, stdout: '', stderr: '' });
  t.deepEqual(sessions.ended, ['alice-view']);
  t.deepEqual(left(cli), []);
});
