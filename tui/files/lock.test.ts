import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { UserError } from '../errors.ts';
import { withFileLocks } from './lock.ts';

const directory = mkdtempSync(join(tmpdir(), 'tka-lock-'));
test.after.always(() => rmSync(directory, { recursive: true }));
const { signal } = new AbortController();

test('a lock that stays held is told once, then is an error that names it, and the work is not done', async (t) => {
  const path = join(directory, 'held');
  writeFileSync(`${path}.lock`, '');
  const told: string[] = [];
  const error = await t.throwsAsync(
    withFileLocks([path], () => t.fail('the work was done'), {
      signal,
      waitMs: 100,
      noticeMs: 20,
      onWait: (line) => void told.push(line),
    }),
    { instanceOf: UserError },
  );
  t.is(told.length, 1);
  t.regex(told.join(), /^waiting for the lock \S+held\.lock, held by kubectl or another program since/);
  t.regex(error?.message ?? '', /held\.lock is held by kubectl or another program/);
  t.true(readdirSync(directory).includes('held.lock'), 'it is not broken');
});

test('a wait that is shorter than the notice is silent', async (t) => {
  const path = join(directory, 'short');
  writeFileSync(`${path}.lock`, '');
  const working = withFileLocks([path], () => 'done', {
    signal,
    waitMs: 60_000,
    noticeMs: 60_000,
    onWait: (line) => t.fail(line),
  });
  rmSync(`${path}.lock`);
  t.is(await working, 'done');
  t.false(readdirSync(directory).includes('short.lock'), 'given back');
});

test('of two files one of which is locked, neither lock is kept while the other is waited for', async (t) => {
  const [first, second] = [join(directory, 'a'), join(directory, 'b')];
  writeFileSync(`${second}.lock`, '');
  const waiting = withFileLocks([second, first], () => 'done', {
    signal,
    waitMs: 60_000,
    noticeMs: 20,
    onWait() {
      t.false(readdirSync(directory).includes('a.lock'));
      rmSync(`${second}.lock`);
    },
  });
  t.is(await waiting, 'done');
});
