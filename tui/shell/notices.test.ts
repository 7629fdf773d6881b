import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { writeUntil } from '../credential/cache.ts';
import type { Runtime } from '../runtime.ts';
import { giveNotices, type Next, nextNotice, type Notice } from './notices.ts';

const minute = 60_000;

const cases: readonly [string, number, Notice, { readonly [K in keyof Next]?: Next[K] | undefined }][] = [
  ['far from the end there is nothing to say', 8 * 60 * minute, 'none', { said: 'none', line: undefined }],
  ['a look comes at least twice a minute', 8 * 60 * minute, 'none', { waitMs: minute / 2 + 1 }],
  ['the next look is at the next notice', 10 * minute + 700, 'none', { said: 'none', waitMs: 701 }],
  [
    'ten minutes before',
    10 * minute,
    'none',
    { said: 'ten minutes', line: 'this session ends in 10m. Extend it: tka renew' },
  ],
  ['nothing is said twice', 9 * minute, 'ten minutes', { said: 'ten minutes', line: undefined }],
  [
    'a minute before',
    minute,
    'ten minutes',
    { said: 'one minute', line: 'this session ends in 1m. Extend it: tka renew' },
  ],
  ['after a sleep only the last is said', 20_000, 'none', { said: 'one minute', waitMs: 20_001 }],
  [
    'at the end',
    0,
    'one minute',
    { said: 'ended', line: 'this session has ended. Log in again: tka login. Leave: exit' },
  ],
  ['the end is said once', -minute, 'ended', { said: 'ended', line: undefined, waitMs: minute / 2 + 1 }],
  ['a renewal starts over', 60 * minute, 'one minute', { said: 'none', line: undefined }],
  ['after a short renewal the notices still come', 5 * minute, 'none', { said: 'ten minutes' }],
];
for (const [title, remainingMs, said, expected] of cases) {
  test(title, (t) => {
    t.like(nextNotice(remainingMs, said), expected);
  });
}

test('the end is read again at each look, from what a renewal wrote', async (t) => {
  const cache = mkdtempSync(join(tmpdir(), 'tka-notices-'));
  t.teardown(() => rmSync(cache, { recursive: true, force: true }));
  const env = { XDG_CACHE_HOME: cache };
  const key = { server: 'https://tka.example', session: 'alice-view' };
  const start = Date.parse('2026-01-01T00:00:00Z');
  const endAt = (minutes: number): boolean =>
    writeUntil(env, key, { until: new Date(start + minutes * minute), role: 'view', cluster: 'demo' });
  let now = start - 10;
  // The only parts of a runtime that are used; the clock advances by itself.
  const runtime = { env, now: () => new Date((now += 2)) } as unknown as Runtime;
  const lines: string[] = [];
  const over = new AbortController();
  endAt(1);
  await giveNotices(runtime, {
    ...key,
    until: new Date(start),
    say: (line) => {
      lines.push(line);
      endAt(10);
      if (lines.length === 2) over.abort();
    },
    signal: over.signal,
  });
  t.is(lines[0], 'this session ends in 1m. Extend it: tka renew');
  t.regex(lines[1] ?? '', /^this session ends in (10|9)m\./);
});
