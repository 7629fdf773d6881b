/** `tka use`. */
import anyTest from 'ava';
import { prepare, readKubeconfigAt, session } from '../testing/command.ts';
import { startStubServer } from '../testing/stub-server.ts';

// One child at a time: many at once are slow enough to run into the command's own time-outs.
const test = anyTest.serial;
const { setup, remove } = await prepare();
test.after.always(remove);

test('use takes a context, a session, a cluster or a server', async (t) => {
  const { stub, cli } = await setup(t);
  const other = await startStubServer({ session: 'bob-1', role: 'edit' });
  t.teardown(() => other.close());
  await cli.run(['login', '--server', stub.url]);
  await cli.run(['login', '--server', other.url]);
  const current = (): unknown => readKubeconfigAt(cli.kubeconfig)['current-context'];
  t.is(current(), 'tka-prod-view');
  for (const [name, context] of [
    ['tka-prod-edit', 'tka-prod-edit'],
    [session, 'tka-prod-view'],
    [other.url, 'tka-prod-edit'],
  ] as const) {
    t.deepEqual(await cli.run(['use', name]), {
      code: 0,
      stdout: `${context}\n`,
      stderr: `kubectl uses ${context} now.\n`,
    });
    t.is(current(), context);
  }
  const several = await cli.run(['use', 'prod']);
  t.is(several.code, 2);
  t.regex(several.stderr, /several contexts match "prod"\n +Choose one: tka-prod-view, tka-prod-edit/);
  const none = await cli.run(['use', 'nope']);
  t.is(none.code, 2);
  t.regex(none.stderr, /no tka context for "nope"\n +Available: tka-prod-view, tka-prod-edit/);
  t.is(current(), 'tka-prod-edit');
  t.is((await cli.run(['complete', '--', 'use', ''])).stdout.split(/[\t\n]/)[0], 'tka-prod-view');
});

test('use leaves contexts of others alone', async (t) => {
  const { cli } = await setup(t);
  const ran = await cli.run(['use', 'minikube']);
  t.is(ran.code, 2);
  t.regex(ran.stderr, /tka login/);
});
