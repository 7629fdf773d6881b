import { existsSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spawnSync } from 'node:child_process';
import test, { type ExecutionContext } from 'ava';
import { ownerOf } from '../files/process-owner.ts';
import { type FlightOptions, singleFlight } from './single-flight.ts';

function setup(t: ExecutionContext) {
  const directory = mkdtempSync(join(tmpdir(), 'tka-flight-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const path = join(directory, 'sub', 'x.lock');
  let landed: string | undefined;
  const options = (changes: Partial<FlightOptions<string>> = {}): FlightOptions<string> => ({
    path,
    pid: process.pid,
    landed: () => landed,
    work: () => Promise.resolve('worked'),
    staleMs: 10_000,
    signal: AbortSignal.timeout(5000),
    ...changes,
  });
  return { path, options, land: (value: string) => void (landed = value) };
}

test('who comes first works, and leaves no lock', async (t) => {
  const { path, options } = setup(t);
  t.is(await singleFlight(options()), 'worked');
  t.false(existsSync(path));
});

test('who comes later takes what the first has done', async (t) => {
  const { options, land } = setup(t);
  const { promise: done, resolve: finish } = Promise.withResolvers<void>();
  const first = singleFlight(options({ work: () => done.then(() => (land('first'), 'first')) }));
  const second = singleFlight(options({ work: () => Promise.resolve('second') }));
  finish();
  t.deepEqual(await Promise.all([first, second]), ['first', 'first']);
});

test('where the first fails the next tries for itself', async (t) => {
  const { options } = setup(t);
  const first = singleFlight(options({ work: () => Promise.reject(new Error('no')) }));
  const second = singleFlight(options());
  await t.throwsAsync(first, { message: 'no' });
  t.is(await second, 'worked');
});

test('the lock of a process that is dead is taken over', async (t) => {
  const { path, options } = setup(t);
  await singleFlight(options());
  const dead = spawnSync(process.execPath, ['-e', '0']).pid;
  writeFileSync(path, JSON.stringify({ ...ownerOf(dead), started: '1' }));
  t.is(await singleFlight(options()), 'worked');
  t.false(existsSync(path));
});

test('a lock that is older than any holder may be is taken over', async (t) => {
  const { path, options } = setup(t);
  await singleFlight(options());
  writeFileSync(path, JSON.stringify(ownerOf(process.pid)));
  const past = new Date(Date.now() - 20_000);
  utimesSync(path, past, past);
  t.is(await singleFlight(options()), 'worked');
});

test('a holder that lives is waited for until the signal ends it, and keeps its lock', async (t) => {
  const { path, options } = setup(t);
  await singleFlight(options());
  writeFileSync(path, JSON.stringify(ownerOf(process.ppid)));
  await t.throwsAsync(singleFlight(options({ signal: AbortSignal.timeout(100) })), { name: 'AbortError' });
  t.true(existsSync(path));
});

test('without a place for the lock everybody works', async (t) => {
  const { path, options } = setup(t);
  await singleFlight(options());
  writeFileSync(join(path, '..', 'file'), '');
  t.is(await singleFlight(options({ path: join(path, '..', 'file', 'x.lock') })), 'worked');
});
