import { join } from 'node:path';
import anyTest from 'ava';
import { left, setup } from '../testing/shells.ts';

const test = anyTest.serial;

test('a session that existed before stays active, and the shell says why', async (t) => {
  const { cli, server, sessions, exec } = await setup(t);
  await cli.run(['login', '--server', server.url, '-q', '--kubeconfig', join(cli.home, 'elsewhere')]);
  t.like(await exec('true'), { code: 0, stdout: '', stderr: '' });
  const ran = await cli.run(['shell', '--server', server.url, '--', 'true']);
  t.is(ran.stderr, 'tka: the session alice-view stays active (it existed before this shell).\n');
  t.deepEqual(sessions.ended, []);
  t.deepEqual(left(cli), []);
});

test('of two shells with one session the first to leave keeps it, the second ends it', async (t) => {
  const { cli, sessions, startShell } = await setup(t);
  const first = await startShell();
  const second = await startShell();
  t.is((await first.end()).stderr, 'tka: the session alice-view stays active (another shell uses it).\n');
  t.deepEqual(sessions.ended, []);
  t.is((await second.end()).stderr, 'tka: the session has ended.\n');
  t.deepEqual(sessions.ended, ['alice-view']);
  t.deepEqual(left(cli), []);
});

test('shells of two sessions end their own', async (t) => {
  const { sessions, startShell } = await setup(t);
  const view = await startShell();
  const edit = await startShell('--role', 'edit');
  await view.end();
  t.deepEqual(sessions.ended, ['alice-view']);
  await edit.end();
  t.deepEqual(sessions.ended, ['alice-view', 'alice-edit']);
});

test('a session that a login outside uses stays active', async (t) => {
  const { cli, server, sessions, startShell } = await setup(t);
  const shell = await startShell();
  t.is((await cli.run(['login', '--server', server.url, '-q'])).code, 0);
  const { stderr } = await shell.end();
  t.is(stderr, 'tka: the session alice-view stays active (the context tka-prod-view in your kubeconfig uses it).\n');
  t.deepEqual(sessions.ended, []);
});

test('commands that start while others end have their session, and the last ends it', async (t) => {
  const { cli, server, sessions, exec } = await setup(t);
  const { port } = new URL(server.url);
  // Each asks the server, while it runs, whether its session is there.
  const ask = `exec 3<>/dev/tcp/127.0.0.1/${port}; printf 'GET /api/v1alpha1/sessions HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3`;
  const hasSession = async (): Promise<boolean> => (await exec('bash', '-c', ask)).stdout.includes('alice-view');
  const inTurn = async (): Promise<boolean[]> => [await hasSession(), await hasSession()];
  const all = await Promise.all([inTurn(), inTurn(), inTurn(), inTurn()]);
  t.true(all.flat().every(Boolean), JSON.stringify(all));
  // What one that left while another was logging in could not decide, the next start does.
  await exec('true');
  t.deepEqual([...sessions.sessions.keys()], []);
  t.deepEqual(left(cli), []);
});
