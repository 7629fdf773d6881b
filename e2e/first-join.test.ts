/**
 * A server's first join, killed before and after each write of its state; and a server that has joined, with a credential that is worth
 * nothing by now. Against a real headscale and a real API server, one stack for the whole file.
 */
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { z } from 'zod';
import { policyOf, serverTag } from '../dev/stack/policy.ts';
import { startStack } from '../dev/stack/stack.ts';
import type { Stack } from '../dev/stack/stack.ts';
import type { TkaOverrides } from '../dev/stack/tka-server.ts';
import { until } from '../dev/stack/until.ts';
import { Gate, kubeconfigThrough } from './replicas/gate.ts';

const secretsManifest = fileURLToPath(new URL('../manifests/cluster/secrets.yaml', import.meta.url));
const keysSchema = z.array(z.object({ id: z.coerce.number() }));

let stack: Stack;

/** A server whose state is in Secrets. */
const run = ({ config, ...others }: TkaOverrides = {}): TkaOverrides => ({
  ...others,
  config: {
    ...config,
    tailscale: { stateDir: undefined, stateSecret: 'tka-0-state', ...(config?.['tailscale'] as object | undefined) },
    api: { serverKeySecret: 'tka-server-key' },
  },
});

test.before(async (t) => {
  t.timeout(180_000);
  stack = await startStack({ users: [], policy: policyOf(), tka: false });
});
test.after.always(() => stack?.close());

const kubectl = async (...args: readonly string[]): Promise<void> => {
  const { code, stderr } = await stack.kubectl(args);
  if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`);
};

/** Headscale's numbers of all nodes that were ever this server. */
const machines = async (): Promise<readonly string[]> =>
  (await stack.headscale.nodes()).filter(({ hostname }) => hostname.startsWith('tka')).map(({ id }) => id);

for (const moment of ['before', 'after'] as const) {
  test.serial(
    `a server that is killed ${moment} any write of its first join becomes one machine by its one auth key, good for one machine`,
    async (t) => {
      t.timeout(240_000);
      await stack.stopTka();
      await using gate = await Gate.open(stack.kubernetes.url, stack.caFile);
      let hasJoinedUnhit = false;
      for (let n = 1; !hasJoinedUnhit; n += 1) {
        const older = await machines();
        await kubectl('delete', 'secret/tka-0-state', '-n', 'tka-system');
        await kubectl('apply', '--server-side', '-f', secretsManifest);
        gate.strike(/^PATCH .*\/secrets\/tka-0-state$/, n, moment, () => stack.killTka('SIGKILL'));
        const authKey = await stack.headscale.authKey({ owner: serverTag, isReusable: false });
        const kubeconfig = await kubeconfigThrough(stack, gate);
        await stack.startTka(
          run({
            authKey,
            untilReady: false,
            kubeconfig,
            config: { clusterInfo: { apiEndpoint: stack.kubernetes.url } },
          }),
        );
        await until(
          async () => !stack.tka.isRunning || (await stack.tka.readyz().catch(() => undefined))?.status === 200,
          {
            what: `write ${n}, or the server to be ready`,
            timeoutMs: 40_000,
          },
        );
        hasJoinedUnhit = stack.tka.isRunning;
        if (hasJoinedUnhit) t.true(n > 3, `${n - 1} writes`);
        await stack.stopTka();
        await stack.startTka(run({ authKey }));
        const made = (await machines()).filter((id) => !older.includes(id));
        t.is(made.length, 1, `${moment} write ${n}: machines ${made.join(', ')}`);
        await stack.stopTka();
      }
      await stack.startTka(run());
    },
  );
}

/** A joined server must start whatever became of what it joined by. */
const useless: readonly (readonly [string, () => Promise<TkaOverrides> | TkaOverrides])[] = [
  ['was deleted at the control server', deletedKey],
  ['is malformed', () => ({ authKey: 'not-a-key' })],
  ['is the secret of an OAuth client', () => ({ env: { TS_AUTHKEY: 'tskey-client-1' } })],
  [
    'is in a file that does not exist',
    () => ({ config: { tailscale: { authKeyFile: '/nonexistent/key' } }, env: { TS_AUTHKEY: '' } }),
  ],
  [
    'is made by an API that does not answer',
    () => ({
      env: { TS_AUTHKEY: '', TS_CLIENT_SECRET: 'tskey-client-1?baseURL=http://127.0.0.1:1', TS_TAGS: 'tag:tka' },
    }),
  ],
];
for (const [title, overrides] of useless) {
  test.serial(`a server that has joined starts though its auth key ${title}`, async (t) => {
    const before = await machines();
    await stack.stopTka();
    await stack.startTka(run(await overrides()));
    t.deepEqual(await machines(), before);
  });
}

async function deletedKey(): Promise<TkaOverrides> {
  const authKey = await stack.headscale.authKey({ owner: serverTag });
  const keys = keysSchema.parse(JSON.parse(await stack.headscale.cli(['preauthkeys', 'list', '-o', 'json'])));
  await stack.headscale.cli(['preauthkeys', 'delete', '--id', String(Math.max(...keys.map(({ id }) => id)))]);
  return { authKey };
}
