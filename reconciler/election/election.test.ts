/** The real state machine of each replica over one Lease in memory, in a time that moves when the test says so. */
import test, { type ExecutionContext } from 'ava';
import { pino } from 'pino';
import { createElapsedClock } from '../clock.ts';
import { Election, type ElectionOptions } from './election.ts';
import { NotLeadingError } from '../errors.ts';
import { type ManualClock, manualClock, settled } from '../testing/manual-clock.ts';
import { memoryLease, type ReplicaView } from '../testing/memory-lease.ts';

interface Running {
  readonly election: Election;
  readonly view: ReplicaView;
  /** Its own; all start alike. */
  readonly clock: ManualClock;
  /** `leads` and `lost`, as its user hears it. */
  readonly heard: string[];
}

function world(t: ExecutionContext) {
  const lease = memoryLease();
  const all: Running[] = [];
  const run = async (identity: string, options: Partial<ElectionOptions> = {}): Promise<Running> => {
    const clock = manualClock(0);
    await clock.advance(all[0]?.clock.now() ?? 0);
    const view = lease.from(identity);
    const heard: string[] = [];
    const election = new Election({
      store: view,
      identity,
      clock,
      random: () => 1,
      log: pino({ level: 'silent' }),
      onLead(term) {
        heard.push('leads');
        term.addEventListener('abort', () => heard.push('lost'));
      },
      ...options,
    });
    const running = { election, view, clock, heard };
    all.push(running);
    t.teardown(async () => {
      const stopped = election.stop();
      view.trouble = 'away';
      await clock.advance(60_000);
      await stopped;
    });
    election.start();
    await settled();
    return running;
  };
  /** All clocks together, in steps, and never two leaders. */
  const pass = async (ms: number, running: readonly Running[] = all): Promise<void> => {
    for (let left = ms; left > 0; left -= 100) {
      for (const { clock } of running) await clock.advance(Math.min(100, left));
      await settled();
      t.true(running.filter(({ election }) => election.term !== undefined).length <= 1, 'two lead');
    }
  };
  return { lease, run, pass };
}

test('the first leads at once, the next waits as long as it renews', async (t) => {
  const { lease, run, pass } = world(t);
  const a = await run('a');
  t.deepEqual(a.heard, ['leads']);
  t.like(lease.now, { holder: 'a', durationMs: 15_000, transitions: 1 });
  const b = await run('b');
  await pass(120_000);
  t.deepEqual([a.heard, b.heard], [['leads'], []]);
  t.throws(() => b.election.check(), { instanceOf: NotLeadingError });
  t.notThrows(() => a.election.check());
});

test('a leader alone writes twice in ten seconds', async (t) => {
  const { lease, run, pass } = world(t);
  await run('a');
  await pass(60_000);
  t.is(lease.writes.length, 13);
});

test('of two that start at once one leads', async (t) => {
  const { lease, run, pass } = world(t);
  const [a, b] = await Promise.all([run('a'), run('b')]);
  await pass(30_000);
  t.is(a.heard.length + b.heard.length, 1);
  t.is(lease.now?.transitions, 1);
});

test('after a leader that vanished another leads within the lease and one try', async (t) => {
  const { lease, run, pass } = world(t);
  const a = await run('a');
  const b = await run('b');
  await pass(9000);
  a.view.trouble = 'away';
  const gone = b.clock.now();
  // The leader of before is dead: its own clock does not matter.
  while (b.election.term === undefined && b.clock.now() < gone + 60_000) await pass(100, [b]);
  t.true(b.clock.now() - gone <= 17_100, `${b.clock.now() - gone}`);
  t.like(lease.now, { holder: 'b', transitions: 2 });
});

