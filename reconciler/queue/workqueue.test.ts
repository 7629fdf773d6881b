import test from 'ava';
import { manualClock, settled } from '../testing/manual-clock.ts';
import { WorkQueue, type WorkQueueOptions } from './workqueue.ts';

function start(process: WorkQueueOptions['process'], options: Partial<WorkQueueOptions> = {}) {
  const clock = manualClock();
  const queue = new WorkQueue({ process, concurrency: 1, clock, random: () => 1, ...options });
  return { clock, queue };
}

/** A process whose every call ends when the test says so. */
function gated() {
  const running: { readonly key: string; readonly end: (error?: Error) => void }[] = [];
  const started: string[] = [];
  const process = async (key: string): Promise<undefined> => {
    started.push(key);
    await new Promise<void>((resolve, reject) => {
      running.push({ key, end: (error) => (error === undefined ? resolve() : reject(error)) });
    });
  };
  return { process, started, end: (error?: Error) => running.shift()?.end(error) };
}

test('keys are processed in the order they came', async (t) => {
  const { process, started, end } = gated();
  const { queue } = start(process);
  for (const key of ['a', 'b', 'c']) queue.add(key);
  for (let i = 0; i < 3; i += 1) {
    await settled();
    end();
  }
  await settled();
  t.deepEqual(started, ['a', 'b', 'c']);
});

test('a key that waits is not queued twice', async (t) => {
  const { process, started, end } = gated();
  const { queue } = start(process);
  for (const key of ['a', 'b', 'b', 'b']) queue.add(key);
  t.is(queue.depth, 2);
  for (let i = 0; i < 4; i += 1) {
    await settled();
    end();
  }
  t.deepEqual(started, ['a', 'b']);
});

test('adds while a key is processed make it run once more afterwards, never twice at once', async (t) => {
  const { process, started, end } = gated();
  const { queue } = start(process, { concurrency: 8 });
  queue.add('a');
  await settled();
  queue.add('a');
  queue.add('a');
  await settled();
  t.deepEqual(started, ['a']);
  end();
  await settled();
  t.deepEqual(started, ['a', 'a']);
  end();
  await settled();
  t.deepEqual(started, ['a', 'a']);
  t.is(queue.depth, 0);
});

test('no more than the allowed number run at once, and a busy key does not hold up others', async (t) => {
  const { process, started } = gated();
  const { queue } = start(process, { concurrency: 2 });
  for (const key of ['a', 'b', 'c']) queue.add(key);
  await settled();
  t.deepEqual(started, ['a', 'b']);
});

test('a failing key comes back with a growing delay of its own, which success forgets', async (t) => {
  let fail = true;
  const delays: number[] = [];
  const { clock, queue } = start(() => (fail ? Promise.reject(new Error('no')) : Promise.resolve(undefined)), {
    onRetry: (_key, _error, _attempt, delayMs) => delays.push(delayMs),
    baseDelayMs: 100,
    maxDelayMs: 500,
  });
  queue.add('a');
  await clock.advance(1500);
  t.deepEqual(delays, [100, 200, 400, 500, 500]);
  fail = false;
  await clock.advance(1000);
  fail = true;
  queue.add('a');
  await clock.advance(0);
  t.is(delays.at(-1), 100);
});

test('a key that fails twice at once waits the second delay, not the rest of the first', async (t) => {
  const { process, started, end } = gated();
  const { clock, queue } = start(process, { baseDelayMs: 100 });
  queue.add('a');
  await settled();
  queue.add('a');
  end(new Error('no'));
  await settled();
  end(new Error('no again'));
  await clock.advance(199);
  t.is(started.length, 2);
  await clock.advance(1);
  t.is(started.length, 3);
});

test('half of a delay is chance', async (t) => {
  const delays: number[] = [];
  const { clock, queue } = start(() => Promise.reject(new Error('no')), {
    random: () => 0,
    baseDelayMs: 100,
    onRetry: (_key, _error, _attempt, delayMs) => delays.push(delayMs),
  });
  queue.add('a');
  await clock.advance(0);
  t.deepEqual(delays, [50]);
});

test('of several delays the soonest counts, and a direct add overtakes it', async (t) => {
  const runs: number[] = [];
  const { clock, queue } = start(() => {
    runs.push(clock.now());
    return Promise.resolve(undefined);
  });
  const startedAt = clock.now();
  queue.addAfter('a', 500);
  queue.addAfter('a', 100);
  queue.addAfter('a', 900);
  await clock.advance(1000);
  t.deepEqual(runs, [startedAt + 100]);
  queue.addAfter('a', 500);
  queue.add('a');
  await clock.advance(1000);
  t.is(runs.length, 2);
});

test('the number that process returns is the delay until the next run', async (t) => {
  let runs = 0;
  const { clock, queue } = start(() => {
    runs += 1;
    return Promise.resolve(runs === 1 ? 250 : undefined);
  });
  queue.add('a');
  await clock.advance(249);
  t.is(runs, 1);
  await clock.advance(1);
  t.is(runs, 2);
  t.is(clock.timers, 0);
});

