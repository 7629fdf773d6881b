import test from 'ava';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import * as fc from 'fast-check';
import { createFixture, statusOf, until } from './fixture.ts';
import { createRecorder, type Upgraded } from './recording.ts';
import { begun, input, linesIn, offers, output, setup, stream, unbounded } from './testing/recordings.ts';

test("a recording is asciicast v2 with who, what and each piece of output, and its file is its owner's alone", async (t) => {
  const { recorder, directory, lines } = setup(t);
  const headers = offers();
  const tap = begun(recorder, headers);
  t.is(headers['sec-websocket-extensions'], undefined);
  tap.toCaller(Buffer.concat([output(1, 'out'), output(2, 'err'), output(3, '{"status":"Success"}')]));
  tap.fromCaller(input(4, '{"Width":120,"Height":40}'));
  tap.end();
  await until(() => lines().length === 4);
  t.like(lines()[0], {
    version: 2,
    width: 80,
    height: 24,
    timestamp: 1767323046,
    title: 'alice@example.com a b',
    command: 'sh -c ls',
  });
  t.deepEqual(lines().slice(1), [
    [0.5, 'o', 'out'],
    [1, 'o', 'err'],
    [1.5, 'r', '120x40'],
  ]);
  const [name = ''] = readdirSync(directory);
  t.is(name, '2026-01-02T03-04-06-178Z-alice-request-1.cast');
  t.is(statSync(join(directory, name)).mode & 0o777, 0o600);
  t.is(statSync(directory).mode & 0o777, 0o700);
});

test('what is typed is never in the file', async (t) => {
  const { recorder, directory, lines } = setup(t);
  const tap = begun(recorder);
  const secret = 'hunter2';
  tap.fromCaller(input(0, secret));
  tap.fromCaller(input(4, '{"Width":1,'));
  tap.fromCaller(input(0, `"Height":1}${secret}`));
  // A first frame without a byte, then one that goes on.
  tap.fromCaller(Buffer.from([0x02, 0x00]));
  tap.fromCaller(Buffer.concat([Buffer.from([0x80, secret.length + 1, 0]), Buffer.from(secret)]));
  tap.fromCaller(input(4, `{"Width":80,"Height":24,"x":"${secret}"}`));
  tap.fromCaller(input(4, secret.repeat(1000)));
  tap.fromCaller(input(9, secret));
  tap.toCaller(output(1, 'end'));
  tap.end();
  await until(() => lines().length > 1);
  const text = readFileSync(join(directory, readdirSync(directory)[0] ?? ''), 'utf8');
  t.false(text.includes(secret));
  t.is(lines().length, 2);
});

test('text in several bytes is whole wherever it is cut', async (t) => {
  const { recorder, directory, lines } = setup(t);
  const tap = begun(recorder);
  const text = 'grün €uro 🦀\r\n\x1b[31mrot\x1b[0m';
  const bytes = Buffer.from(text);
  fc.assert(
    fc.property(fc.array(fc.nat(bytes.length), { maxLength: 5 }), fc.nat(200), (cuts, chunk) => {
      const at = [...new Set([0, ...cuts, bytes.length])].sort((a, b) => a - b);
      const stdout = Buffer.concat(
        at.slice(1).flatMap((end, i) => [output(1, bytes.subarray(at[i], end)), output(2, '')]),
      );
      for (let from = 0; from < stdout.length; from += chunk + 1) tap.toCaller(stdout.subarray(from, from + chunk + 1));
    }),
    { numRuns: 50 },
  );
  tap.end();
  await until(
    () => lines().length > 1 && readFileSync(join(directory, readdirSync(directory)[0] ?? ''), 'utf8').endsWith('\n'),
  );
  const events = lines().slice(1) as [number, string, string][];
  await until(
    () =>
      (linesIn(directory).slice(1) as [number, string, string][]).map(([, , data]) => data).join('') ===
      text.repeat(50),
  );
  t.true(events.every(([, type]) => type === 'o'));
});

