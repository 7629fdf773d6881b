/** Which machines may stand in for a server: by what it said itself, and by what tailscaled says they are. */
import test, { type ExecutionContext } from 'ava';
import { findClusters } from '../discovery/index.ts';
import { reach, type Reached } from './connect.ts';
import type { GlobalFlags } from '../flags.ts';
import { type KnownServer, readKnownServers, rememberServer } from '../trust/known-servers.ts';
import { siblingsOf } from './replicas.ts';
import { sendJson, startStubServer, type StubServer } from '../testing/stub-server.ts';
import {
  createTestRuntime,
  type NodeOptions,
  startTailscaled,
  statusOf,
  type TestRuntime,
} from '../testing/tailscaled.ts';

const { signal } = new AbortController();
const first: NodeOptions = { id: 'n0', name: 'tka-0', tags: ['tag:tka'] };
const second: NodeOptions = { id: 'n1', name: 'tka-1', tags: ['tag:tka'] };
const at = (name: string): string => `http://${name}.tail.example`;
const replica = (id: string, name: string) => ({ node: id, name: `${name}.tail.example` });
const both = [replica('n0', 'tka-0'), replica('n1', 'tka-1')];
const pinned: KnownServer = {
  server: at('tka-0'),
  nodeId: 'n0',
  tags: ['tag:tka'],
  tailnet: 'tail.example',
  cluster: 'prod',
};
const onItsWord: KnownServer = { ...pinned, server: at('tka-1'), nodeId: 'n1', replicaOf: at('tka-0') };

interface World {
  readonly runtime: TestRuntime;
  /** Every machine of the tailnet, by its name: what it says of its replicas, or that it is not there. */
  readonly says: Record<string, readonly object[] | 'away' | undefined>;
  readonly asked: string[];
}

async function setup(
  t: ExecutionContext,
  peers: readonly NodeOptions[],
  known: readonly KnownServer[] = [],
): Promise<World> {
  const proxy: StubServer = await startStubServer();
  t.teardown(() => proxy.close());
  const says: World['says'] = {};
  const asked: string[] = [];
  proxy.answer('GET /.well-known/tka', ({ headers }, response) => {
    const [host = ''] = (headers.host ?? '').split('.', 1);
    asked.push(host);
    const replicas = says[host];
    if (replicas === 'away') response.writeHead(502).end();
    else
      sendJson(response, 200, {
        cluster: 'prod',
        labels: {},
        version: '1',
        modes: ['proxy'],
        ...(replicas && { replicas }),
      });
  });
  const { socket } = await startTailscaled(t, statusOf(peers));
  const runtime = createTestRuntime(t, { socket, env: { http_proxy: proxy.url } });
  for (const one of known) rememberServer(runtime.env, one);
  return { runtime, says, asked };
}

async function connected(
  t: ExecutionContext,
  { runtime }: World,
  flags: GlobalFlags,
  warned: string[] = [],
): Promise<Reached> {
  const reached = await reach(runtime, flags, { purpose: 'act', warn: (line) => warned.push(line), signal });
  t.teardown(() => reached.close());
  return reached;
}

test('a trusted server names its replicas, and they are known from then on', async (t) => {
  const world = await setup(t, [first, second], [pinned]);
  (await connected(t, world, { server: pinned.server })).replicated(both);
  t.deepEqual(readKnownServers(world.runtime.env), [pinned, onItsWord]);
});

const unbelieved: readonly [
  title: string,
  peers: readonly NodeOptions[],
  replicas: readonly { node: string; name: string }[],
][] = [
  ['that is no machine of this tailnet', [first], both],
  ['with other tags', [first, { ...second, tags: ['tag:web'] }], both],
  ['without tags', [first, { id: 'n1', name: 'tka-1' }], both],
  ['that belongs to another tailnet', [first, { ...second, ShareeNode: true, name: 'tka-1.other.ts.net' }], both],
  ['that is the server itself', [first], [replica('n0', 'tka-0')]],
];
for (const [title, peers, replicas] of unbelieved) {
  test(`a replica ${title} is not taken for one`, async (t) => {
    const world = await setup(t, peers, [pinned]);
    (await connected(t, world, { server: pinned.server })).replicated(replicas);
    t.deepEqual(readKnownServers(world.runtime.env), [pinned]);
  });
}

test('the node behind the name is what counts: another machine of that name is not taken', async (t) => {
  const world = await setup(t, [first, { ...second, id: 'nEvil' }], [pinned]);
  (await connected(t, world, { server: pinned.server })).replicated(both);
  t.deepEqual(readKnownServers(world.runtime.env), [pinned]);
});

test('what the user trusts explicitly is not replaced on the word of another server', async (t) => {
  const own: KnownServer = { ...pinned, server: at('tka-1'), nodeId: 'nOther' };
  const world = await setup(t, [first, second], [pinned, own]);
  (await connected(t, world, { server: pinned.server })).replicated(both);
  t.deepEqual(readKnownServers(world.runtime.env), [pinned, own]);
});

