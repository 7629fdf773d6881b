/**
 * Errors of the operating system about files, with the path and the remedy. Node.js's own message of a failed write has no path:
 * `ENOSPC: no space left on device, write`.
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

/** Runs a write to a path that the setting determines; an error of the system becomes one with the path and the remedy. */
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

/** The message of an error that ends the program; for a file with its path, where that is known. */
export function messageOf(error: unknown): string {
  const reason = reasonOf(error);
  if (reason === undefined) return error instanceof Error ? error.message : String(error);
  const { path, syscall } = error as NodeJS.ErrnoException;
  return path === undefined ? `${reason} (${syscall ?? 'file'})` : `${path}: ${reason}`;
}

/** Undefined where it is not an error of the system, or one without a better description. */
export function reasonOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return undefined;
  return reasons[error.code];
}
