import { networkInterfaces } from 'node:os';
import test from 'ava';
import { statusOf } from '../testing/tailscaled.ts';
import { readStatus } from './status.ts';
import { isDirect, routeTo } from './route.ts';

const own = '100.64.0.99';
const status = (more = {}): ReturnType<typeof readStatus> =>
  readStatus(statusOf([{ id: 'n1', name: 'tka', address: '100.64.0.1' }], more));
const withInterface = status();

const cases: readonly [string, string, ReturnType<typeof readStatus> | undefined, readonly string[], boolean][] = [
  ['a peer by its short name', 'http://tka', withInterface, [own], true],
  ['a peer by its name', 'https://tka.tail.example', withInterface, [own], true],
  ['a peer by its address', 'http://100.64.0.1', withInterface, [own], true],
  ['an unused name of the tailnet', 'http://gone.tail.example', withInterface, [own], true],
  ['an IPv4 address of tailnets', 'http://100.127.1.1', withInterface, [own], true],
  ['an IPv6 address of tailnets', 'http://[fd7a:115c:a1e0::1]', withInterface, [own], true],
  ['another IPv4 address', 'http://100.128.1.1', withInterface, [own], false],
  ['another IPv6 address', 'http://[fd00::1]', withInterface, [own], false],
  ['a name somewhere else', 'https://tail.example.com', withInterface, [own], false],
  ['a peer, where the interface is the host machine’s', 'http://tka', withInterface, ['172.17.0.2'], false],
  ['a peer, without an interface', 'http://tka', status({ TUN: false }), [own], false],
  ['a peer, as far as anybody knows', 'http://tka', undefined, [own], false],
];
for (const [what, url, network, addresses, expected] of cases) {
  test(`${what} is reached ${expected ? 'past' : 'by'} the machine's proxy settings`, (t) => {
    t.is(
      isDirect(url, network, () => addresses),
      expected,
    );
  });
}

test('on a machine with an interface into the tailnet no proxy is asked for a peer, whatever is set or recorded', async (t) => {
  // Any address of this machine's will do for the tailnet's.
  const [address = ''] = Object.values(networkInterfaces()).flatMap((all) => (all ?? []).map((one) => one.address));
  const network = { ...withInterface, self: { ...withInterface.self, addresses: [address] } };
  const peer = network.peers[0];
  const env = { HTTP_PROXY: 'http://p:1', ALL_PROXY: 'socks5://p:1' };
  const direct = { proxy: undefined, addresses: ['100.64.0.1'] };
  t.deepEqual(await routeTo('http://tka', { env, network, peer }), direct);
  t.deepEqual(await routeTo('http://tka', { env: {}, network, peer, recorded: 'http://then:1' }), direct);
  t.is((await routeTo('http://example.com', { env, network })).proxy?.host, 'p:1');
  const elsewhere = await routeTo('http://tka', { env, network: withInterface, peer });
  t.is(elsewhere.proxy?.host, 'p:1');
});
