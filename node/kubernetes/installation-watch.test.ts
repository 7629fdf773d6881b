import test from 'ava';
import type { ExecutionContext } from 'ava';
import { manualClock } from '../../reconciler/testing/manual-clock.ts';
import { watchInstallation } from './installation-watch.ts';

function setup(t: ExecutionContext) {
  const clock = manualClock();
  const world = { found: [] as string[], isAway: false, looks: 0, log: [] as string[] };
  const line = (fields: object, message: string): void => void world.log.push(`${message} ${JSON.stringify(fields)}`);
  const watch = watchInstallation({
    check() {
      world.looks += 1;
      return world.isAway ? Promise.reject(new Error('cannot reach the API server')) : Promise.resolve(world.found);
    },
    log: { info: line, error: line, debug: () => {} },
    clock,
  });
  t.teardown(() => watch.stop());
  return { world, watch, clock };
}

test('a complete installation is checked every 30 s, and nothing is logged', async (t) => {
  const { world, watch, clock } = setup(t);
  await clock.advance(90_000);
  t.is(world.looks, 3);
  t.deepEqual([watch.problems(), world.log], [[], []]);
});

test('a problem that two looks find counts within 60 s, is logged once, and heals with a line', async (t) => {
  const { world, watch, clock } = setup(t);
  world.found = ['the admission policy tka-signins is not installed'];
  await clock.advance(30_000);
  t.deepEqual(watch.problems(), []);
  await clock.advance(5000);
  t.deepEqual(watch.problems(), world.found);
  await clock.advance(60_000);
  t.is(world.log.length, 1);
  t.regex(world.log.join(), /the installation is damaged: new logins are refused .*tka-signins/);
  world.found = [];
  await clock.advance(5000);
  t.deepEqual(watch.problems(), []);
  t.regex(world.log.at(-1) ?? '', /complete again/);
});

test('what one look finds and the next does not is no problem', async (t) => {
  const { world, watch, clock } = setup(t);
  for (let i = 0; i < 5; i += 1) {
    world.found = [`tka may not list ${i}`];
    await clock.advance(30_000);
    world.found = [];
    await clock.advance(5000);
    t.deepEqual(watch.problems(), []);
  }
  t.deepEqual(world.log, []);
});

test('an API server that is away neither makes nor clears a problem', async (t) => {
  const { world, watch, clock } = setup(t);
  world.isAway = true;
  await clock.advance(60_000);
  t.deepEqual(watch.problems(), []);
  world.isAway = false;
  world.found = ['the binding of the admission policy tka-bindings is not installed'];
  await clock.advance(40_000);
  world.isAway = true;
  await clock.advance(60_000);
  t.deepEqual(watch.problems(), world.found);
});
