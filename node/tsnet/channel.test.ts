import test from 'ava';
import * as fc from 'fast-check';
import { type Channel, openChannel } from './channel.ts';
import { EngineGoneError, EngineRequestError, ProtocolMismatchError } from './errors.ts';
import { type EngineEvent, MAX_LINE, PROTOCOL_VERSION } from './protocol.ts';

const HELLO = `{"type":"hello","version":${PROTOCOL_VERSION}}\n`;

interface Side {
  readonly channel: Channel;
  readonly written: string[];
  readonly events: EngineEvent[];
  readonly failures: Error[];
  readonly say: (...texts: readonly string[]) => void;
}

function open(): Side {
  const [written, events, failures]: [string[], EngineEvent[], Error[]] = [[], [], []];
  const channel = openChannel({
    write: (line) => written.push(line),
    onEvent: (event) => events.push(event),
    onFailure: (error) => failures.push(error),
  });
  return {
    channel,
    written,
    events,
    failures,
    say: (...texts) => texts.forEach((t) => channel.receive(Buffer.from(t))),
  };
}

test('greets first, and is greeted by an engine of the same version', async (t) => {
  const { channel, written, say } = open();
  t.deepEqual(written, [HELLO]);
  say(HELLO);
  await t.notThrowsAsync(channel.greeted);
});

for (const [title, first] of [
  ['another version', '{"type":"hello","version":1}\n'],
  ['text of another program', 'Usage: tailscaled\n'],
  ['an answer before the greeting', '{"type":"done","id":1}\n'],
] as const) {
  test(`${title} is a mismatch, for the greeting and every call`, async (t) => {
    const { channel, failures, say } = open();
    const call = channel.call({ type: 'ping' });
    say(first);
    await t.throwsAsync(channel.greeted, { instanceOf: ProtocolMismatchError });
    await t.throwsAsync(call, { instanceOf: ProtocolMismatchError });
    await t.throwsAsync(channel.call({ type: 'ping' }), { instanceOf: ProtocolMismatchError });
    t.is(failures.length, 1);
  });
}

test('answers find their calls in any order', async (t) => {
  const { channel, written, say } = open();
  say(HELLO);
  const first = channel.call({ type: 'ping' });
  const second = channel.call({ type: 'whoIs', address: '100.64.0.1' });
  const third = channel.call({ type: 'listen', listener: '1', port: 80, tls: false, decide: false });
  const ids = written.slice(1).map((line) => (JSON.parse(line) as { id: number }).id);
  t.is(new Set(ids).size, 3);
  const identity = { nodeId: 'n', nodeKey: 'k', nodeName: 'm', tags: [], capabilities: {} };
  say(
    `{"type":"failed","id":${ids[2]},"code":"ListenFailed","message":"taken"}\n`,
    `${JSON.stringify({ type: 'identity', id: ids[1], identity })}\n`,
    `{"type":"done","id":${ids[0]}}\n`,
  );
  t.is((await first).type, 'done');
  t.like(await second, { type: 'identity', identity });
  t.like(await t.throwsAsync(third, { instanceOf: EngineRequestError }), { code: 'ListenFailed', message: 'taken' });
});

test('lines arrive whole however they are cut', (t) => {
  const events = [
    { type: 'log', level: 'info', message: 'zwölf\n' },
    { type: 'peers' },
    { type: 'log', level: 'warn', message: '𝄞' },
  ] as const;
  const bytes = Buffer.from(HELLO + events.map((event) => `${JSON.stringify(event)}\n`).join(''));
  fc.assert(
    fc.property(fc.array(fc.nat({ max: bytes.length })), (cuts) => {
      const side = open();
      const at = [0, ...cuts.sort((a, b) => a - b), bytes.length];
      at.slice(1).forEach((end, i) => side.channel.receive(bytes.subarray(at[i], end)));
      t.deepEqual(side.events, [...events]);
    }),
  );
});

for (const [title, line] of [
  ['no JSON', 'panic: runtime error'],
  ['an unknown message', '{"type":"surprise"}'],
  ['a message with a field missing', '{"type":"log","level":"info"}'],
  ['an answer that nobody asked for', '{"type":"done","id":99}'],
] as const) {
  test(`${title} ends the channel and fails what was pending`, async (t) => {
    const { channel, failures, say } = open();
    say(HELLO);
    const call = channel.call({ type: 'ping' });
    say(`${line}\n{"type":"done","id":1}\n`);
    await t.throwsAsync(call, { instanceOf: EngineGoneError });
    t.is(failures.length, 1);
  });
}

test('a line without end does not fill the memory', (t) => {
  const { channel, failures, say } = open();
  say(HELLO);
  const chunk = Buffer.alloc(64 << 10, 'x');
  let sent = 0;
  while (failures.length === 0 && sent < 4 * MAX_LINE) {
    channel.receive(chunk);
    sent += chunk.length;
  }
  t.true(failures[0] instanceof EngineGoneError);
  t.true(sent <= MAX_LINE + chunk.length);
});

test('after a failure everything rejects with it, and nothing more is heard', async (t) => {
  const { channel, events, failures, say } = open();
  say(HELLO);
  const call = channel.call({ type: 'ping' });
  const gone = new EngineGoneError('the engine ended (SIGKILL)');
  channel.fail(gone);
  channel.fail(new Error('again'));
  say('{"type":"peers"}\n');
  t.is(await t.throwsAsync(call), gone);
  t.is(await t.throwsAsync(channel.call({ type: 'ping' })), gone);
  t.deepEqual(failures, [gone]);
  t.deepEqual(events, []);
});
