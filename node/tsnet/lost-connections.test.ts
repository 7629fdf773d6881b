import test from 'ava';
import { LostConnections } from './lost-connections.ts';

const from = (port: number) => ({
  source: { address: '100.64.0.9', port },
  destination: { address: '100.64.0.1', port: 443 },
});
const portsOf = (connections: LostConnections): number[] => connections.all.map(({ source }) => source.port);

test('what is open when an engine goes, or closed just before, is lost; what closed earlier is not', (t) => {
  let now = 0;
  const connections = new LostConnections(() => now);
  const [early, late] = [connections.opened(from(1)), connections.opened(from(2))];
  connections.opened(from(3));
  early();
  now = 20_000;
  late();
  late();
  t.deepEqual(portsOf(connections), [], 'while the engine lives none is');
  now = 21_000;
  connections.engineGone();
  t.deepEqual(portsOf(connections), [2, 3]);
});

test('they stay lost through engines that do not live, and are forgotten in the end', (t) => {
  let now = 0;
  const connections = new LostConnections(() => now);
  const close = connections.opened(from(1));
  connections.engineGone();
  close();
  connections.opened(from(2));
  now = 1000;
  connections.engineGone();
  t.deepEqual(portsOf(connections), [1, 2]);
  now = 600_500;
  t.deepEqual(portsOf(connections), [2]);
});

test('their number is bounded, the latest count', (t) => {
  const connections = new LostConnections(() => 0);
  for (let port = 1; port <= 5000; port += 1) connections.opened(from(port))();
  connections.engineGone();
  t.is(portsOf(connections).length, 4096);
  t.is(portsOf(connections).at(-1), 5000);
});
