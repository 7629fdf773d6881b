/**
 * Directories of running shells: `sessions/<owner>` for `tka shell` and `tka exec`, `shells/<pid>` for logins in a
 * shell with the integration. In `$XDG_RUNTIME_DIR/tka` where that is ours alone, else in `$XDG_CACHE_HOME/tka/run`. Directories
 * are 0700. Loads nothing: it is on the path of `tka login`.
 */
import { readdirSync, rmSync, statSync } from 'node:fs';
import { basename, dirname, isAbsolute, join } from 'node:path';
import { cacheDirectory, isOurs } from '../files/directories.ts';
import { ifSystemAllows, systemCode, UserError } from '../errors.ts';
import { makeDirectories } from '../files/make-directory.ts';
import type { Runtime } from '../runtime.ts';
import { reasonOf } from '../files/system-error.ts';

type Environment = Runtime['env'];
export type Kind = 'sessions' | 'shells';

/** Where new directories are made. */
export function runDirectory(env: Environment): string {
  const runtime = env['XDG_RUNTIME_DIR'];
  return runtime !== undefined && isAbsolute(runtime) && isOursAlone(runtime)
    ? join(runtime, 'tka')
    : join(cacheDirectory(env), 'run');
}

/** Every place where another process of the user's may have made some: cron jobs and `su` have no XDG_RUNTIME_DIR. */
export function runDirectories(env: Environment): readonly string[] {
  const login = `/run/user/${process.getuid?.() ?? 'none'}`;
  return [
    ...new Set([
      runDirectory(env),
      join(cacheDirectory(env), 'run'),
      ...(isOursAlone(login) ? [join(login, 'tka')] : []),
    ]),
  ];
}

export function makePrivateDirectory(path: string): void {
  try {
    makeDirectories(path);
  } catch (cause) {
    const code = systemCode(cause);
    if (code === undefined) throw cause;
    throw new UserError(
      `cannot make the private directory ${path}: ${reasonOf(code)}`,
      ['Make its parent writable, or set XDG_CACHE_HOME to a writable directory.'],
      1,
      cause,
    );
  }
  if (isPrivate(path)) return;
  throw new UserError(
    `cannot make the private directory ${path}: others on this machine can write to a parent directory`,
    ['Make it private (chmod 700), or set XDG_CACHE_HOME to a private directory.'],
  );
}

/** Including its parents, up to the command's own: a writer there could replace it. */
function isPrivate(path: string): boolean {
  if (!isOurs(path)) return false;
  return basename(path) === 'tka' || path === dirname(path) || isPrivate(dirname(path));
}

/** The directories of one kind, wherever they are ours. */
export function listDirectories(env: Environment, kind: Kind): readonly string[] {
  return runDirectories(env).flatMap((run) => {
    if (!isPrivate(run)) return [];
    const entries = ifSystemAllows(() => readdirSync(join(run, kind), { withFileTypes: true })) ?? [];
    return entries.filter((entry) => entry.isDirectory()).map((entry) => join(run, kind, entry.name));
  });
}

/** A file or a directory. What cannot be removed stays, and is tried again by each later start. */
export function remove(path: string): void {
  ifSystemAllows(() => rmSync(path, { recursive: true, force: true }));
}

function isOursAlone(path: string): boolean {
  const stat = ifSystemAllows(() => statSync(path));
  // Undefined where the system has no such numbers.
  const uid = process.getuid?.();
  return stat?.isDirectory() === true && (uid === undefined || (stat.uid === uid && (stat.mode & 0o077) === 0));
}
