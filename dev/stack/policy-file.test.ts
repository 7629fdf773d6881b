import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { policyOf } from './policy.ts';
import { PolicyFile } from './policy-file.ts';
import { until } from './until.ts';

async function open(t: ExecutionContext, first: string) {
  const dir = mkdtempSync(join(tmpdir(), 'tka-policy-'));
  const path = join(dir, 'policy.json');
  writeFileSync(path, first);
  const ended = new AbortController();
  t.teardown(() => {
    ended.abort();
    rmSync(dir, { recursive: true, force: true });
  });
  const applied: string[] = [];
  const refused: string[] = [];
  const file = await PolicyFile.open(path, {
    apply: (changed) => {
      const text = readFileSync(changed, 'utf8');
      if (text.includes('bad')) return Promise.reject(new Error(`refused ${text}`));
      applied.push(text);
      return Promise.resolve();
    },
    onRefused: (reason) => refused.push(reason.message),
    signal: ended.signal,
  });
  const appliedAre = (expected: readonly string[]): Promise<unknown> =>
    until(() => JSON.stringify(applied) === JSON.stringify(expected), {
      what: `${JSON.stringify(applied)} to become ${JSON.stringify(expected)}`,
      timeoutMs: 5000,
    });
  return { file, path, applied, refused, appliedAre };
}

test('a policy file is applied at the start and when it is rewritten in place or replaced', async (t) => {
  const { path, appliedAre } = await open(t, 'one');
  await t.notThrowsAsync(appliedAre(['one']));
  writeFileSync(path, 'two');
  await t.notThrowsAsync(appliedAre(['one', 'two']));
  writeFileSync(`${path}.new`, 'three');
  renameSync(`${path}.new`, path);
  await t.notThrowsAsync(appliedAre(['one', 'two', 'three']));
});

test('a refused policy is reported, and the next good one is applied', async (t) => {
  const { path, refused, appliedAre } = await open(t, 'one');
  writeFileSync(path, 'bad');
  await until(() => refused.length > 0, { what: 'the refusal', timeoutMs: 5000 });
  t.deepEqual(refused, ['refused bad']);
  writeFileSync(path, 'two');
  await t.notThrowsAsync(appliedAre(['one', 'two']));
});

test('a stack whose first policy is refused does not start', async (t) => {
  await t.throwsAsync(open(t, 'bad'), { message: 'refused bad' });
});

test('a written policy is in force when the call returns, and is applied once', async (t) => {
  const { file, applied } = await open(t, 'one');
  const policy = policyOf({});
  await file.write(policy);
  t.deepEqual(
    applied.slice(1).map((text) => JSON.parse(text) as unknown),
    [policy],
  );
  await file.reload();
  t.is(applied.length, 2);
});
