import test from 'ava';
import type { ExecutionContext } from 'ava';
import { ApiUnavailableError, ForbiddenError } from '../../reconciler/errors.ts';
import { type ManualClock, manualClock, settled } from '../../reconciler/testing/manual-clock.ts';
import { type FakeSecret, fakeSecret, listeningLog, missing } from '../testing/secret.ts';
import { maxSecretBytes, SecretError } from './secret.ts';
import { openStateSecret, SecretLostError, type StateSecret } from './state-secret.ts';

const away = new ApiUnavailableError('patch', 'secrets', 'cannot reach the API server');
const holder = 'tka.specht-labs.de/holder';
const seal = 'tka.specht-labs.de/checksum';
const bytes = (text: string): Buffer => Buffer.from(text);

interface Opening {
  readonly secret?: FakeSecret;
  readonly server?: string;
  readonly clock?: ManualClock;
  readonly isNewInstallation?: boolean;
}

function opening({
  secret = fakeSecret(),
  server = 'tka-0',
  clock = manualClock(),
  isNewInstallation = true,
}: Opening = {}) {
  const { log, lines } = listeningLog();
  const waits: string[] = [];
  const stop = new AbortController();
  const onWait = (words: string): void => void waits.push(words);
  const opened = openStateSecret({ secret, server, log, clock, onWait, isNewInstallation }, stop.signal);
  return { secret, clock, lines, waits, stop, opened };
}

async function open(t: ExecutionContext, options: Opening = {}) {
  const world = opening(options);
  const state = await world.opened;
  t.teardown(() => state.close());
  const troubles: string[] = [];
  const write = (name: string, text: string | undefined): Promise<void> =>
    state.write(name, text === undefined ? undefined : bytes(text), (problem) => troubles.push(problem));
  return { ...world, state, troubles, write };
}

async function contentOf(state: StateSecret): Promise<Record<string, string>> {
  return Object.fromEntries([...(await state.read())].map(([key, value]) => [key, value.toString()]));
}

test('a value is in the Secret when its write resolves, under a valid key', async (t) => {
  const { secret, state, write } = await open(t);
  t.deepEqual(await contentOf(state), {});
  await write('_serve/1', 'x');
  await write('_machinekey', 'y');
  t.is(secret.content.values.get('_serve--2f1')?.toString(), 'x');
  t.deepEqual(await contentOf(state), { '_serve/1': 'x', _machinekey: 'y' });
  await write('_serve/1', undefined);
  t.deepEqual([...secret.content.values.keys()], ['_machinekey']);
});

