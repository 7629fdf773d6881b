import test from 'ava';
import { openSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createRecorder, type Upgraded } from './recording.ts';
import { ask } from './testing/asked.ts';
import { createFixture } from './testing/fixture.ts';
import { offers, setup, stream, unbounded } from './testing/recordings.ts';

test("a recording begins as asciicast v2 with who and what, and its file is its owner's alone", (t) => {
  const { recorder, directory, lines } = setup(t, 'closed', { maxBytes: 10_000 });
  const headers = offers();
  const recording = recorder.begin(stream, headers);
  t.is(headers['sec-websocket-extensions'], undefined);
  t.like(lines()[0], {
    version: 2,
    width: 80,
    height: 24,
    timestamp: 1767323046,
    title: 'alice@example.com a b',
    command: 'sh -c ls',
    tka: { session: 'alice', namespace: 'a', pod: 'b', subresource: 'exec', requestId: 'request-1' },
  });
  const path = join(directory, '2026-01-02T03-04-06-178Z-alice-request-1.cast');
  t.deepEqual(recording?.order, { path, maxBytes: 10_000 - statSync(path).size, required: true });
  t.is(statSync(path).mode & 0o777, 0o600);
  t.is(statSync(directory).mode & 0o777, 0o700);
});

const spdy = (versions?: string): Record<string, string> =>
  versions === undefined ? {} : { 'x-stream-protocol-version': versions };
const unrecorded: readonly [title: string, more: Partial<Upgraded>, headers: Record<string, string>][] = [
  ['no subprotocol', {}, {}],
  ['one that cannot be read', {}, offers('base64.channel.k8s.io')],
  ['a tunnel', {}, offers('SPDY/3.1+portforward.k8s.io')],
  ['a protocol of SPDY that cannot be read', { protocol: 'SPDY/3.1' }, spdy('portforward.k8s.io')],
];
for (const [title, more, headers] of unrecorded) {
  test(`an exec with ${title} is refused, or continues with a warning`, (t) => {
    const closed = setup(t, 'closed');
    t.throws(() => closed.recorder.begin({ ...stream, ...more }, { ...headers }), {
      name: 'Refusal',
      message: /^this would have to be recorded/,
    });
    const open = setup(t, 'open');
    t.is(open.recorder.begin({ ...stream, ...more }, { ...headers }), undefined);
    t.deepEqual([closed.warnings, open.warnings], [['a stream is not recorded'], ['a stream is not recorded']]);
  });
}

test('the API server is offered no protocol that could not be read', (t) => {
  for (const [protocol, headers, left] of [
    [
      'websocket',
      offers('base64.channel.k8s.io, v5.channel.k8s.io,channel.k8s.io'),
      'v5.channel.k8s.io, channel.k8s.io',
    ],
    ['SPDY/3.1', spdy('v4.channel.k8s.io, portforward.k8s.io'), 'v4.channel.k8s.io'],
    ['SPDY/3.1', spdy(), undefined],
  ] as const) {
    setup(t).recorder.begin({ ...stream, protocol }, headers);
    t.is(headers['sec-websocket-protocol'] ?? headers['x-stream-protocol-version'], left);
  }
});

const recorded: readonly [what: Partial<Upgraded['what']>, isRecorded: boolean][] = [
  [{ resource: 'pods', subresource: 'exec' }, true],
  [{ resource: 'pods', subresource: 'attach' }, true],
  [{ resource: 'nodes', subresource: 'proxy', path: '/exec/a/b/c' }, true],
  [{ resource: 'pods', subresource: 'portforward' }, false],
  [{ resource: 'services', subresource: 'proxy' }, false],
];
for (const [what, isRecorded] of recorded) {
  test(`${what.resource ?? ''}/${what.subresource ?? ''}${what.path ?? ''} is ${isRecorded ? '' : 'not '}recorded`, (t) => {
    const { recorder } = setup(t);
    t.is(recorder.begin({ ...stream, what: { ...stream.what, ...what } }, offers()) !== undefined, isRecorded);
  });
}

test('a directory that cannot be written refuses an exec before it runs, and tells the caller no path', (t) => {
  const { recorder, root, directory, failures } = setup(t);
  writeFileSync(directory, 'a file');
  const error = t.throws(() => recorder.begin(stream, offers()), { name: 'Refusal' });
  t.false(error?.message.includes(root));
  t.deepEqual(failures, ['unwritable']);
  const log = { warn: () => undefined };
  const open = createRecorder({ directory, fail: 'open', ...unbounded, log, now: () => new Date() });
  t.is(open.begin(stream, offers()), undefined);
});

test('a recording that is there already is not written over', (t) => {
  const { directory } = setup(t);
  const log = { warn: () => undefined };
  const recorder = createRecorder({ directory, fail: 'closed', ...unbounded, log, now: () => new Date(0) });
  recorder.begin(stream, offers());
  t.throws(() => recorder.begin(stream, offers()), { name: 'Refusal' });
});

test('a disk that is full refuses a command before it runs, and leaves no empty file', (t) => {
  const full = { createFile: (path: string) => (writeFileSync(path, ''), openSync('/dev/full', 'w')) };
  const closed = setup(t, 'closed', full);
  t.throws(() => closed.recorder.begin(stream, offers()), { message: /the server cannot write the recording/ });
  t.deepEqual([closed.failures, readdirSync(closed.directory)], [['disk_full'], []]);
  const open = setup(t, 'open', full);
  t.is(open.recorder.begin(stream, offers()), undefined);
  t.deepEqual([open.warnings, open.failures], [['a stream is not recorded'], ['disk_full']]);
});

const asking = {
  target: '/k8s/api/v1/namespaces/a/pods/b/exec?command=sh',
  upgrade: ['Connection', 'Upgrade', 'Upgrade', 'websocket', 'Sec-WebSocket-Protocol', 'v5.channel.k8s.io, x'],
} as const;

for (const fail of ['closed', 'open'] as const) {
  test(`a recording that fails on the way is told once, and its stream ${fail === 'closed' ? 'is cut' : 'continues'}`, async (t) => {
    const { recorder, directory, warnings, failures } = setup(t, fail);
    await using at = await createFixture({ deps: { recorder } });
    const asked = await ask(at, asking);
    t.deepEqual(asked.records, [
      {
        path: join(directory, readdirSync(directory)[0] ?? ''),
        maxBytes: asked.records[0]?.maxBytes,
        required: fail === 'closed',
      },
    ]);
    t.is(asked.forwarded[0]?.headers['sec-websocket-protocol'], 'v5.channel.k8s.io');
    asked.events?.begun(101);
    asked.events?.unrecorded('too_large', 'it has reached recording.maxMegabytes');
    t.deepEqual([warnings, failures], [['a recording has failed'], ['too_large']]);
    t.deepEqual(
      asked.cuts.map(({ reason }) => reason),
      fail === 'closed' ? ['it could not be recorded any more'] : [],
    );
    asked.end(101);
  });
}

test('nothing is recorded of a port-forward, nor where nothing is to be', async (t) => {
  const { recorder } = setup(t);
  await using at = await createFixture({ deps: { recorder } });
  const forwarding = await ask(at, { ...asking, target: '/k8s/api/v1/namespaces/a/pods/b/portforward' });
  t.deepEqual([forwarding.forwarded.length, forwarding.records], [1, []]);
  await using without = await createFixture();
  const asked = await ask(without, asking);
  t.deepEqual([asked.forwarded.length, asked.records], [1, []]);
});
