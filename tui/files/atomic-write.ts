/**
 * Replaces a file in one step: readers see the old content or the new, never a part.
 *
 * A symbolic link stays one (what it points to is replaced), an existing file keeps its mode and owner, a new one and its
 * directories are for the user alone. Synchronous from start to end, so that a signal cannot come between.
 */
import {
  chmodSync,
  chownSync,
  closeSync,
  fchmodSync,
  fsyncSync,
  lstatSync,
  openSync,
  readlinkSync,
  realpathSync,
  renameSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, resolve } from 'node:path';
import { systemCode } from '../errors.ts';
import { naming } from './system-error.ts';
import { makeDirectories } from './make-directory.ts';

export interface AtomicWriteOptions {
  /** Waits until the bytes are on the disk, so that a power cut leaves the old file or the new. */
  readonly durable?: boolean;
}

export function writeFileAtomically(path: string, content: string, { durable = false }: AtomicWriteOptions = {}): void {
  const target = resolveLink(path);
  const before = statSync(target, { throwIfNoEntry: false });
  // Not the directory that a link leads to: where that is missing, its file system may not be mounted.
  if (before === undefined && target === path) makeDirectories(dirname(path));
  const temporary = `${target}.${process.pid}.tmp`;
  const fd = openExclusively(temporary);
  try {
    try {
      naming(target, () => {
        // Not writeSync(), which may write a part and say so by a number.
        writeFileSync(fd, content);
        fchmodSync(fd, before === undefined ? 0o600 : before.mode & 0o7777);
        if (durable) fsyncSync(fd);
      });
    } finally {
      closeSync(fd);
    }
    if (before !== undefined) keepOwner(temporary, before);
    renameSync(temporary, target);
  } catch (error) {
    unlinkSync(temporary);
    throw error;
  }
}

/** Writes as much beside the file as a change of it would, and removes it again; throws the system's error. */
export function tryWriting(path: string, bytes: number): void {
  const temporary = `${resolveLink(path)}.${process.pid}.tmp`;
  const fd = openExclusively(temporary);
  try {
    try {
      writeFileSync(fd, Buffer.alloc(bytes));
    } finally {
      closeSync(fd);
    }
  } finally {
    unlinkSync(temporary);
  }
}

function openExclusively(path: string): number {
  try {
    return openSync(path, 'wx', 0o600);
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error;
    // Left by a process that was killed and had the same number as this one.
    unlinkSync(path);
    return openSync(path, 'wx', 0o600);
  }
}

/** The file at the end of the links, whether it is there or not. */
function resolveLink(path: string): string {
  let target = path;
  for (let links = 0; lstatSync(target, { throwIfNoEntry: false })?.isSymbolicLink() === true; links++) {
    if (links > 40) throw Object.assign(new Error(`too many symbolic links: ${path}`), { code: 'ELOOP' });
    // A relative link is read from the directory that the link really is in.
    target = resolve(realpathSync(dirname(target)), readlinkSync(target));
  }
  return target;
}

/** A rename makes the file ours; under sudo it must stay the user's. */
function keepOwner(path: string, { uid, gid, mode }: { uid: number; gid: number; mode: number }): void {
  const now = statSync(path);
  if (now.uid === uid && now.gid === gid) return;
  try {
    chownSync(path, uid, gid);
    chmodSync(path, mode & 0o7777);
  } catch (error) {
    if (now.uid !== uid) throw error;
  }
}
