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

test('a command that waits for a server says so, on stderr', async (t) => {
  const silent = createServer(() => {});
  await new Promise<void>((resolve) => {
    silent.listen(0, '127.0.0.1', resolve);
  });
  t.teardown(() => {
    silent.closeAllConnections();
    silent.close();
  });
  const server = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`;
  // Two at a time: many at once are slow enough to run into the command's own time-outs.
  for (let i = 0; i < commands.length; i += 2) {
    const pair = commands.slice(i, i + 2);
    const ran = await Promise.all(
      pair.map(([name = '', ...args]) =>
        createCli(t, script).run([name, '--server', server, '--timeout', '3s', ...args]),
      ),
    );
    for (const [n, { code, stderr }] of ran.entries()) {
      t.true(stderr.includes(`Waiting for ${server} to answer`), `${pair[n]?.[0]}: ${stderr}`);
      t.not(code, 0, pair[n]?.[0]);
    }
  }
});
