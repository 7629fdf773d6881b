import test from 'ava';
import { nodeAddresses, nodeCount } from './addresses.ts';

const all = Array.from({ length: nodeCount }, (_, number) => nodeAddresses(number));

test('no two nodes share a name, an address or a subnet', (t) => {
  const seen = all.flatMap(({ name, host, node, pods }) => [name, host, node, pods]);
  t.is(new Set(seen).size, seen.length);
});

test('a name is short enough for a network interface, and good for a Node', (t) => {
  for (const { name } of all) {
    t.true(name.length <= 15, name);
    t.regex(name, /^[a-z][a-z0-9-]*[a-z0-9]$/);
  }
});

test('all addresses are in the range for benchmarks', (t) => {
  t.true(
    all.every((addresses) => [addresses.host, addresses.node, addresses.pods].every((at) => /^198\.1[89]\./.test(at))),
  );
});

for (const number of [-1, nodeCount, 0.5, Number.NaN]) {
  test(`there is no node ${number}`, (t) => {
    t.throws(() => nodeAddresses(number), { instanceOf: RangeError });
  });
}