test('a leader that cannot renew steps down before another can lead', async (t) => {
  const { run, pass } = world(t);
  const a = await run('a');
  const b = await run('b');
  await pass(4000);
  a.view.trouble = 'away';
  await pass(5900);
  t.deepEqual(a.heard, ['leads']);
  await pass(200);
  t.deepEqual([a.heard, b.heard], [['leads', 'lost'], []]);
  await pass(7000);
  t.deepEqual(b.heard, ['leads']);
});

test('a write without an answer does not extend the term: the leader steps down', async (t) => {
  const { lease, run, pass } = world(t);
  const a = await run('a');
  await pass(4000);
  a.view.trouble = 'deaf';
  await pass(6100);
  t.deepEqual(a.heard, ['leads', 'lost']);
  t.is(lease.now?.holder, 'a');
  a.view.trouble = 'none';
  await pass(5000);
  t.deepEqual(a.heard, ['leads', 'lost', 'leads']);
  t.is(lease.now?.transitions, 1, 'no other replica held it meanwhile');
});

test('an API server that is away for a moment is no reason to step down', async (t) => {
  const { run, pass } = world(t);
  const a = await run('a');
  a.view.trouble = 'away';
  await pass(7500);
  a.view.trouble = 'none';
  await pass(30_000);
  t.deepEqual(a.heard, ['leads']);
});

test('a suspended leader does not lead when it resumes, before any of its timers has run', async (t) => {
  let slept = 0;
  const { run } = world(t);
  const clock = manualClock(0);
  const a = await run('a', { clock: { ...clock, now: () => clock.now() + slept } });
  t.notThrows(() => a.election.check());
  const { term } = a.election;
  slept = 10_000;
  t.throws(() => a.election.check(), { instanceOf: NotLeadingError });
  t.true(term?.aborted);
  t.deepEqual(a.heard, ['leads', 'lost']);
});

test('a renewal that was under way when the leader was stopped does not make it lead again', async (t) => {
  let slept = 0;
  const { lease, run } = world(t);
  const clock = manualClock(0);
  const gate = Promise.withResolvers<void>();
  let isHeld = false;
  const view = lease.from('a');
  const store = {
    ...view,
    replace: async (...args: Parameters<typeof view.replace>) => {
      const answer = await view.replace(...args);
      if (isHeld) await gate.promise;
      return answer;
    },
  };
  const a = await run('a', { store, clock: { ...clock, now: () => clock.now() + slept } });
  isHeld = true;
  await clock.advance(5000);
  slept = 30_000;
  gate.resolve();
  await settled();
  t.is(a.election.term, undefined);
  t.deepEqual(a.heard, ['leads', 'lost']);
});

test('a stop gives the Lease back, and another leads within one try', async (t) => {
  const { lease, run, pass } = world(t);
  const a = await run('a');
  const b = await run('b');
  await pass(5000);
  await a.election.stop();
  t.like(lease.now, { holder: '', durationMs: 1000 });
  t.is(a.election.term, undefined);
  await pass(2000, [b]);
  t.deepEqual(b.heard, ['leads']);
});

test('one that does not lead takes nothing away by stopping', async (t) => {
  const { lease, run, pass } = world(t);
  const a = await run('a');
  const b = await run('b');
  await pass(3000);
  await b.election.stop();
  await pass(60_000, [a]);
  t.deepEqual(a.heard, ['leads']);
  t.false(lease.writes.some((write) => write.startsWith('b')));
});

test('a stop while the API server is away ends, and leaves the Lease to run out', async (t) => {
  const { lease, run, pass } = world(t);
  const a = await run('a');
  a.view.trouble = 'deaf';
  const stopped = a.election.stop();
  await pass(5000, [a]);
  await stopped;
  t.is(lease.now?.holder, '');
  t.deepEqual(a.heard, ['leads', 'lost']);
});

test('the same identity leads at once: its old process is certainly dead', async (t) => {
  const { lease, run } = world(t);
  await run('a');
  const again = await run('a', {});
  t.deepEqual(again.heard, ['leads']);
  t.is(lease.now?.transitions, 1);
});

