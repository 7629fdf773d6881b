import test from 'ava';
import { pino } from 'pino';
import { manualClock } from '../../reconciler/testing/manual-clock.ts';
import { mergingRepeats } from './log-repeats.ts';

function start() {
  const clock = manualClock();
  const lines: unknown[] = [];
  const later = (callback: () => void, ms: number): void => void clock.schedule(callback, ms);
  const log = pino(
    { base: null, timestamp: false, redact: ['token'], hooks: { logMethod: mergingRepeats(later) } },
    { write: (line: string) => void lines.push(JSON.parse(line)) },
  );
  return { clock, log, lines };
}

for (const [name, level] of [
  ['warn', 40],
  ['error', 50],
] as const) {
  test(`of 1,000 lines of ${name} with the same words within a second, the first is logged and one with their number`, async (t) => {
    const { clock, log, lines } = start();
    for (let i = 0; i < 1000; i += 1) log[name]({ session: `s-${i}`, token: 'S' }, 'a pass failed');
    t.is(lines.length, 1);
    await clock.advance(1000);
    t.deepEqual(lines, [
      { level, session: 's-0', token: '[Redacted]', msg: 'a pass failed' },
      { level, session: 's-999', token: '[Redacted]', repeated: 999, msg: 'a pass failed' },
    ]);
  });
}

test('refusals in the audit, and lines with a request ID, are logged each', async (t) => {
  const { clock, log, lines } = start();
  for (let i = 0; i < 100; i += 1) {
    log.warn({ audit: true, result: 'refused', caller: i }, 'audit');
    log.error({ requestId: i }, 'a request failed');
  }
  await clock.advance(1000);
  t.is(lines.length, 200);
});

test('a steady stream of one warning is one line a second', async (t) => {
  const { clock, log, lines } = start();
  for (let i = 0; i < 100; i += 1) {
    log.warn('again');
    await clock.advance(100);
  }
  t.true(lines.length >= 10 && lines.length <= 11, String(lines.length));
  const repeated = (lines as readonly { readonly repeated?: number }[]).map((line) => line.repeated ?? 1);
  t.is(
    repeated.reduce((sum, count) => sum + count, 0),
    100,
  );
});

test('a warning that comes again later is logged at once', async (t) => {
  const { clock, log, lines } = start();
  log.error({ err: new Error('x') }, 'failed');
  await clock.advance(1500);
  log.error('failed');
  t.is(lines.length, 2);
});

test('other words, other levels and information are logged line by line', (t) => {
  const { log, lines } = start();
  log.warn('a');
  log.warn('b');
  log.error('a');
  for (let i = 0; i < 3; i += 1) log.info({ audit: true }, 'audit');
  t.is(lines.length, 6);
});
