import { spawn } from 'node:child_process';
import { once } from 'node:events';
import process from 'node:process';
import test from 'ava';
import { isOwner, ownerOf, stateOf } from './process-owner.ts';

test('a process that runs is alive, and dead when it is over', async (t) => {
  const child = spawn('cat', { stdio: ['pipe', 'ignore', 'ignore'] });
  await once(child, 'spawn');
  const owner = ownerOf(child.pid ?? 0);
  t.is(stateOf(owner), 'alive');
  t.true(isOwner(JSON.parse(JSON.stringify(owner))));
  child.stdin.end();
  await once(child, 'close');
  t.is(stateOf(owner), 'dead');
});

test('a later process with the same number is another', (t) => {
  const owner = ownerOf(process.pid);
  const later = `${Number(owner.started) + 1}`;
  // Where the system does not say when processes start, the number is all there is.
  t.is(
    stateOf({ ...owner, ...(owner.started === undefined ? {} : { started: later }) }),
    owner.started === undefined ? 'alive' : 'dead',
  );
});

test('of another machine, or another PID namespace, nothing is known', (t) => {
  t.is(stateOf({ ...ownerOf(process.pid), machine: 'elsewhere pid:[4026531836]' }), 'unknown');
});

for (const [value, expected] of [
  [{ pid: 2, machine: 'x' }, true],
  [{ pid: 2, started: '1', machine: 'x' }, true],
  [{ pid: 1, machine: 'x' }, false],
  [{ pid: -2, machine: 'x' }, false],
  [{ pid: '2', machine: 'x' }, false],
  [{ pid: 2, started: 1, machine: 'x' }, false],
  [{ pid: 2 }, false],
  [null, false],
] as const) {
  test(`${JSON.stringify(value)} is ${expected ? 'an' : 'no'} owner`, (t) => {
    t.is(isOwner(value), expected);
  });
}
