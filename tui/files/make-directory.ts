/**
 * Makes a directory with its parents, for the user alone. Not Node's own `recursive`: under /proc, where a directory is there
 * and making one in it fails with ENOENT, that never returns.
 */
import { existsSync, mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { systemCode } from '../errors.ts';

/** Throws the system's error. */
export function makeDirectories(path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    const code = systemCode(error);
    const parent = dirname(path);
    if (code === 'ENOENT' && parent !== path && !existsSync(parent)) {
      makeDirectories(parent);
      mkdirSync(path, { mode: 0o700 });
    } else if (statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) throw error;
  }
}