test('stop waits for runs under way, and starts none after', async (t) => {
  const { process, started, end } = gated();
  const { clock, queue } = start(process);
  queue.add('a');
  queue.add('b');
  queue.addAfter('c', 10);
  await settled();
  let stopped = false;
  const stopping = queue.stop().then(() => {
    stopped = true;
  });
  await settled();
  t.false(stopped);
  end(new Error('failed while stopping'));
  await stopping;
  queue.add('d');
  await clock.advance(100_000);
  t.deepEqual(started, ['a']);
});

test('processed resolves after a run that began later than the question, even one that fails', async (t) => {
  const { process, end } = gated();
  const { queue } = start(process);
  queue.add('a');
  await settled();
  let answered = false;
  const asked = queue.processed('a').then(() => {
    answered = true;
  });
  end();
  await settled();
  t.false(answered, 'that run had begun before');
  end(new Error('no'));
  await asked;
  t.true(answered);
});

test('processed resolves when the queue is stopped', async (t) => {
  const { process, end } = gated();
  const { queue } = start(process);
  queue.add('busy');
  const asked = queue.processed('a');
  await settled();
  const stopping = queue.stop();
  end();
  await Promise.all([stopping, asked]);
  t.pass();
});

test('an urgent key is processed before those that wait, and becomes urgent while it waits', async (t) => {
  const { process, started, end } = gated();
  const { queue } = start(process);
  for (const key of ['a', 'b', 'c', 'd']) queue.add(key);
  await settled();
  queue.add('login', 'urgent');
  queue.add('d', 'urgent');
  queue.add('login');
  for (let i = 0; i < 5; i += 1) {
    end();
    await settled();
  }
  t.deepEqual(started, ['a', 'login', 'd', 'b', 'c']);
});

test('background keys leave room: an urgent one starts at once beside them', async (t) => {
  const { process, started } = gated();
  const { queue } = start(process, { concurrency: 4, backgroundConcurrency: () => 2 });
  for (const key of ['a', 'b', 'c', 'd']) queue.add(key);
  await settled();
  t.deepEqual(started, ['a', 'b']);
  queue.add('login', 'urgent');
  await settled();
  t.deepEqual(started, ['a', 'b', 'login']);
});

test('a key added as urgent while it is processed, and the retry of one, are urgent', async (t) => {
  const { process, started, end } = gated();
  const { queue, clock } = start(process, { baseDelayMs: 10 });
  queue.add('login', 'urgent');
  await settled();
  queue.add('login', 'urgent');
  for (const key of ['a', 'b']) queue.add(key);
  end(new Error('conflict'));
  await settled();
  t.deepEqual(started, ['login', 'login']);
  end(new Error('conflict'));
  await settled();
  t.deepEqual(started, ['login', 'login', 'a']);
  await clock.advance(20);
  end();
  await settled();
  t.deepEqual(started, ['login', 'login', 'a', 'login']);
});

test('keys that need no I/O leave the event loop its turns', async (t) => {
  let processed = 0;
  const { queue } = start(() => ((processed += 1), Promise.resolve(undefined)), { concurrency: 8, burst: 50 });
  for (let i = 0; i < 1000; i += 1) queue.add(String(i));
  const atTurns: number[] = [];
  for (; (atTurns.at(-1) ?? 0) < 1000; atTurns.push(processed)) await settled();
  const steps = atTurns.map((count, i) => count - (atTurns[i - 1] ?? 0));
  t.true(Math.max(...steps) <= 100, `at most two bursts between two turns, not ${Math.max(...steps)}`);
});

test('while there is less room for background keys, those that end are not replaced', async (t) => {
  const { process, started, end } = gated();
  let room = 3;
  const { queue } = start(process, { concurrency: 8, backgroundConcurrency: () => room });
  for (const key of ['a', 'b', 'c', 'd', 'e']) queue.add(key);
  await settled();
  t.deepEqual(started, ['a', 'b', 'c']);
  room = 1;
  for (let i = 0; i < 2; i += 1) {
    end();
    await settled();
  }
  t.deepEqual(started, ['a', 'b', 'c']);
  end();
  await settled();
  t.deepEqual(started, ['a', 'b', 'c', 'd']);
});

for (const [title, delays] of [
  ['a later delay that is urgent', [[10], [500, 'urgent']]],
  ['a sooner delay that is not, after one that is', [[500, 'urgent'], [10]]],
] as const) {
  test(`${title} leaves the key urgent at the sooner time`, async (t) => {
    const { process, started, end } = gated();
    const { queue, clock } = start(process);
    for (const [ms, priority] of delays) queue.addAfter('login', ms, priority);
    for (const key of ['a', 'b']) queue.add(key);
    await clock.advance(10);
    end();
    await settled();
    t.deepEqual(started, ['a', 'login']);
  });
}

test('a queue that was stopped answers at once and starts no timer', async (t) => {
  const { process } = gated();
  const { queue, clock } = start(process);
  await queue.stop();
  queue.addAfter('a', 10);
  await queue.processed('a');
  t.deepEqual([clock.timers, queue.depth], [0, 0]);
});
