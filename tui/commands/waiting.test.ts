/** A server that takes the connection and never answers: every command that waits for it says so. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import anyTest from 'ava';
import { createCli } from '../testing/cli.ts';
import { prepare } from '../testing/command.ts';

const test = anyTest.serial;
const { script, remove } = await prepare();
test.after.always(remove);

const commands = [
  ['login'],
  ['logout'],
  ['renew'],
  ['status'],
  ['roles'],
  ['whoami'],
  ['kubeconfig'],
  ['cluster-info'],
  ['version'],
  ['exec', '--', 'true'],
];

// Two at a time: many at once are slow enough to run into the command's own time-outs.
for (let i = 0; i < commands.length; i += 2) {
  const pair = commands.slice(i, i + 2);
  test(`${pair.map(([name]) => name).join(' and ')} say once on stderr that they wait for a server, for as long as --timeout says`, async (t) => {
    const silent = createServer(() => {});
    await new Promise<void>((resolve) => {
      silent.listen(0, '127.0.0.1', resolve);
    });
    t.teardown(() => {
      silent.closeAllConnections();
      silent.close();
    });
    const server = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`;
    const ran = await Promise.all(
      pair.map(([name = '', ...args]) =>
        createCli(t, script).run([name, '--server', server, '--timeout', '3s', ...args]),
      ),
    );
    for (const { code, stderr } of ran) {
      t.is(stderr.split(`Waiting for ${server} to answer`).length - 1, 1, stderr);
      t.is(code, 4);
      t.regex(stderr, /(?:within|after) 3 s/);
    }
  });
}