test('a replica that the server no longer names is forgotten', async (t) => {
  const world = await setup(t, [first, second], [pinned, onItsWord]);
  (await connected(t, world, { server: pinned.server })).replicated([replica('n0', 'tka-0')]);
  t.deepEqual(readKnownServers(world.runtime.env), [pinned]);
});

test('only a known replica that is still that machine stands in, and those that are online come first', (t) => {
  const known = [pinned, onItsWord, { ...onItsWord, server: at('tka-2'), nodeId: 'n2' }];
  const peer = ({ id, name }: NodeOptions, online = true) => ({
    id,
    name: `${name}.tail.example`,
    hostName: name,
    addresses: ['100.64.0.1'],
    tags: ['tag:tka'],
    online,
  });
  const tailnet = (...peers: ReturnType<typeof peer>[]) => ({
    self: peer({ id: 'nSelf', name: 'laptop' }),
    peers,
    namesResolve: true,
    suffix: 'tail.example',
  });
  const third = peer({ id: 'n2', name: 'tka-2' });
  const names = (of: ReturnType<typeof tailnet> | undefined, server = at('tka-0')): readonly string[] =>
    siblingsOf(server, known, of).map((sibling) => sibling.server);
  t.deepEqual(names(tailnet(peer(first), peer(second, false), third)), [at('tka-2'), at('tka-1')]);
  t.deepEqual(names(tailnet(peer(first), peer({ ...second, id: 'nEvil' }), third)), [at('tka-2')]);
  t.deepEqual(names(tailnet(peer(first), peer(second)), at('tka-1')), [at('tka-0')]);
  t.deepEqual(names(tailnet(peer(first), peer(second)), at('elsewhere')), []);
  t.deepEqual(names(undefined), [], 'their machines are unknown');
});

test('a server that does not answer is answered for by its replica, which the user hears of', async (t) => {
  const world = await setup(t, [first, second], [pinned, onItsWord]);
  world.says['tka-0'] = 'away';
  const warned: string[] = [];
  const reached = await connected(t, world, { server: pinned.server }, warned);
  t.is(reached.standIn(), undefined);
  t.is((await reached.api.wellKnown({ signal })).cluster, 'prod');
  t.is(reached.standIn(), at('tka-1'));
  t.is(reached.server, pinned.server, 'sessions are filed under the trusted server');
  t.deepEqual(warned, [`${at('tka-0')} does not answer: using its replica ${at('tka-1')}`]);
});

test('a server whose machine has left the tailnet is answered for by its replica, and the name is not asked', async (t) => {
  const world = await setup(t, [second], [pinned, onItsWord]);
  const reached = await connected(t, world, { server: pinned.server });
  await reached.api.wellKnown({ signal });
  t.is(reached.trust, 'pinned');
  t.deepEqual(world.asked, ['tka-1']);
});

test('another machine in the server’s place is refused, whatever replicas it has', async (t) => {
  const world = await setup(t, [{ ...first, id: 'nEvil' }, second], [pinned, onItsWord]);
  await t.throwsAsync(connected(t, world, { server: pinned.server }), {
    message: /has changed its identity/,
  });
});

const list = async ({ runtime }: World): Promise<string[]> =>
  (await findClusters(runtime, { signal })).clusters.map(
    ({ name, server, trust, answer }) => `${name} ${server.replace('.tail.example', '')} ${trust} ${answer.state}`,
  );

test('replicas that name each other are one cluster in the list', async (t) => {
  const world = await setup(t, [first, second]);
  world.says['tka-0'] = both;
  world.says['tka-1'] = both;
  t.deepEqual(await list(world), ['prod http://tka-0 new here']);
});

for (const name of ['tka-0', 'tka-1']) {
  test(`one that names a server without being named by it is a server of its own (${name})`, async (t) => {
    const world = await setup(t, [first, second]);
    world.says[name] = both;
    t.deepEqual(await list(world), ['prod-tka-0 http://tka-0 new here', 'prod-tka-1 http://tka-1 new here']);
  });
}

test('an unknown server that names a trusted one does not become part of it', async (t) => {
  const world = await setup(t, [first, second], [pinned]);
  world.says['tka-1'] = both;
  t.deepEqual(await list(world), ['prod http://tka-0 pinned here', 'prod-tka-1 http://tka-1 new here']);
});

test('a cluster is here as long as one of its replicas answers, under the trusted server', async (t) => {
  const world = await setup(t, [first, second], [pinned, onItsWord]);
  world.says['tka-0'] = 'away';
  t.deepEqual(await list(world), ['prod http://tka-0 pinned here']);
  world.says['tka-1'] = 'away';
  t.deepEqual(await list(world), ['prod http://tka-0 pinned away']);
});
