import test from 'ava';
import { render, renderToString } from 'ink';
import { PassThrough } from 'node:stream';
import { themed } from '../../testing/frames.ts';
import type { StageProgress } from './run.ts';
import { StageList } from './stage-list.tsx';

const now = (): Date => new Date(100_000);
const stages: readonly StageProgress[] = [
  { stage: 'server', state: 'done', startedAt: 0, tookMs: 1234, detail: 'prod at http://tka.tail1234.ts.net' },
  { stage: 'identity', state: 'done', startedAt: 0, tookMs: 12, detail: 'alice@example.com on laptop' },
  { stage: 'grant', state: 'failed', startedAt: 0, tookMs: 8 },
  { stage: 'sign-in', state: 'stopped', startedAt: 0, tookMs: 8 },
  { stage: 'provisioning', state: 'running', startedAt: 97_000 },
  { stage: 'usable', state: 'waiting' },
];

test('each stage says how it stands by a glyph, with its time and what it found', (t) => {
  const frame = renderToString(themed(<StageList stages={stages} now={now} isOver />), { columns: 80 });
  t.is(
    frame,
    [
      '✓ Find the server     1.2 s  prod at http://tka.tail1234.ts.net',
      '✓ Identify            12 ms  alice@example.com on laptop',
      '✗ Check grants         8 ms',
      '✗ Log in               8 ms  stopped',
      '⠋ Provision access    3.0 s',
      '○ Verify access',
    ].join('\n'),
  );
});

test('in 60 columns nothing is lost, and in ASCII nothing is beyond it', (t) => {
  const frame = renderToString(themed(<StageList stages={stages} now={now} isOver />, 'ascii'), { columns: 60 });
  t.true(
    frame.split('\n').every((line) => line.length <= 60),
    frame,
  );
  t.regex(frame.replaceAll(/\s+/g, ' '), /prod at http:\/\/tka\.tail1234\.ts\. ?net/);
  t.regex(frame, /^\+ Find the server/m);
  t.regex(frame, /^x Check grants/m);
  t.regex(frame, /^[ -~\n]*$/);
});

test('until it is over no line is longer than 60 columns, however wide the terminal', (t) => {
  const live = renderToString(themed(<StageList stages={stages} now={now} />), { columns: 120 });
  t.is(live.split('\n')[0], '✓ Find the server     1.2 s  prod at http://tka.tail1234.ts…');
  t.true(
    live.split('\n').every((line) => line.length <= 60),
    live,
  );
});

test('a screen reader hears words for the glyphs, and no time that runs', async (t) => {
  const stdout = new PassThrough();
  const written: string[] = [];
  stdout.on('data', (chunk: Buffer) => written.push(chunk.toString()));
  // A stream of unknown width has 80 columns.
  const instance = render(themed(<StageList stages={stages} now={now} isOver />), {
    stdout,
    isScreenReaderEnabled: true,
    interactive: true,
    patchConsole: false,
  });
  t.teardown(instance.unmount);
  await instance.waitUntilRenderFlush();
  const heard = written.join('');
  t.notRegex(heard, /list/);
  t.regex(heard, /done: +Find the server +1\.2 s +prod at/);
  t.regex(heard, /failed: +Check grants/);
  t.regex(heard, /running: +Provision access/);
  t.notRegex(heard, /3\.0 s|[✓✗⠋]/u);
});