const unrecorded: readonly [title: string, more: Partial<Upgraded>, headers: Record<string, string>][] = [
  ['SPDY', { protocol: 'SPDY/3.1' }, {}],
  ['no subprotocol', {}, {}],
  ['one that cannot be read', {}, offers('base64.channel.k8s.io')],
  ['a tunnel', {}, offers('SPDY/3.1+portforward.k8s.io')],
];
for (const [title, more, headers] of unrecorded) {
  test(`an exec with ${title} is refused, or goes on with a warning`, (t) => {
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
  const { recorder } = setup(t);
  const headers = offers('base64.channel.k8s.io, v5.channel.k8s.io,channel.k8s.io');
  recorder.begin(stream, headers)?.end();
  t.is(headers['sec-websocket-protocol'], 'v5.channel.k8s.io, channel.k8s.io');
});

test('a protocol that nobody offered ends the stream', (t) => {
  const { recorder } = setup(t);
  t.throws(() => recorder.begin(stream, offers())?.begin('base64.channel.k8s.io'));
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
    const tap = recorder.begin({ ...stream, what: { ...stream.what, ...what } }, offers());
    tap?.end();
    t.is(tap !== undefined, isRecorded);
  });
}

test('a directory that cannot be written refuses an exec before it runs, and tells the caller no path', (t) => {
  const { recorder, root, directory } = setup(t);
  writeFileSync(directory, 'a file');
  const error = t.throws(() => recorder.begin(stream, offers()), { name: 'Refusal' });
  t.false(error?.message.includes(root));
  const open = createRecorder({
    directory,
    fail: 'open',
    ...unbounded,
    log: { warn: () => undefined },
    now: () => new Date(),
  });
  t.is(open.begin(stream, offers()), undefined);
});

test('a recording that is there already is not written over', (t) => {
  const { directory } = setup(t);
  const recorder = createRecorder({
    directory,
    fail: 'closed',
    ...unbounded,
    log: { warn: () => undefined },
    now: () => new Date(0),
  });
  recorder.begin(stream, offers())?.end();
  t.throws(() => recorder.begin(stream, offers()), { name: 'Refusal' });
});

for (const fail of ['closed', 'open'] as const) {
  test(`bytes that are no frames: the stream ${fail === 'closed' ? 'ends' : 'goes on, with a warning'}`, (t) => {
    const { recorder, warnings } = setup(t, fail);
    const tap = begun(recorder);
    const pass = (): void => tap.toCaller(Buffer.from([0xff, 0xff, 0xff]));
    if (fail === 'closed') t.throws(pass);
    else t.notThrows(pass);
    t.deepEqual(warnings, ['a recording has failed']);
    tap.end();
  });

  test(`a disk that is too slow: the stream ${fail === 'closed' ? 'ends' : 'goes on'}`, (t) => {
    const { recorder, directory, warnings } = setup(t, fail);
    const tap = begun(recorder);
    // More than the disk takes in one turn of the loop, as from one that is slow.
    const big = output(1, Buffer.alloc(60_000, 'x'));
    const flood = (): void => {
      for (let i = 0; i < 400; i += 1) tap.toCaller(big);
    };
    if (fail === 'closed') t.throws(flood, { message: 'the disk is too slow' });
    else t.notThrows(flood);
    t.deepEqual(warnings, ['a recording has failed']);
    tap.end();
    t.is(readdirSync(directory).length, 1);
  });
}

test('through the proxy: an exec is recorded while its bytes pass, and a stream that cannot be recorded any more is ended with a word', async (t) => {
  const { recorder, directory, lines } = setup(t);
  const opened = Promise.withResolvers<Duplex>();
  await using at = await createFixture({
    apiServer: {
      upgrade(_req, socket) {
        socket.on('error', () => undefined);
        socket.write(
          'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: v5.channel.k8s.io\r\n\r\n',
        );
        opened.resolve(socket);
      },
    },
    deps: { recorder },
  });
  const asking = (more: string): string =>
    `${at.head('GET', '/k8s/api/v1/namespaces/a/pods/b%2Fexec?command=sh', 'alice')}Connection: Upgrade\r\nUpgrade: ${more}\r\n\r\n`;
  const refused = await at.ask('alice', asking('SPDY/3.1'));
  t.is(statusOf(refused), 403);
  t.is(at.upstream.length, 0);
  const wire = await at.dial(
    'alice',
    asking('websocket\r\nSec-WebSocket-Protocol: v5.channel.k8s.io, base64.channel.k8s.io'),
  );
  const far = await opened.promise;
  t.regex(at.upstream[0]?.bytes() ?? '', /sec-websocket-protocol: v5\.channel\.k8s\.io\r\n/i);
  far.write(output(1, 'hello'));
  await wire.until(/hello/);
  await until(() => readdirSync(directory).length === 1 && lines().length === 2);
  t.deepEqual((lines()[1] as unknown[]).slice(1), ['o', 'hello']);
  wire.send(Buffer.from([0xff, 0xff, 0xff]));
  t.regex(await wire.closed, /it could not be recorded any more/);
  await until(() => at.proxy.open === 0 && at.upstream[0]?.isClosed === true);
});