for (const [isNewInstallation, level, words] of [
  [true, 30, /no tailnet node yet: this server joins as a new machine"/],
  [false, 40, /no tailnet node, though this installation is not new: .*restored from a backup/],
] as const) {
  const installation = isNewInstallation ? 'a new installation' : 'an installation that is not new';
  test(`an empty Secret of ${installation} is logged at level ${level}`, async (t) => {
    const { lines } = await open(t, { isNewInstallation });
    const line = lines.find((each) => words.test(each));
    t.regex(line ?? '', new RegExp(`"level":${level},`), lines.join(''));
  });
}

test('changes that come together go in one patch, with no more than what changed', async (t) => {
  const { secret, write } = await open(t);
  await write('a', '1');
  const before = secret.patches.length;
  await Promise.all([write('b', '1'), write('b', '2'), write('c', '3')]);
  t.true(secret.patches.length <= before + 2);
  t.false(secret.patches.slice(before).some(({ values }) => values?.has('a') === true));
  t.is(secret.content.values.get('b')?.toString(), '2');
});

test('the next run finds what the former left, though that one was killed', async (t) => {
  const first = await open(t, { server: 'tka-0/uid' });
  await first.write('a', '1');
  const second = await open(t, { secret: first.secret, server: 'tka-0/uid' });
  t.deepEqual(await contentOf(second.state), { a: '1' });
  // The former gives up when it comes to look, and writes nothing any more.
  const lost = t.throwsAsync(first.state.lost, {
    instanceOf: SecretLostError,
    message: /taken over by tka-0\/uid\/\w{8}: .*own tailscale\.stateSecret/,
  });
  await first.clock.advance(15_000);
  await lost;
  await t.throwsAsync(first.write('a', '2'), { instanceOf: SecretLostError });
  t.deepEqual(await contentOf(second.state), { a: '1' });
  await first.state.close();
  t.regex(first.secret.content.annotations[holder] ?? '', /^tka-0\//);
});

test('another server waits until the one that holds the Secret lets go', async (t) => {
  const first = await open(t);
  await first.write('a', '1');
  const second = opening({ secret: first.secret, server: 'tka-1', clock: first.clock });
  for (let minutes = 0; minutes < 5; minutes += 1) await first.clock.advance(60_000);
  t.regex(second.waits.at(-1) ?? '', /Secret tka-system\/s is in use by tka-0\/\w{8}: .*own tailscale\.stateSecret/);
  t.is(second.lines.length, 1);
  await first.state.close();
  await first.clock.advance(5_000);
  const state = await second.opened;
  t.deepEqual(await contentOf(state), { a: '1' });
  await state.close();
  t.is(first.secret.content.annotations[holder], undefined);
});

test('another server takes over from one that has been silent for a while, whatever its clock says', async (t) => {
  const first = await open(t, { clock: manualClock(Date.parse('2099-01-01T00:00:00Z')) });
  const second = opening({ secret: first.secret, server: 'tka-1' });
  await second.clock.advance(44_000);
  t.regex(first.secret.content.annotations[holder] ?? '', /^tka-0\//);
  await second.clock.advance(4_000);
  await (await second.opened).close();
});

test('a wait for another server ends with the start', async (t) => {
  const first = await open(t);
  const second = opening({ secret: first.secret, server: 'tka-1' });
  await settled();
  second.stop.abort(new Error('stopped'));
  await t.throwsAsync(second.opened, { message: 'stopped' });
});

test('an API server that is away is waited for', async (t) => {
  const secret = fakeSecret();
  secret.trouble = away;
  const world = opening({ secret });
  await world.clock.advance(20_000);
  t.regex(world.waits.at(-1) ?? '', /Secret tka-system\/s cannot be read: cannot reach/);
  secret.trouble = undefined;
  await world.clock.advance(15_000);
  await (await world.opened).close();
});

const refused: readonly (readonly [string, (secret: FakeSecret) => void, RegExp])[] = [
  [
    'emptied',
    (secret) =>
      secret.edit({
        values: new Map([
          ['a', null],
          ['b', null],
        ]),
      }),
    /^Secret tka-system\/s held a tailnet node and is empty: restore it .*kubectl annotate secret s -n tka-system tka\.specht-labs\.de\/checksum-/,
  ],
  [
    'changed',
    (secret) => secret.edit({ values: new Map([['a', bytes('9')]]) }),
    /^Secret tka-system\/s is not as tka left it: restore it/,
  ],
  [
    'robbed of a key',
    (secret) => secret.edit({ values: new Map([['a', null]]) }),
    /^Secret tka-system\/s is not as tka left it/,
  ],
  [
    'added to',
    (secret) => secret.edit({ values: new Map([['TS_AUTHKEY', bytes('x')]]) }),
    /^Secret tka-system\/s is not as tka left it/,
  ],
  [
    'given a foreign key',
    (secret) => secret.edit({ annotations: { [seal]: null }, values: new Map([['a--', bytes('x')]]) }),
    /has a key a-- that is no tailnet state: remove it/,
  ],
  ['deleted', (secret) => void (secret.trouble = missing), /does not exist/],
  [
    'out of reach',
    (secret) => void (secret.trouble = new ForbiddenError('get', 'secrets', 'cannot get secrets s')),
    /cannot get secrets s; tka's rights are in manifests\/cluster\/rbac\.yaml/,
  ],
];
for (const [title, change, message] of refused) {
  test(`a start on a Secret that was ${title} is refused, and changes nothing`, async (t) => {
    const first = await open(t);
    await Promise.all([first.write('a', '1'), first.write('b', '2')]);
    await first.state.close();
    change(first.secret);
    const before = first.secret.content;
    await t.throwsAsync(opening({ secret: first.secret }).opened, { instanceOf: SecretError, message });
    t.is(first.secret.content, before);
  });
}

test('a Secret whose seal was taken off is used as it is', async (t) => {
  const first = await open(t);
  await first.write('a', '1');
  await first.state.close();
  first.secret.edit({ annotations: { [seal]: null }, values: new Map([['a', bytes('restored')]]) });
  t.deepEqual(await contentOf((await open(t, { secret: first.secret })).state), { a: 'restored' });
});

test('a Secret that is emptied while it is held is written whole by the next renewal', async (t) => {
  const { secret, clock, lines, write } = await open(t);
  await Promise.all([write('a', '1'), write('b', '2')]);
  secret.edit({
    annotations: { [holder]: null, [seal]: null },
    values: new Map([
      ['a', null],
      ['b', null],
    ]),
  });
  await clock.advance(15_000);
  t.deepEqual([...secret.content.values].map(String), ['a,1', 'b,2']);
  t.true(lines.some((line) => line.includes('writing it again')));
});

test('a Secret that is deleted while it is held is written whole once it is made again', async (t) => {
  const { secret, clock, lines, write } = await open(t);
  await write('a', '1');
  secret.trouble = missing;
  await clock.advance(60_000);
  t.is(lines.filter((line) => line.includes('does not exist')).length, 1);
  secret.trouble = undefined;
  secret.edit({ annotations: { [holder]: null, [seal]: null }, values: new Map([['a', null]]) });
  await clock.advance(15_000);
  t.deepEqual([...secret.content.values].map(String), ['a,1']);
});

test('a failed write is retried until it succeeds, and its caller is told why it is pending', async (t) => {
  const { secret, clock, lines, write, troubles } = await open(t);
  secret.trouble = away;
  let isDone = false;
  const first = write('a', '1').then(() => (isDone = true));
  await settled();
  t.deepEqual(troubles, ['cannot reach the API server']);
  const second = write('b', 'hunter2');
  t.deepEqual(troubles, ['cannot reach the API server', 'cannot reach the API server']);
  await clock.advance(60_000);
  t.false(isDone);
  t.true(secret.patches.length < 15, 'it does not run hot');
  secret.trouble = undefined;
  await clock.advance(15_000);
  await Promise.all([first, second]);
  t.deepEqual([...secret.content.values.keys()], ['a', 'b']);
  t.is(lines.filter((line) => line.includes('is not saved')).length, 1);
  t.true(lines.some((line) => line.includes('is saved again')));
  t.false(
    lines.some((line) => /hunter2|aHVudGVyMg/.test(line)),
    'no value is logged',
  );
});

test('a write that comes while the trouble ends does not wait for the next renewal', async (t) => {
  const { secret, clock, write } = await open(t);
  secret.trouble = away;
  const first = write('a', '1');
  await settled();
  let second: Promise<void> | undefined;
  const patch = secret.patch.bind(secret);
  secret.patch = async (change, signal) => {
    secret.patch = patch;
    const content = await patch(change, signal);
    // Before the server has heard that this one went well.
    second = write('b', '2');
    return content;
  };
  secret.trouble = undefined;
  await clock.advance(1000);
  await first;
  await second;
  t.deepEqual([...secret.content.values.keys()], ['a', 'b']);
});

test('a state that is too large for a Secret is refused, and later writes succeed', async (t) => {
  const { secret, state, write } = await open(t);
  await write('a', '1');
  await t.throwsAsync(
    state.write('b', Buffer.alloc(maxSecretBytes), () => {}),
    {
      message: `Secret tka-system/s cannot hold a state of ${maxSecretBytes + 1} bytes: a Secret takes ${maxSecretBytes}`,
    },
  );
  await write('c', '3');
  t.deepEqual([...secret.content.values.keys()], ['a', 'c']);
});

test('pending changes are saved at the close', async (t) => {
  const { secret, state, write } = await open(t);
  const written = write('a', '1');
  await state.close();
  await written;
  t.is(secret.content.values.get('a')?.toString(), '1');
});
