/** `tka kubeconfig` and `tka version`. */
import { join } from 'node:path';
import anyTest from 'ava';
import { parse } from 'yaml';
import { filesUnder, type Kubeconfig, prepare, session } from '../testing/command.ts';

// One child at a time: many at once are slow enough to run into the command's own time-outs.
const test = anyTest.serial;
const { setup, remove } = await prepare();
test.after.always(remove);

test('kubeconfig prints one that is whole, and writes nothing', async (t) => {
  const { stub, cli } = await setup(t);
  const ran = await cli.run(['kubeconfig', '--server', stub.url, '--session', session]);
  t.is(ran.code, 0, ran.stderr);
  const printed = parse(ran.stdout) as Kubeconfig;
  t.like(printed, { apiVersion: 'v1', kind: 'Config', 'current-context': 'tka-prod' });
  t.regex(String(printed.users[0]?.user['token']), /\.c2lnbmF0dXJl$/);
  t.deepEqual(filesUnder(join(cli.home, '.kube')), []);
  t.deepEqual(stub.calls, [`GET /api/v1alpha1/kubeconfig?session=${session}&root=true`]);
});

test('version prints both versions, or this one without a word to the server', async (t) => {
  const { stub, cli } = await setup(t);
  t.is((await cli.run(['version', '--client'])).stdout, 'tka dev\n');
  t.is((await cli.run(['--version'])).stdout, 'tka dev\n');
  t.deepEqual(stub.calls, []);
  t.regex((await cli.run(['version', '-s', stub.url])).stdout, /^tka dev\nserver 9\.8\.7 /);
  t.deepEqual(JSON.parse((await cli.run(['version', '-o', 'json', '-s', stub.url])).stdout), {
    client: 'dev',
    server: { url: stub.url, version: '9.8.7' },
  });
});
