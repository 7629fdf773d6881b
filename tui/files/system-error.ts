/**
 * What the operating system says about the user's files, in words with the path and the remedy: for errors that no part of the command
 * has explained in its own terms. Node's message of a failed write names no path: `ENOSPC: no space left on device, write`.
 */
import { systemCode, UserError } from '../errors.ts';

const reasons: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EROFS: 'its file system is read-only',
  ENOSPC: 'no space left on its file system',
  EDQUOT: 'the disk quota is used up',
  ENOTDIR: 'a file is in the place of a directory',
  EISDIR: 'a directory is in its place',
  ELOOP: 'too many levels of symbolic links',
};

/** The error code itself if there is no description. */
export function reasonOf(code: string): string {
  return reasons[code] ?? code;
}

/** Undefined if the error is not about a file. */
export function explainSystemError(error: unknown): UserError | undefined {
  const code = systemCode(error);
  if (code === undefined || reasons[code] === undefined) return undefined;
  const { path } = error as NodeJS.ErrnoException;
  if (path === undefined) return undefined;
  const advice = ['Free space there or make it writable.'];
  return new UserError(`cannot use ${path}: ${reasonOf(code)}`, advice, 1, error);
}

/** Runs what writes the file; a system error that names no path gets this one. */
export function naming<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (systemCode(error) !== undefined && error instanceof Error && !('path' in error)) Object.assign(error, { path });
    throw error;
  }
}
