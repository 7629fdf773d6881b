/** A server that tailscaled knows to be out of reach: tried for a moment only, and explained. */
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import test from 'ava';
import { UnreachableError } from '../errors.ts';
import { createTestRuntime, startTailscaled, statusOf } from '../testing/tailscaled.ts';
import { rememberServer } from '../trust/known-servers.ts';
import { reach } from './connect.ts';

const { signal } = new AbortController();
const options = { purpose: 'look', warn: () => {}, signal } as const;

test('an offline node is tried for 2 s, not for the time that a command has, and the error says that it is offline', async (t) => {
  // Takes connections and answers no handshake.
  const silent = createServer(() => {});
  await new Promise<void>((resolve) => {
    silent.listen(0, '127.0.0.1', resolve);
  });
  t.teardown(() => void silent.close());
  const peer = { id: 'n1', name: 'tka', address: '127.0.0.1', online: false };
  const { socket } = await startTailscaled(t, statusOf([peer]));
  const server = `https://tka:${(silent.address() as AddressInfo).port}`;
  const reached = await reach(createTestRuntime(t, { socket }), { server }, options);
  t.teardown(() => reached.close());
  const error = await t.throwsAsync(reached.api.whoami({ signal, timeoutMs: 60_000 }), {
    instanceOf: UnreachableError,
  });
  t.regex(error?.message ?? '', /^https:\/\/tka:\d+ took no connection within 2 s: tka\.tail\.example is offline$/);
});

test('logged out, a name under the suffix of a tailnet that a server was pinned on is explained by that', async (t) => {
  const { socket } = await startTailscaled(t, { BackendState: 'NeedsLogin' });
  const runtime = createTestRuntime(t, { socket });
  rememberServer(runtime.env, { server: 'http://other', nodeId: 'n2', tags: [], tailnet: 'corp.example' });
  const failure = async (server: string): Promise<string> => {
    const reached = await reach(runtime, { server }, options);
    t.teardown(() => reached.close());
    const error = await t.throwsAsync(reached.api.whoami({ signal, timeoutMs: 5000 }));
    return error?.message ?? '';
  };
  t.regex(await failure('http://tka.corp.example:1'), /logged out of its tailnet/);
  t.notRegex(await failure('http://tka.company.example:1'), /logged out/);
});
