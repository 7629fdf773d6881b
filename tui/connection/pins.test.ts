/** What becomes of a pin on the way to a server: made, kept, and bound to its tailnet. */
import test from 'ava';
import { reach } from './connect.ts';
import { readKnownServers, rememberServer } from '../trust/known-servers.ts';
import { startStubServer } from '../testing/stub-server.ts';
import { createTestRuntime, startTailscaled, statusOf } from '../testing/tailscaled.ts';
import type { ExecutionContext } from 'ava';

const tags = ['tag:tka'];

async function setup(t: ExecutionContext, control = 'https://control.example') {
  const stub = await startStubServer();
  t.teardown(() => stub.close());
  const server = stub.url.replace('127.0.0.1', 'tka');
  const { socket } = await startTailscaled(t, undefined, (request, response) => {
    const isPrefs = request.url?.endsWith('/prefs') === true;
    response.end(JSON.stringify(isPrefs ? { ControlURL: control } : statusOf([{ id: 'n1', name: 'tka', tags }])));
  });
  const runtime = createTestRuntime(t, { socket });
  const visit = async (purpose: 'act' | 'look'): Promise<string> => {
    const reached = await reach(runtime, { server }, { purpose, warn: () => {}, signal: runtime.signal });
    await reached.api.wellKnown({ signal: runtime.signal });
    reached.close();
    return reached.trust;
  };
  return { server, runtime, visit, pin: { server, nodeId: 'n1', tags } };
}

const here = { tailnet: 'tail.example', control: 'control.example' };

test('a confirmed server is pinned with its tailnet', async (t) => {
  const { runtime, visit, pin } = await setup(t);
  t.is(await visit('act'), 'new');
  t.deepEqual(readKnownServers(runtime.env), [{ ...pin, ...here }]);
  t.is(await visit('act'), 'pinned');
});

test('a pin of before gets its tailnet at its first use, and none by a look', async (t) => {
  const { runtime, visit, pin } = await setup(t);
  rememberServer(runtime.env, { ...pin, cluster: 'prod' });
  t.is(await visit('look'), 'pinned');
  t.deepEqual(readKnownServers(runtime.env), [{ ...pin, cluster: 'prod' }]);
  t.is(await visit('act'), 'pinned');
  t.deepEqual(readKnownServers(runtime.env), [{ ...pin, ...here, cluster: 'prod' }]);
});

for (const [what, elsewhere] of [
  ['another tailnet', { tailnet: 'other.example' }],
  ['another control server', { ...here, control: 'other.example' }],
] as const) {
  test(`a machine of the same ID on ${what} is not the trusted one`, async (t) => {
    const { runtime, visit, pin } = await setup(t);
    rememberServer(runtime.env, { ...pin, ...elsewhere });
    const error = await t.throwsAsync(visit('act'), { message: /has changed its identity/ });
    t.regex(JSON.stringify(error), new RegExp(`It was node n1, tag:tka of another tailnet, ${elsewhere.tailnet}`));
    t.deepEqual(readKnownServers(runtime.env), [{ ...pin, ...elsewhere }]);
  });
}

test('both can be trusted at once', async (t) => {
  const { server, runtime, pin } = await setup(t);
  const there = { ...pin, tailnet: 'other.example', cluster: 'theirs' };
  rememberServer(runtime.env, there);
  const interaction = { confirm: () => Promise.resolve(true), choose: () => Promise.resolve(undefined) };
  const { signal } = runtime;
  (await reach(runtime, { server }, { purpose: 'act', interaction, warn: () => {}, signal })).close();
  t.deepEqual(readKnownServers(runtime.env), [there, { ...pin, ...here }]);
});
