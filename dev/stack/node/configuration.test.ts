import test from 'ava';
import { nodeAddresses } from './addresses.ts';
import type { NodeAddresses } from './addresses.ts';
import { apiEndpoints, cniConfig, containerdConfig, corefile, kubeletConfig, proxyConfig } from './configuration.ts';

/** All of one node's files, in one text. */
function filesOf(dir: string, addresses: NodeAddresses): string {
  const kubelet = { dir, caFile: '/ca', certFile: '/cert', keyFile: '/key', resolvConf: `${dir}/resolv.conf` };
  return JSON.stringify([
    containerdConfig({ dir, shim: '/shim', runc: '/runc', pluginDir: '/plugins', cniDir: `${dir}/cni` }),
    cniConfig(dir, addresses),
    kubeletConfig(kubelet, addresses),
    proxyConfig(`${dir}/proxy.kubeconfig`, addresses),
    corefile(`${dir}/dns.kubeconfig`, addresses),
    apiEndpoints(addresses, 6443),
  ]);
}

test('nothing of one node is named in the files of another', (t) => {
  const files = filesOf('/stacks/b', nodeAddresses(1));
  const other = nodeAddresses(2);
  t.deepEqual(
    ['/stacks/a', other.name, other.host, other.node, other.pods].filter((name) => files.includes(name)),
    [],
  );
  t.is(files.replaceAll('/stacks/b', '/stacks/a'), filesOf('/stacks/a', nodeAddresses(1)));
});

test('the kubelet authenticates by the API server, and refuses anonymous requests', (t) => {
  const paths = { dir: '/d', caFile: '/ca', certFile: '/cert', keyFile: '/key', resolvConf: '/d/resolv.conf' };
  const config = kubeletConfig(paths, nodeAddresses(0));
  t.like(config, {
    authentication: { anonymous: { enabled: false }, webhook: { enabled: true }, x509: { clientCAFile: '/ca' } },
    authorization: { mode: 'Webhook' },
    address: nodeAddresses(0).node,
  });
});

test('the kubelet keeps to the cgroups of its node', (t) => {
  const paths = { dir: '/d', caFile: '/ca', certFile: '/cert', keyFile: '/key', resolvConf: '/d/resolv.conf' };
  t.is(kubeletConfig(paths, nodeAddresses(7))['cgroupRoot'], '/tka-node-7');
});

test("a path with a quote in it stays one string in containerd's file", (t) => {
  const dir = '/a "b"';
  const text = containerdConfig({ dir, shim: '/shim', runc: '/runc', pluginDir: '/plugins', cniDir: '/cni' });
  t.true(text.includes('root = "/a \\"b\\"/containerd"\n'));
});
