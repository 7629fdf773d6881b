import { existsSync, mkdirSync, mkdtempSync, readdirSync, readlinkSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { tryWriting, writeFileAtomically } from './atomic-write.ts';

function temporary(t: ExecutionContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'tka-atomic-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  return directory;
}

test('a write that fails leaves nothing beside the file', (t) => {
  const directory = temporary(t);
  mkdirSync(join(directory, 'config'));
  t.throws(() => writeFileAtomically(join(directory, 'config'), 'x'), { code: 'EISDIR' });
  t.deepEqual(readdirSync(directory), ['config']);
});

test('a trial leaves nothing, and fails where the file could not be written', (t) => {
  const directory = temporary(t);
  tryWriting(join(directory, 'config'), 1000);
  t.deepEqual(readdirSync(directory), []);
  t.throws(() => tryWriting(join(directory, 'none', 'config'), 1), { code: 'ENOENT' });
});

test('the target of a dangling link is made, for the user alone, and the link stays', (t) => {
  const directory = temporary(t);
  const [link, target] = [join(directory, 'config'), join(directory, 'real')];
  symlinkSync('real', link);
  writeFileAtomically(link, 'x');
  t.is(readlinkSync(link), 'real');
  t.is(statSync(target).mode & 0o777, 0o600);
});

test('the directory that a link leads to is not made: its file system may not be mounted', (t) => {
  const directory = temporary(t);
  symlinkSync('mnt/config', join(directory, 'config'));
  t.throws(() => writeFileAtomically(join(directory, 'config'), 'x'), { code: 'ENOENT' });
  t.false(existsSync(join(directory, 'mnt')));
  writeFileAtomically(join(directory, 'new', 'config'), 'x');
  t.is(statSync(join(directory, 'new')).mode & 0o777, 0o700);
});

test('links in a circle are refused', (t) => {
  const directory = temporary(t);
  symlinkSync('b', join(directory, 'a'));
  symlinkSync('a', join(directory, 'b'));
  t.throws(() => writeFileAtomically(join(directory, 'a'), 'x'), { code: 'ELOOP' });
});
