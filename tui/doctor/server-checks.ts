/** The server: which one it is, whether it is the trusted machine, and whether it answers and fits. */
import { describeNode } from '../trust/trust.ts';
import { formatRemaining, printable } from '../terminal/output.ts';
import { type Check, failed, ifKnown, ok, skipped, warning } from './check.ts';

export const serverChecks: readonly Check[] = [
  {
    name: 'configuration',
    async run({ settings }) {
      const { path } = await settings();
      return ok(path === undefined ? 'none; using defaults' : path);
    },
  },
  {
    name: 'server',
    async run({ server }) {
      const { server: origin, proxy } = await server();
      return ok(`${origin}${proxy === undefined ? '' : `, through the proxy ${proxy}`}`);
    },
  },
  {
    name: 'trust',
    async run({ server, tailnet }) {
      const reached = await ifKnown(server());
      if (reached === undefined) return skipped('no server to check');
      const { server: origin, trust, peer } = reached;
      const node = peer === undefined ? 'no machine of this tailnet' : describeNode(peer);
      if (trust === 'pinned') return ok(`trusted: ${node}`);
      if (trust === 'new') return ok(`not trusted yet (${node}): the first login asks, or takes --server`);
      if (trust === 'unverifiable') {
        if ((await ifKnown(tailnet())) === undefined) return skipped('unknown: tailscaled not reachable');
        return warning(
          `the local tailscaled does not know which machine ${origin} is, so its identity cannot be checked`,
          'With a local tailscaled that knows it as a peer, it is pinned at the first login.',
        );
      }
      return failed(
        `${origin} has changed its identity: it is now ${node}`,
        [`If its operator replaced it: tka clusters forget ${origin}`],
        3,
      );
    },
  },
  {
    name: 'reachable',
    async run({ server, answer }) {
      if ((await ifKnown(server())) === undefined) return skipped('no server to reach');
      const { cluster, tookMs } = await answer();
      const reached = await server();
      const other = reached.standIn();
      if (other !== undefined) {
        return warning(
          `${reached.server} does not answer; ${other}, a replica of it, does within ${tookMs} ms`,
          'kubectl goes through the one that was there at the last login. If it does not get through: tka login',
        );
      }
      return ok(`it answers within ${tookMs} ms, for the cluster ${printable(cluster, 63)}`);
    },
  },
  {
    name: 'version',
    async run({ answer }) {
      const known = await ifKnown(answer());
      if (known === undefined) return skipped('the server did not answer');
      // Set by the build; a checkout that runs as it is has none.
      return compareVersions(process.env.TKA_VERSION ?? 'dev', printable(known.version, 80), known.api);
    },
  },
  {
    name: 'clock',
    async run({ answer }) {
      const known = await ifKnown(answer());
      if (known === undefined) return skipped('the server did not answer');
      if (known.skewMs === undefined) return skipped('the server reports no time');
      return judgeClock(known.skewMs);
    },
  },
];

/** `api`: what the server speaks; one that says nothing speaks what all did before it could say. */
export function compareVersions(own: string, server: string, api: readonly string[] = [spoken]): ReturnType<typeof ok> {
  if (!api.includes(spoken)) {
    return failed(`the server (${server}) no longer speaks ${spoken}, which this command (${own}) speaks`, [
      'Update the command.',
    ]);
  }
  const [ownAge, serverAge] = [own, server].map(compatibility);
  if (ownAge === undefined || serverAge === undefined || ownAge === serverAge)
    return ok(`command ${own}, server ${server}`);
  const older = ownAge < serverAge ? 'command' : 'server';
  return warning(`command ${own}, server ${server}: they may be incompatible`, `Update the ${older}.`);
}

/** The `Date` header has whole seconds, so that two of them are nothing. */
export function judgeClock(skewMs: number): ReturnType<typeof ok> {
  const seconds = Math.abs(skewMs) / 1000;
  if (seconds <= 5) return ok('this machine and the server agree on the time');
  const finding = `the clock of this machine is ${formatRemaining(Math.abs(skewMs))} ${skewMs > 0 ? 'behind' : 'ahead of'} the server's`;
  const remedy = 'Enable network time: timedatectl set-ntp true (Linux), System Settings (macOS).';
  return seconds > 60 ? failed(finding, [remedy]) : warning(finding, remedy);
}

const spoken = 'v1alpha1';

/** The part of a version that must be the same, as a number: 1.x is 1000, 0.3 is 3. */
function compatibility(version: string): number | undefined {
  const match = /^v?(\d{1,3})\.(\d{1,3})\./.exec(version);
  if (match === null) return undefined;
  const [major, minor] = [Number(match[1]), Number(match[2])];
  return major === 0 ? minor : major * 1000;
}
