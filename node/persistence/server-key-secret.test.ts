import test from 'ava';
import type { ExecutionContext } from 'ava';
import { sleep } from '../../reconciler/clock.ts';
import { ApiUnavailableError } from '../../reconciler/errors.ts';
import { manualClock, settled } from '../../reconciler/testing/manual-clock.ts';
import { type FakeSecret, fakeSecret, listeningLog, missing } from '../testing/secret.ts';
import { SecretError } from './secret.ts';
import { ServerKeyError } from './server-key.ts';
import { openServerKeySecret, rotateServerKeySecret } from './server-key-secret.ts';

const { signal } = new AbortController();
const keyOf = (secret: FakeSecret): string => secret.content.values.get('server-key')?.toString() ?? '';

function opening(secret: FakeSecret, clock = manualClock(), witness?: string) {
  const { log, lines } = listeningLog();
  const waits: string[] = [];
  const opened = openServerKeySecret(
    { secret, log, clock, onWait: (words) => waits.push(words), wasServing: () => Promise.resolve(witness) },
    signal,
  );
  return { opened, lines, waits, clock };
}

async function open(t: ExecutionContext, secret: FakeSecret) {
  const world = opening(secret);
  const key = await world.opened;
  t.teardown(() => key.close());
  return { ...world, key };
}

test('the first server makes a key of 32 bytes, the others take it', async (t) => {
  const secret = fakeSecret();
  const [first, second] = await Promise.all([open(t, secret), open(t, secret)]);
  t.is(first.key.current().length, 32);
  t.is(secret.content.resourceVersion, '2', 'written once');
  t.deepEqual(second.key.current(), first.key.current());
  const third = await open(t, secret);
  t.deepEqual(third.key.current(), first.key.current());
  t.not(first.key.isNew, second.key.isNew);
  t.false(third.key.isNew);
  t.is(keyOf(secret), `${first.key.current().toString('hex')}\n`);
});

test('an empty Secret of an installation that had a key is refused, and no key is made', async (t) => {
  const secret = fakeSecret();
  const { opened } = opening(secret, manualClock(), 'there are sessions in tka-sessions');
  const error = await t.throwsAsync(opened, { instanceOf: ServerKeyError });
  t.regex(
    error.message,
    /holds no server key, though there are sessions in tka-sessions: it was lost\. Restore it .*tka-server rotate-key/,
  );
  t.deepEqual(secret.patches, []);
  await rotateServerKeySecret(secret, signal);
  t.is((await open(t, secret)).key.current().length, 32, 'after the remedy it starts');
});

test('a Secret that is deleted while it is watched is a problem until it is back', async (t) => {
  const secret = fakeSecret();
  const { key, clock, lines } = await open(t, secret);
  const before = key.current();
  t.is(key.problem(), undefined);
  secret.trouble = missing;
  secret.edit({});
  for (let tries = 0; tries < 3; tries += 1) await clock.advance(15_000);
  t.regex(key.problem() ?? '', /does not exist/);
  t.deepEqual(key.current(), before);
  t.is(lines.filter((line) => line.includes('last one stays in use')).length, 1);
  secret.trouble = undefined;
  for (let tries = 0; tries < 3; tries += 1) await clock.advance(15_000);
  t.is(key.problem(), undefined);
});

test('a Secret that is deleted while a watch of it says nothing is found when the watch ends', async (t) => {
  const clock = manualClock();
  const secret = Object.assign(fakeSecret(), {
    async *watch(until: AbortSignal) {
      await sleep(clock, 60_000, until);
      yield* [];
    },
  });
  const { opened } = opening(secret, clock);
  const key = await opened;
  t.teardown(() => key.close());
  await settled();
  secret.trouble = missing;
  await clock.advance(120_000);
  t.regex(key.problem() ?? '', /does not exist/);
});

test('a rotation is everywhere at once', async (t) => {
  const secret = fakeSecret();
  const [first, second] = [await open(t, secret), await open(t, secret)];
  const before = first.key.current();
  await rotateServerKeySecret(secret, signal);
  await settled();
  t.notDeepEqual(first.key.current(), before);
  t.deepEqual(second.key.current(), first.key.current());
  t.false(first.lines.some((line) => line.includes(before.toString('hex')) || line.includes(keyOf(secret).trim())));
});

const broken: readonly (readonly [string, Buffer | null])[] = [
  ['gone', null],
  ['short', Buffer.from('ab')],
];
for (const [title, value] of broken) {
  test(`a key that is ${title} leaves the last one in force, is no start, and heals by a rotation`, async (t) => {
    const secret = fakeSecret();
    const { key, lines, clock } = await open(t, secret);
    const before = key.current();
    secret.edit({ values: new Map([['server-key', value]]) });
    for (let tries = 0; tries < 5; tries += 1) await clock.advance(15_000);
    t.deepEqual(key.current(), before);
    t.is(lines.filter((line) => line.includes('last one stays in use')).length, 1);
    const error = await t.throwsAsync(opening(secret).opened, {
      instanceOf: ServerKeyError,
      message: /Secret tka-system\/s .*rotate-key/,
    });
    t.false(error.message.includes('ab,'));
    await rotateServerKeySecret(secret, signal);
    await clock.advance(15_000);
    t.notDeepEqual(key.current(), before);
    t.deepEqual((await open(t, secret)).key.current(), key.current());
  });
}

test('a watch that breaks starts over', async (t) => {
  const secret = fakeSecret();
  const { key, clock, lines } = await open(t, secret);
  await settled();
  secret.trouble = new ApiUnavailableError('watch', 'secrets', 'cannot reach the API server');
  secret.edit({});
  await clock.advance(5_000);
  secret.trouble = undefined;
  await rotateServerKeySecret(secret, signal);
  await clock.advance(15_000);
  t.is(`${key.current().toString('hex')}\n`, keyOf(secret));
  t.false(lines.some((line) => line.includes('last one stays in use')));
});

test('an API server that is away is waited for, a Secret that is not there is not', async (t) => {
  const secret = fakeSecret();
  secret.trouble = new ApiUnavailableError('get', 'secrets', 'cannot reach the API server');
  const world = opening(secret);
  await world.clock.advance(5_000);
  t.regex(world.waits.at(-1) ?? '', /Secret tka-system\/s cannot be read/);
  secret.trouble = missing;
  const refused = t.throwsAsync(world.opened, { instanceOf: SecretError });
  await world.clock.advance(15_000);
  await refused;
});
