import test from 'ava';
import { isProcessStopped, untilSilent } from './heartbeat.ts';

const TIMINGS = { intervalMs: 1, suspectAfterMs: 5, deadAfterMs: 50 };
const never = (): Promise<never> => new Promise(() => {});

test('goes on while pings are answered', async (t) => {
  let pings = 0;
  const enough = new AbortController();
  const beating = untilSilent(
    { ...TIMINGS, isStopped: () => Promise.resolve(true), ping: async () => ++pings === 5 && enough.abort() },
    enough.signal,
  );
  await t.throwsAsync(beating, { name: 'AbortError' });
  t.is(pings, 5);
});

test('an engine that never answers is silent', async (t) => {
  const started = performance.now();
  const reason = await untilSilent(
    { ...TIMINGS, isStopped: () => Promise.resolve(false), ping: never },
    new AbortController().signal,
  );
  t.is(reason, 'the engine has been silent for 50 ms');
  t.true(performance.now() - started >= 49);
});

test('a stopped process is found out before that', async (t) => {
  const reason = await untilSilent(
    { ...TIMINGS, deadAfterMs: 60_000, isStopped: () => Promise.resolve(true), ping: never },
    new AbortController().signal,
  );
  t.is(reason, 'the engine is stopped');
});

test('an answer that waits behind a blocked event loop counts', async (t) => {
  const enough = new AbortController();
  const answered = Promise.withResolvers<void>();
  let pings = 0;
  const beating = untilSilent(
    {
      ...TIMINGS,
      ping: () => {
        if (++pings === 2) enough.abort();
        return answered.promise;
      },
      isStopped: () => {
        // Blocks past the deadline; the answer is there by the time that the loop looks at its sockets again.
        setImmediate(() => {
          setImmediate(() => answered.resolve());
          const until = performance.now() + TIMINGS.deadAfterMs + 10;
          while (performance.now() < until);
        });
        return Promise.resolve(false);
      },
    },
    enough.signal,
  );
  await t.throwsAsync(beating, { name: 'AbortError' });
});

test('this process runs, and one that does not exist is not stopped', async (t) => {
  t.false(await isProcessStopped(process.pid));
  t.false(await isProcessStopped(2 ** 30));
});
