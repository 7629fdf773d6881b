import { stripVTControlCharacters } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import { UnreachableError } from '../errors.ts';
import { createRuntime } from '../testing/runtime.ts';
import type { ServerReport } from './status-report.ts';
import { watchStatus } from './status-watch.ts';

const row = {
  session: 'alice-example-com-0123456789',
  state: 'ready',
  contexts: ['tka-prod'],
  current: true,
  role: 'view',
} as const;
const at = (remainingSeconds: number): ServerReport => ({
  server: 'http://tka',
  sessions: [{ ...row, until: '2026-01-01T00:00:00.000Z', remainingSeconds }],
});
const none: ServerReport = { server: 'http://tka', sessions: [] };

async function* seconds(count: number, onEach: () => void = () => {}) {
  for (let i = 0; i < count; i += 1) {
    onEach();
    yield await Promise.resolve(i);
  }
}

function setup(
  t: ExecutionContext,
  reports: readonly ServerReport[],
  size: { readonly isTerminal?: boolean; readonly columns?: number } = {},
) {
  let nowMs = Date.parse('2026-01-01T00:00:00Z');
  const runtime = createRuntime(t, { ...size, env: { TERM: 'xterm' }, now: () => new Date(nowMs) });
  let reads = 0;
  const reporter = {
    read: () => Promise.resolve([reports[Math.min(reads++, reports.length - 1)] ?? none]),
    close: () => {},
  };
  const warnings: string[] = [];
  const watch = (ticks: number, output?: 'json' | 'yaml' | 'name') =>
    watchStatus(runtime, {
      reporter,
      output,
      seconds: seconds(ticks, () => (nowMs += 1000)),
      warn: (line) => warnings.push(line),
    });
  return { runtime, watch, warnings, reads: () => reads };
}

test('on a terminal the time that is left goes down each second, drawn over itself, with the cursor given back', async (t) => {
  const { runtime, watch, reads } = setup(t, [at(45)], { isTerminal: true });
  await watch(12);
  const { stdout } = runtime.written;
  t.is(reads(), 2);
  for (const left of ['45s', '44s', '36s']) t.true(stdout.includes(left), left);
  t.true(stdout.startsWith('\u001B[?25l'));
  t.true(stdout.endsWith('\u001B[?25h'));
  t.false(stdout.includes('\u001B[2J'), 'nothing is ever blank');
});

for (const [columns, heads] of [
  [120, ['CURRENT', 'CONTEXT', 'SESSION', 'ROLE', 'STATE', 'LEFT']],
  [60, ['CURRENT', 'CONTEXT', 'ROLE', 'STATE', 'LEFT']],
  [28, ['CONTEXT', 'ROLE', 'LEFT']],
  [12, ['ROLE', 'LEFT']],
] as const) {
  test(`a terminal of ${columns} columns shows the time that is left, whatever else goes`, async (t) => {
    const { runtime, watch } = setup(t, [at(45)], { isTerminal: true, columns });
    await watch(1);
    const [head = '', row = ''] = stripVTControlCharacters(runtime.written.stdout).trim().split('\n');
    t.deepEqual(head.trim().split(/ +/), [...heads]);
    t.regex(row, / 45s$/);
  });
}

test('elsewhere a line is written for each session that changes, and none while time passes', async (t) => {
  const { runtime, watch } = setup(t, [at(45), at(35), none]);
  await watch(20);
  t.is(
    runtime.written.stdout,
    'http://tka  alice-example-com-0123456789  view  ready  2026-01-01T00:00:00.000Z  tka-prod\nhttp://tka  alice-example-com-0123456789  -  ended  -  -\n',
  );
});

test('as JSON each line is a document', async (t) => {
  const { runtime, watch } = setup(t, [at(45), at(35), none]);
  await watch(20, 'json');
  const documents = runtime.written.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { sessions: unknown[] });
  t.deepEqual(
    documents.map(({ sessions }) => sessions.length),
    [1, 0],
  );
});

test('an unreachable server causes a warning, and the watch continues', async (t) => {
  const failure = new UnreachableError('http://tka refuses the connection', []);
  const { watch, warnings, reads } = setup(t, [{ ...none, failure }, at(5)]);
  await watch(10);
  t.deepEqual(warnings, ['http://tka refuses the connection']);
  t.is(reads(), 2);
});
