/** The way to the tailnet: the local tailscaled, and how names of the tailnet are found. */
import { isIP } from 'node:net';
import { printable } from '../terminal/output.ts';
import { withoutSecrets } from '../api/proxy.ts';
import { TailnetError } from '../tailnet/types.ts';
import { routeTo } from '../tailnet/route.ts';
import { type Check, failed, ifKnown, ok, skipped, warning } from './check.ts';

export const tailnetChecks: readonly Check[] = [
  {
    name: 'tailscaled',
    async run({ tailnet, answer }) {
      try {
        const { self, peers } = await tailnet();
        const name = printable(self.name === '' ? self.hostName : self.name, 253);
        return ok(`running; this machine is ${name} (${peers.length + 1} nodes visible)`);
      } catch (error) {
        if (!(error instanceof TailnetError)) throw error;
        // A server may be reachable without it; then its machine cannot be identified.
        if ((await ifKnown(answer())) === undefined) throw error;
        return warning(`${error.message}; the server is reachable without it`, ...error.advice);
      }
    },
  },
  {
    name: 'names',
    async run({ tailnet, server, runtime }) {
      const reached = await ifKnown(server());
      const network = await ifKnown(tailnet());
      if (reached === undefined) return skipped('no server name to resolve');
      const { hostname } = new URL(reached.server);
      const { proxy } = await routeTo(reached.server, { env: runtime.env, network });
      if (proxy !== undefined) return ok(`${hostname} is resolved by the proxy ${withoutSecrets(proxy)}`);
      if (isIP(hostname.replaceAll(/^\[|\]$/g, '')) !== 0) return ok(`the server is named by its address, ${hostname}`);
      if (network === undefined) return skipped('unknown: tailscaled not reachable');
      if (network.namesResolve) return ok('names of the tailnet resolve on this machine');
      if (network.userspace === true) {
        return failed(
          'tailscaled has no network interface here, and no proxy leads through it',
          [
            'Start it with --outbound-http-proxy-listen=localhost:1055, and set HTTP_PROXY and HTTPS_PROXY to',
            'http://localhost:1055.',
          ],
          4,
        );
      }
      return warning(
        'names of the tailnet do not resolve on this machine: tka login gives kubectl the address instead',
        'For older contexts, log in again. Or turn MagicDNS on: tailscale set --accept-dns=true, and DNS > MagicDNS in the admin console.',
      );
    },
  },
];
