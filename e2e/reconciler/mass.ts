/**
 * Hundreds of sessions that end at once: counted in requests to the API server and in turns, not in seconds, which are the machine's.
 */
import test from 'ava';
import { until } from '../../dev/stack/until.ts';
import { group, plural, version } from '../../crd/tkasignin.ts';
import { eachAtMost } from '../../reconciler/queue/turns.ts';
import { login, namespace, type Running, signIn, type World } from './world.ts';

const many = 150;

export function massCases(world: () => World): void {
  test.serial(
    'many sessions deleted at once cost six requests each and no sweeps, and a login goes first',
    async (t) => {
      t.timeout(120_000);
      await using running = await world().run();
      await manySessions(running);
      running.requests.take();
      const collection = `/apis/${group}/${version}/namespaces/${namespace}/${plural}`;
      // One request, however long it takes; kubectl delete --all is one for each.
      const { code, stderr } = await world().stack.kubectl(['delete', '--raw', collection]);
      t.is(code, 0, stderr);
      await until(() => running.reconciler.state.queueDepth > many / 2 || endedOf(running) > 0, {
        what: 'the removals',
        timeoutMs: 20_000,
        everyMs: 1,
      });
      const before = endedOf(running);
      const late = await signIn(running, login('late'));
      t.true(endedOf(running) - before < many / 3, `${endedOf(running) - before} sessions ended before the login did`);
      await until(() => endedOf(running) === many, { what: 'the ends', timeoutMs: 60_000 });
      const requests = running.requests.take();
      const count = (request: string): number => requests.filter((made) => made.startsWith(request)).length;
      // The watch may be behind for one or the other, which then takes another look.
      t.true(count('patch tkasignins 2') <= many + 1);
      for (const kind of ['serviceaccounts', 'clusterrolebindings']) {
        t.true(count(`get ${kind} `) <= many * 1.1, `get ${kind}: ${count(`get ${kind} `)}`);
        t.true(count(`delete ${kind} `) <= many * 1.1, `delete ${kind}: ${count(`delete ${kind} `)}`);
      }
      t.true(count('create events') <= many);
      t.true(count('list rolebindings') <= 2, `${count('list rolebindings')} sweeps`);
      t.true(running.told.filter((told) => told === 'retried').length <= many / 50, 'hardly anything is tried again');
      await running.reconciler.end(late.metadata.name, 'logout', AbortSignal.timeout(20_000));
      await world().empty();
    },
  );

  test.serial('many sessions that are over when tka starts end with the same requests each', async (t) => {
    t.timeout(120_000);
    {
      await using running = await world().run();
      await manySessions(running);
    }
    await using running = await world().run({ aheadMs: 7_200_000 });
    await until(() => endedOf(running) === many, { what: 'the ends', timeoutMs: 60_000 });
    const requests = running.requests.take();
    const count = (request: string): number => requests.filter((made) => made.startsWith(request)).length;
    t.true(count('delete tkasignins ') <= many * 1.1);
    for (const kind of ['serviceaccounts', 'clusterrolebindings']) t.true(count(`delete ${kind} `) <= many * 1.1);
    t.true(count('list rolebindings') <= 3, `${count('list rolebindings')} sweeps`);
    t.true(running.told.filter((told) => told === 'retried').length <= many / 50);
    t.is(count('create events'), 0, 'an end by time is no news');
    await world().empty();
  });
}

async function manySessions(running: Running): Promise<void> {
  await eachAtMost(16, Array.from({ length: many }).keys(), async (i) => {
    await running.reconciler.signIn(login(`mass-${i}`), AbortSignal.timeout(30_000));
  });
  const isMade = (): boolean => running.reconciler.list().every(({ status }) => status !== undefined);
  await until(isMade, { what: 'the sessions', timeoutMs: 60_000 });
}

function endedOf({ told }: Running): number {
  return told.filter((what) => what === 'ended: deleted' || what === 'ended: expired').length;
}
