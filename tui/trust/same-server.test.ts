import test from 'ava';
import type { KnownServer } from './known-servers.ts';
import { distinctServers, sameServersAmong } from './same-server.ts';

const pin = (server: string, nodeId: string, more: Partial<KnownServer> = {}): KnownServer => ({
  server,
  nodeId,
  tags: ['tag:tka'],
  tailnet: 'tail.example',
  control: 'control.example',
  ...more,
});

const known = [
  pin('http://tka', 'n1'),
  pin('https://tka.tail.example', 'n1'),
  pin('http://100.64.0.1', 'n1'),
  pin('http://tka:8080', 'n1'),
  pin('http://tka-2', 'n2', { replicaOf: 'http://tka' }),
  pin('http://100.64.0.2', 'n2'),
  pin('http://tka-3', 'n3', { replicaOf: 'http://tka' }),
  pin('http://other', 'n4'),
  pin('http://far', 'n1', { tailnet: 'far.example' }),
  pin('http://two', 'n1'),
  pin('http://two', 'n9', { tailnet: 'far.example' }),
  pin('http://control', 'n1', { control: 'elsewhere.example' }),
];
const isSame = sameServersAmong(known);

const pairs: readonly (readonly [string, string, boolean, string])[] = [
  ['http://tka', 'http://tka', true, 'one origin'],
  ['http://tka', 'https://tka.tail.example', true, 'two names of a node'],
  ['https://tka.tail.example', 'http://100.64.0.1', true, 'a name and an address of a node'],
  ['http://tka', 'http://tka-2', true, 'a server and its replica'],
  ['http://100.64.0.1', 'http://100.64.0.2', true, 'a server and its replica by address'],
  ['http://tka-2', 'http://tka-3', true, 'two replicas of a server'],
  ['http://tka', 'http://tka:8080', false, 'two ports of a node'],
  ['http://tka', 'http://other', false, 'two nodes'],
  ['http://tka', 'http://far', false, 'nodes of two tailnets with one ID'],
  ['http://tka', 'http://control', false, 'nodes of two control servers with one ID'],
  ['http://tka', 'http://two', false, 'a name that is pinned on two tailnets'],
  ['http://tka', 'http://unknown', false, 'a name that is not pinned'],
  ['http://unknown', 'http://unknown', true, 'one name that is not pinned'],
];
for (const [one, other, expected, what] of pairs) {
  test(`${what}: ${one} and ${other} are ${expected ? 'one server' : 'two servers'}`, (t) => {
    t.is(isSame(one, other), expected);
    t.is(isSame(other, one), expected);
  });
}

test('of several names of a server the first is left', (t) => {
  const servers = ['http://100.64.0.1', 'http://other', 'http://tka', 'http://tka-2', 'http://other'];
  t.deepEqual(distinctServers(servers, isSame), ['http://100.64.0.1', 'http://other']);
});
