import test from 'ava';
import type { Clients } from '../cluster.ts';
import { createRoles } from './roles.ts';
import { manualClock } from '../testing/manual-clock.ts';

test('a role is cached for 10 s, and not longer where the clock was set back', async (t) => {
  const clock = manualClock();
  let reads = 0;
  const readClusterRole = () => {
    reads += 1;
    return Promise.resolve({ rules: [] });
  };
  // Of the clients, this is all that a role is read with.
  const roles = createRoles({ rbac: { readClusterRole } } as unknown as Clients, clock);
  const read = async (): Promise<number> => {
    await roles.rulesOf('view', AbortSignal.timeout(5000));
    return reads;
  };
  t.is(await read(), 1);
  await clock.advance(9000);
  t.is(await read(), 1);
  clock.jump(-300_000);
  t.is(await read(), 2);
  await clock.advance(10_000);
  t.is(await read(), 3);
});
