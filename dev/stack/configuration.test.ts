import test from 'ava';
import { headscaleConfig } from './headscale.ts';
import { hostnameOf } from './machine.ts';
import { merge, tkaConfig } from './tka-server.ts';

test('headscale listens on the address given alone', (t) => {
  const files = { dir: '/d', certFile: '/d/c', keyFile: '/d/k' };
  const config = headscaleConfig({ ...files, address: '198.19.0.1', port: 1234, stunPort: 5678 });
  const addresses = [...JSON.stringify(config).matchAll(/_addr":"([^"]*)"/g)].map(([, address]) => address);
  t.deepEqual(addresses, ['198.19.0.1:1234', '', '127.0.0.1:0', '198.19.0.1:5678']);
  t.is(config['server_url'], 'https://198.19.0.1:1234');
});

test('the server is given nothing but its own account', (t) => {
  const config = tkaConfig({
    controlUrl: 'https://127.0.0.1:1',
    caFile: '/d/ca.crt',
    kubeconfig: '/d/kube/tka-system-tka.kubeconfig',
    stateDir: '/d/state',
    healthPort: 8080,
  });
  t.deepEqual(config['kubernetes'], { kubeconfig: '/d/kube/tka-system-tka.kubeconfig' });
  t.deepEqual(config['health'], { address: '127.0.0.1', port: 8080 });
});

test('overrides are merged key by key, lists are replaced, undefined removes', (t) => {
  const base = { a: { b: 1, c: [1, 2] }, d: 'kept', e: 'gone' };
  t.deepEqual(merge(base, { a: { c: [3] }, e: undefined, f: { g: 1 } }), {
    a: { b: 1, c: [3] },
    d: 'kept',
    f: { g: 1 },
  });
  t.deepEqual(base, { a: { b: 1, c: [1, 2] }, d: 'kept', e: 'gone' });
});

test('machines of users who look alike get names of their own', (t) => {
  const taken = new Set<string>();
  const names = ['a.b@x.example', 'a-b@x.example', 'A.B@X.example', 'tag:ci', 'Ünï@x', '@@@'].map((user) => {
    const name = hostnameOf(user, taken);
    taken.add(name);
    return name;
  });
  t.deepEqual(names, ['a-b-x-example', 'a-b-x-example-2', 'a-b-x-example-3', 'tag-ci', 'n-x', 'machine']);
  t.true(hostnameOf('x'.repeat(300)).length <= 63);
});
