import test from 'ava';
import { writeFileSync } from 'node:fs';
import { explainSystemError, naming, reasonOf } from './system-error.ts';

/** What the system says where a disk is full, by the one file that always is. */
function writeToFull(): void {
  writeFileSync('/dev/full', 'x');
}

test('a write on a full disk names the path and the remedy', (t) => {
  const error = t.throws(() => naming('/home/alice/.cache/tka/x', writeToFull));
  const explained = explainSystemError(error);
  t.is(explained?.message, 'cannot use /home/alice/.cache/tka/x: no space left on its file system');
  t.deepEqual(explained?.advice, ['Free space there or make it writable.']);
});

test('an error that names its path keeps it', (t) => {
  const error = t.throws(() => naming('/other', () => writeFileSync('/dev/null/x', '')));
  t.is(explainSystemError(error)?.message, 'cannot use /dev/null/x: a file is in the place of a directory');
});

test('other errors are not explained', (t) => {
  t.is(explainSystemError(new Error('no')), undefined);
  for (const code of ['ECONNREFUSED', 'ENOENT']) {
    t.is(explainSystemError(Object.assign(new Error('x'), { code, path: '/run/tailscaled.sock' })), undefined);
  }
  t.is(explainSystemError(Object.assign(new Error('write'), { code: 'ENOSPC' })), undefined, 'it names no path');
  t.is(reasonOf('EIO'), 'EIO');
});
