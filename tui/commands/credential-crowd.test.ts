/** `tka credential` as kubectl starts it: many at once, and while the server restarts. */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import anyTest from 'ava';
import { buildCli, createCli } from '../testing/cli.ts';
import { writeCredential } from '../credential/cache.ts';
import { sendJson, startStubServer, stubKubeconfig, stubToken } from '../testing/stub-server.ts';

const test = anyTest.serial;
const directory = mkdtempSync(join(tmpdir(), 'tka-cli-'));
const script = await buildCli(directory);
test.after.always(() => rmSync(directory, { recursive: true, force: true }));

const session = 'alice-0123456789';
const kubeconfigCall = 'GET /api/v1alpha1/kubeconfig';
const inMs = (ms: number): Date => new Date(Math.floor((Date.now() + ms) / 1000) * 1000);

test('20 at once with a credential that has ended ask the server once, and all get the new one', async (t) => {
  t.timeout(60_000);
  const stub = await startStubServer();
  t.teardown(() => stub.close());
  const cli = createCli(t, script);
  const past = inMs(-60_000);
  const ended = { server: stub.url, session, token: stubToken(past), expiresAt: past.toISOString() };
  writeCredential({ HOME: cli.home }, { ...ended, until: inMs(3_600_000).toISOString() });
  const end = inMs(3_600_000);
  stub.answer(kubeconfigCall, (_, response) => {
    // Slow enough for all of them to find the lock held.
    setTimeout(() => sendJson(response, 200, stubKubeconfig(stubToken(end))), 1500);
  });
  const args = ['credential', '--server', stub.url, '--session', session];
  const runs = await Promise.all(Array.from({ length: 20 }, () => cli.run(args)));
  t.deepEqual([...new Set(runs.map(({ code, stderr }) => `${code} ${stderr}`))], ['0 ']);
  t.true(runs.every(({ stdout }) => stdout.includes(stubToken(end))));
  t.deepEqual(
    stub.calls.filter((call) => call.startsWith(kubeconfigCall)),
    [`${kubeconfigCall}?session=${session}&root=true`],
  );
});

test('a server that is away for a moment is waited for', async (t) => {
  const cli = createCli(t, script);
  const end = inMs(3_600_000);
  // Its port is known, and for now nothing listens.
  const server = createServer((_, response) => sendJson(response, 200, stubKubeconfig(stubToken(end))));
  const listen = (port: number): Promise<number> =>
    new Promise((resolve) => {
      server.listen(port, '127.0.0.1', () => {
        const address = server.address();
        resolve(typeof address === 'object' && address !== null ? address.port : 0);
      });
    });
  const port = await listen(0);
  await new Promise((resolve) => server.close(resolve));
  t.teardown(() => void server.close());
  const { ended } = cli.start(['credential', '--server', `http://127.0.0.1:${port}`, '--session', session]);
  setTimeout(() => void listen(port), 500);
  const ran = await ended;
  t.like(ran, { code: 0, stderr: '' });
  t.true(ran.stdout.includes(stubToken(end)));
});
