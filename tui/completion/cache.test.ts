import { chmodSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { untilPath, writeUntil } from '../credential/cache.ts';
import { cacheDirectory } from '../files/directories.ts';
import { createTestRuntime } from '../testing/tailscaled.ts';
import { cachedAnswer, cachedAnswerPath } from './cache.ts';

const question = ['roles', 'tka'];

/** A runtime whose clock the test moves, and an asker that counts. */
function create(t: ExecutionContext) {
  const clock = { now: Date.parse('2030-01-01T00:00:00Z') };
  const runtime = { ...createTestRuntime(t), now: () => new Date(clock.now) };
  const asker = { asked: 0, answer: async (): Promise<readonly string[]> => ['view'] };
  const ask = async (): Promise<readonly string[]> => {
    asker.asked += 1;
    return asker.answer();
  };
  return { clock, runtime, asker, get: (limitMs = 1000) => cachedAnswer(runtime, { question, limitMs, ask }) };
}

test('an answer is asked for once in five minutes', async (t) => {
  const { clock, asker, get } = create(t);
  t.deepEqual(await get(), ['view']);
  clock.now += 299_000;
  t.deepEqual(await get(), ['view']);
  t.is(asker.asked, 1);
  clock.now += 2000;
  asker.answer = async () => ['edit'];
  t.deepEqual(await get(), ['edit']);
});

test('who does not answer is not waited for longer than the limit, nor asked again at once', async (t) => {
  const { asker, get } = create(t);
  asker.answer = () => new Promise(() => {});
  // Nothing else keeps the process alive for as long as the limit.
  const held = setInterval(() => {}, 1000);
  t.teardown(() => clearInterval(held));
  t.deepEqual(await get(20), []);
  t.deepEqual(await get(20), []);
  t.is(asker.asked, 1);
});

test('an old answer is used after a failure', async (t) => {
  const { clock, asker, get } = create(t);
  await get();
  clock.now += 3_600_000;
  asker.answer = async () => {
    throw new Error('away');
  };
  t.deepEqual(await get(), ['view']);
  clock.now += 30_000;
  asker.answer = async () => ['edit'];
  t.deepEqual(await get(), ['edit']);
});

test('a broken file, or one from the future, is refreshed', async (t) => {
  const { clock, runtime, asker, get } = create(t);
  const path = cachedAnswerPath(runtime.env, question);
  mkdirSync(dirname(path), { recursive: true });
  for (const content of [
    '{',
    '{"at":1}',
    '[]',
    JSON.stringify({ at: clock.now + 1e9, isAnswer: true, values: ['x'] }),
  ]) {
    writeFileSync(path, content);
    t.deepEqual(await get(), ['view'], content);
  }
  t.is(asker.asked, 4);
});

test('answers are for the user alone', async (t) => {
  const { runtime, get } = create(t);
  await get();
  const path = cachedAnswerPath(runtime.env, question);
  t.is(statSync(path).mode & 0o777, 0o600);
  t.is(statSync(dirname(path)).mode & 0o777, 0o700);
});

test('nothing is written where others can write to the cache: a link of theirs may lead to a file of the user', async (t) => {
  const { runtime, asker, get } = create(t);
  const path = cachedAnswerPath(runtime.env, question);
  const precious = join(runtime.home, 'precious');
  writeFileSync(precious, 'mine');
  mkdirSync(dirname(path), { recursive: true });
  symlinkSync(precious, path);
  chmodSync(cacheDirectory(runtime.env), 0o777);
  t.deepEqual(await get(), ['view']);
  t.is(asker.asked, 1);
  const key = { server: 'http://tka', session: 'alice-1' };
  mkdirSync(dirname(untilPath(runtime.env, key)), { recursive: true });
  symlinkSync(precious, untilPath(runtime.env, key));
  t.false(writeUntil(runtime.env, key, { until: new Date(), role: 'view', cluster: 'prod' }));
  t.is(readFileSync(precious, 'utf8'), 'mine');
});
