/** Thousands of sessions, and of what sessions left behind: a sweep keeps neither the event loop nor the API server from others. */
import test from 'ava';
import { pino } from 'pino';
import { SigninCache } from '../informer/cache.ts';
import type { Clients } from '../cluster.ts';
import { desired } from '../reconcile/desired.ts';
import type { Signins } from '../kubernetes/tkasignin-client.ts';
import type { TkaSignin } from '../../crd/tkasignin.ts';
import { settled } from '../testing/manual-clock.ts';
import { testSignin } from '../testing/signin.ts';
import { sweep, type SweepDeps } from './sweep.ts';

const many = (count: number): readonly TkaSignin[] =>
  Array.from({ length: count }, (_, i) =>
    testSignin({ metadata: { name: `alice-${String(i).padStart(10, '0')}`, uid: `uid-${i}` } }),
  );

/** A cluster with these sessions' accounts and nothing else of them. */
function setup(accounts: readonly TkaSignin[], more: Partial<SweepDeps>): SweepDeps {
  const list = (items: readonly object[]) => () => Promise.resolve({ items });
  return {
    // Of the clients, a sweep that removes nothing uses these alone.
    cluster: {
      core: { listNamespacedServiceAccount: list(accounts.map((signin) => desired(signin).account)) },
      rbac: { listClusterRoleBinding: list([]), listRoleBindingForAllNamespaces: list([]) },
    } as unknown as Clients,
    namespace: 'tka-sessions',
    cache: new SigninCache(),
    signins: {} as Signins,
    apply: {} as SweepDeps['apply'],
    log: pino({ level: 'silent' }),
    onOrphan: () => {},
    onDamage: () => {},
    ...more,
  };
}

const { signal } = new AbortController();

test('of hundreds that look like leavings, eight are asked for at once', async (t) => {
  const signins = many(200);
  const asked = { now: 0, most: 0, total: 0 };
  const read = async (name: string): Promise<TkaSignin> => {
    asked.total += 1;
    asked.now += 1;
    asked.most = Math.max(asked.most, asked.now);
    await settled();
    asked.now -= 1;
    const found = signins.find(({ metadata }) => metadata.name === name);
    if (found === undefined) throw new Error(name);
    return found;
  };
  t.deepEqual(await sweep(setup(signins, { signins: { read } as unknown as Signins }), signal), []);
  t.deepEqual([asked.total, asked.most], [200, 8]);
});

test('of a thousand sessions, a hundred are compared in one turn of the event loop', async (t) => {
  const cache = new SigninCache();
  const seen = { damaged: 0, most: 0 };
  cache.replace(many(1000), '1000');
  const sweeping = sweep(setup([], { cache, onDamage: () => void (seen.damaged += 1) }), signal);
  while (seen.damaged < 1000) {
    const before = seen.damaged;
    await settled();
    seen.most = Math.max(seen.most, seen.damaged - before);
  }
  await sweeping;
  t.is(seen.most, 100);
});
