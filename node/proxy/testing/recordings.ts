/** A recorder in a directory of the test's own. */
import type { ExecutionContext } from 'ava';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRecorder, type RecordingOptions, type Upgraded } from '../recording.ts';

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

/** What is there of the one recording. */
export function linesIn(directory: string): unknown[] {
  const [name = ''] = readdirSync(directory);
  return readFileSync(join(directory, name), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line): unknown => JSON.parse(line));
}
