/** A recorder in a directory of the test's own, and the bytes that it reads. */
import type { ExecutionContext } from 'ava';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serverFrame } from '../frames.ts';
import { createRecorder, type Recorder, type RecordingOptions, type Upgraded } from '../recording.ts';
import type { Tap } from '../upgrade.ts';

export const stream: Upgraded = {
  requestId: 'request-1',
  who: { username: 'alice@example.com', session: 'alice', role: 'view' },
  what: {
    verb: 'get',
    resource: 'pods',
    subresource: 'exec',
    namespace: 'a',
    name: 'b',
    command: ['sh', '-c', 'ls'],
    isStream: true,
  },
  protocol: 'websocket',
};
export const offers = (protocols = 'v5.channel.k8s.io'): Record<string, string> => ({
  'sec-websocket-protocol': protocols,
  'sec-websocket-extensions': 'permessage-deflate',
});

export const unbounded = { maxBytes: 1_000_000_000, failed: () => undefined } as const;

export function setup(t: ExecutionContext, fail: 'open' | 'closed' = 'closed', more: Partial<RecordingOptions> = {}) {
  const root = mkdtempSync(join(tmpdir(), 'tka-recording-'));
  t.teardown(() => rmSync(root, { recursive: true }));
  const directory = join(root, 'recordings');
  const warnings: string[] = [];
  const failures: string[] = [];
  let now = Date.parse('2026-01-02T03:04:05.678Z');
  const recorder = createRecorder({
    directory,
    fail,
    ...unbounded,
    failed: (reason) => void failures.push(reason),
    log: { warn: (_line, message) => void warnings.push(message) },
    now: () => new Date((now += 500)),
    ...more,
  });
  return { recorder, root, directory, warnings, failures, lines: () => linesIn(directory) };
}

/** The lines of the one recording. */
export function linesIn(directory: string): unknown[] {
  const [name = ''] = readdirSync(directory);
  return readFileSync(join(directory, name), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line): unknown => JSON.parse(line));
}

export function begun(recorder: Recorder, headers = offers()): Tap {
  const tap = recorder.begin(stream, headers);
  if (tap === undefined) throw new Error('nothing is recorded');
  tap.begin('v5.channel.k8s.io');
  return tap;
}

export const output = (channel: number, data: string | Buffer): Buffer =>
  serverFrame('binary', Buffer.concat([Buffer.from([channel]), Buffer.from(data)]));

/** As clients send them: masked. */
export function input(channel: number, data: string): Buffer {
  const frame = output(channel, data);
  const at = frame.length - data.length - 1;
  const mask = Buffer.from([0x11, 0x22, 0x33, 0x44]);
  const head = Buffer.from(frame.subarray(0, at));
  head[1] = (head[1] ?? 0) | 0x80;
  return Buffer.concat([head, mask, frame.subarray(at).map((byte, i) => byte ^ (mask[i % 4] ?? 0))]);
}