const edits: readonly [title: string, edit: Parameters<ReturnType<typeof memoryLease>['edit']>[0]][] = [
  ['another holder', { holder: 'another' }],
  ['no holder', { holder: '' }],
  ['another holder for years', { holder: 'another', durationMs: 1e9 }],
  ['more transitions', { transitions: 100 }],
  ['another time', { renewedAt: '2100-01-01T00:00:00.000000Z' }],
];

for (const [title, edit] of edits) {
  test(`a Lease edited by hand (${title}) has one leader again within its longest time, and the leader of before stops at its next look`, async (t) => {
    const { lease, run, pass } = world(t);
    const a = await run('a');
    const b = await run('b');
    await pass(7000);
    const before = a.election.term;
    lease.edit(edit);
    // Two may lead until then, which is why it must not be edited.
    for (let i = 0; i < 51; i += 1) {
      await a.clock.advance(100);
      await settled();
    }
    // Another replica may have led in between.
    if (edit.renewedAt === undefined) t.true(before?.aborted);
    await b.clock.advance(5100);
    await pass(65_000);
    t.is([a, b].filter(({ election }) => election.term !== undefined).length, 1);
  });
}

test('a Lease that was deleted is made again', async (t) => {
  const { lease, run, pass } = world(t);
  const a = await run('a');
  await pass(7000);
  lease.delete();
  await pass(5000);
  t.deepEqual(a.heard, ['leads', 'lost', 'leads']);
  t.like(lease.now, { holder: 'a' });
});

test('annotations beside the record are no renewal', async (t) => {
  const { lease, run, pass } = world(t);
  const a = await run('a');
  const b = await run('b');
  await pass(3000);
  a.view.trouble = 'away';
  for (let i = 0; i < 18; i += 1) {
    await lease.annotate({ x: String(i) }, new AbortController().signal);
    await pass(1000);
  }
  t.deepEqual(b.heard, ['leads']);
});

test('each replica writes its card once, and all of them read it', async (t) => {
  const { lease, run, pass } = world(t);
  let ofB: string | undefined;
  const a = await run('a', { card: () => ({ key: 'a', value: '1' }) });
  const b = await run('b', { card: () => (ofB === undefined ? undefined : { key: 'b', value: ofB }) });
  await pass(3000);
  t.deepEqual(a.election.cards, { a: '1' });
  ofB = '2';
  await pass(10_000);
  t.deepEqual(a.election.cards, { a: '1', b: '2' });
  t.deepEqual(b.election.cards, { a: '1', b: '2' });
  t.deepEqual(a.heard, ['leads'], 'a card of another is no reason to step down');
  await pass(30_000);
  t.deepEqual(
    lease.writes.filter((write) => write.endsWith('annotates')),
    ['a annotates', 'b annotates'],
  );
});

test('a replica that is another node now takes its card of before away, and no other', async (t) => {
  const { lease, run } = world(t);
  const first = await run('a', { card: () => ({ key: 'before', value: 'a' }) });
  await lease.annotate({ other: 'b' }, new AbortController().signal);
  await first.election.stop();
  const again = await run('a', { card: () => ({ key: 'now', value: 'a' }) });
  t.deepEqual(again.election.cards, { other: 'b', now: 'a' });
});

test('elapsed time never runs slower than any clock', (t) => {
  const times = { wall: 1000, steady: 0 };
  const clock = createElapsedClock(
    () => times.wall,
    () => times.steady,
  );
  t.is(clock.now(), 0);
  Object.assign(times, { wall: 1010, steady: 9 });
  t.is(clock.now(), 10);
  // The wall clock is set back by an hour.
  Object.assign(times, { wall: 1010 - 3_600_000, steady: 29 });
  t.is(clock.now(), 30);
  // The machine slept, which the steady clock does not count.
  Object.assign(times, { wall: times.wall + 60_000, steady: 30 });
  t.is(clock.now(), 60_030);
});
