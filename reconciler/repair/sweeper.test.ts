import test from 'ava';
import { pino } from 'pino';
import { createApply } from '../reconcile/apply.ts';
import { SigninCache } from '../informer/cache.ts';
import { sleep } from '../clock.ts';
import type { Clients } from '../cluster.ts';
import { createSignins } from '../kubernetes/tkasignin-client.ts';
import { startSweeper } from './sweeper.ts';
import { manualClock } from '../testing/manual-clock.ts';

/** A sweeper over an empty cluster whose lists take `listMs`; `sweeps` are the times of their beginnings. */
function start(listMs: number) {
  const clock = manualClock(0);
  const sweeps: number[] = [];
  const warnings: string[] = [];
  const world = { isAway: false };
  const never = new AbortController().signal;
  const list = async () => {
    await sleep(clock, listMs, never);
    if (world.isAway) throw new Error('the API server is away');
    return { items: [] };
  };
  // Of the clients, a sweep of an empty cluster uses these three alone.
  const cluster = {
    core: {
      listNamespacedServiceAccount: () => {
        sweeps.push(clock.now());
        return list();
      },
    },
    rbac: { listClusterRoleBinding: list, listRoleBindingForAllNamespaces: list },
  } as unknown as Clients;
  const sweeper = startSweeper({
    cluster,
    namespace: 'tka-sessions',
    cache: new SigninCache(),
    signins: createSignins(cluster, 'tka-sessions'),
    apply: createApply(cluster),
    clock,
    log: pino({ base: null }, { write: (line: string) => void warnings.push(line) }),
    observer: {
      sessionEnded: () => {},
      orphanRemoved: () => {},
      cleanupStuck: () => {},
      foreignBindings: () => {},
      tokenMinted: () => {},
      retried: () => {},
    },
    onDamage: () => {},
  });
  return { clock, sweeper, sweeps, warnings, world };
}

async function ringing({ clock, sweeper }: ReturnType<typeof start>, seconds: number): Promise<void> {
  for (let i = 0; i < seconds * 10; i += 1) {
    sweeper.soon();
    await clock.advance(100);
  }
}

test('quick sweeps that are asked for all the time come once a second', async (t) => {
  const started = start(1);
  await ringing(started, 10);
  t.true(started.sweeps.length >= 9 && started.sweeps.length <= 11, started.sweeps.join());
});

test('sweeps that take 2 s come after pauses of 20 s, however often they are asked for', async (t) => {
  const started = start(2000);
  await ringing(started, 60);
  t.deepEqual(
    started.sweeps.map((at) => Math.round(at / 1000)),
    [0, 22, 44],
  );
});

test('a sweep that takes longer than the period between sweeps is followed by a pause of that period', async (t) => {
  const started = start(40_000);
  await ringing(started, 80);
  t.deepEqual(
    started.sweeps.map((at) => Math.round(at / 1000)),
    [0, 70],
  );
});

test('the first sweep waits until it is asked for; from then on one comes every 30 s unasked', async (t) => {
  const { clock, sweeper, sweeps } = start(0);
  await clock.advance(100_000);
  t.deepEqual(sweeps, []);
  sweeper.soon();
  await clock.advance(65_000);
  t.deepEqual(sweeps, [100_000, 130_000, 160_000]);
});

test('a sweep that fails is a warning and comes again after 5 s; none comes after the stop', async (t) => {
  const { clock, sweeper, sweeps, warnings, world } = start(0);
  world.isAway = true;
  sweeper.soon();
  await clock.advance(11_000);
  t.deepEqual(sweeps, [0, 5000, 10_000]);
  t.is(warnings.length, 3);
  t.regex(warnings.join(), /the API server is away.*trying again/);
  world.isAway = false;
  await clock.advance(5000);
  await sweeper.stop();
  sweeper.soon();
  await clock.advance(100_000);
  t.deepEqual(sweeps, [0, 5000, 10_000, 15_000]);
  t.is(clock.timers, 0);
});
