import test from 'ava';
import { kubectlAddress } from './kubectl-address.ts';
import { statusOf } from '../testing/tailscaled.ts';
import { readStatus } from '../tailnet/status.ts';

const network = readStatus(statusOf([{ id: 'n1', name: 'tka', address: '100.64.0.1', tags: [] }]));
const url = 'https://tka.tail.example/k8s';
const resolving = (addresses: readonly string[]) => () => Promise.resolve(addresses);

test('a name that resolves to its node stays', async (t) => {
  t.deepEqual(await kubectlAddress(url, network, resolving(['100.64.0.1'])), { url });
});

test('a name that does not resolve, or to another machine, gives way to the address, and is what the certificate is for', async (t) => {
  for (const found of [[], ['192.0.2.7']]) {
    t.deepEqual(await kubectlAddress(url, network, resolving(found)), {
      url: 'https://100.64.0.1/k8s',
      serverName: 'tka.tail.example',
    });
  }
  t.like(await kubectlAddress('https://tka.tail.example:8443', network, resolving([])), {
    url: 'https://100.64.0.1:8443',
  });
});

test('an address, a name of no node, and a way through a proxy stay as they are', async (t) => {
  const never = (): Promise<never> => Promise.reject(new Error('looked up'));
  for (const [given, known] of [
    ['https://100.64.0.1/k8s', network],
    ['https://k8s.example.com:6443', network],
    [url, undefined],
  ] as const) {
    t.deepEqual(await kubectlAddress(given, known, never), { url: given });
  }
});

test('names do not resolve where this machine does not accept the DNS of its tailnet', (t) => {
  const status = statusOf([]);
  t.true(readStatus(status, { CorpDNS: true }).namesResolve);
  t.true(readStatus(status).namesResolve);
  t.false(readStatus(status, { CorpDNS: false }).namesResolve);
});

test('names are looked up as programs on this machine do', async (t) => {
  const peers = [
    { id: 'n1', name: 'localhost', address: '127.0.0.1' },
    { id: 'n2', name: 'tka.invalid', address: '100.64.0.2' },
  ];
  const nodes = readStatus(statusOf(peers));
  t.deepEqual(await kubectlAddress('https://localhost:8443', nodes), { url: 'https://localhost:8443' });
  t.like(await kubectlAddress('https://tka.invalid', nodes), {
    url: 'https://100.64.0.2',
    serverName: 'tka.invalid',
  });
});
