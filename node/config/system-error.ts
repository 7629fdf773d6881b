/**
 * What the operating system says about files, in words that name the path and the remedy. Node's own message of a failed write has no
 * path at all: `ENOSPC: no space left on device, write`.
 */
import type { SettingKey } from './settings.ts';
import { waysToSet } from './index.ts';

/** A file or directory that the server needs cannot be written. */
class FileError extends Error {
  override readonly name = 'FileError';
}

const reasons: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EROFS: 'its file system is read-only',
  ENOSPC: 'no space left on its file system',
  EDQUOT: 'the disk quota is used up',
  ENOTDIR: 'a file is in the place of a directory',
  EISDIR: 'a directory is in its place',
  ELOOP: 'too many levels of symbolic links',
  EMFILE: 'too many open files',
};

/** Runs what writes at the path that the setting leads to; what the system refuses rejects with the path and the remedy. */
export function writing<T>(path: string, setting: SettingKey, work: () => T): T {
  try {
    return work();
  } catch (error) {
    const reason = reasonOf(error);
    if (reason === undefined) throw error;
    throw new FileError(
      `cannot write ${path}: ${reason}; free space or make it writable, or set another path with ${waysToSet(setting)}`,
      { cause: error },
    );
  }
}

/** The message of any error that ends a program; of a file's, never without its path where that is known. */
export function messageOf(error: unknown): string {
  const reason = reasonOf(error);
  if (reason === undefined) return error instanceof Error ? error.message : String(error);
  const { path, syscall } = error as NodeJS.ErrnoException;
  return path === undefined ? `${reason} (${syscall ?? 'file'})` : `${path}: ${reason}`;
}

/** Undefined where it is no error of the system, or one without better words. */
export function reasonOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return undefined;
  return reasons[error.code];
}
