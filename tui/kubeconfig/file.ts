/**
 * The user's kubeconfig files, by client-go's rules: --kubeconfig, else the list in KUBECONFIG, else ~/.kube/config.
 *
 * `editKubeconfig` takes kubectl's locks, reads, lets `edit` change the documents, and writes back those that changed,
 * each in one step and with its mode. New entries belong in the first file of the list that exists, else in the last. A file
 * that cannot be read, parsed or written stops everything with an error that names it; nothing is lost. `checkKubeconfig`
 * finds that out before anything is to be written.
 */
import { existsSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { Document } from 'yaml';
import { homeDirectory, knownHome } from '../files/directories.ts';
import { systemCode, UserError } from '../errors.ts';
import { type LockOptions, withFileLocks } from '../files/lock.ts';
import type { KubeconfigDocument } from './entry.ts';
import { decodeKubeconfig, parseKubeconfig, skeleton } from './parse.ts';
import { checkWritable, makeDirectoryOf, writeKubeconfig } from './write.ts';
import type { Runtime } from '../runtime.ts';

export interface KubeconfigFiles {
  /** In the order of the list; files that are not there are left out. */
  readonly files: readonly KubeconfigDocument[];
  /** Where new entries go: one of `files`, or a file to be made. */
  readonly destination: KubeconfigDocument;
}

export function kubeconfigPaths(env: Runtime['env'], flag: string | undefined): readonly string[] {
  if (flag !== undefined) return [flag];
  const listed = [...new Set((env['KUBECONFIG'] ?? '').split(delimiter).filter((path) => path !== ''))];
  return listed.length > 0 ? listed : [join(homeDirectory(env), '.kube', 'config')];
}

/** All that kubectl may read without a flag, here and in other shells; fewer where the home directory is not known. */
export function userKubeconfigs(env: Runtime['env']): readonly string[] {
  const listed = (env['KUBECONFIG'] ?? '').split(delimiter).filter((path) => path !== '');
  const home = knownHome(env);
  return [...new Set([...(home === undefined ? [] : [join(home, '.kube', 'config')]), ...listed])];
}

/** Without a lock: for reading alone. */
export function readKubeconfig(paths: readonly string[]): KubeconfigFiles {
  const files = paths.flatMap((path) => {
    const text = readIfPresent(path);
    return text === undefined ? [] : [{ path, text, document: parseKubeconfig(text, path), changed: false }];
  });
  const [first] = files;
  const last = paths.at(-1);
  if (first !== undefined) return { files, destination: first };
  if (last === undefined) throw new Error('no kubeconfig path');
  const destination = { path: last, document: new Document(skeleton), changed: false };
  return { files: [destination], destination };
}

export interface EditOptions {
  readonly signal: AbortSignal;
  readonly lockWaitMs?: number;
  /** Hears of a lock that is waited for, once, after a second. */
  readonly onWait?: ((line: string) => void) | undefined;
  /** Makes the directory of the file that new entries go to: without it there is nothing to lock. */
  readonly create?: boolean;
}

export async function editKubeconfig<T>(
  paths: readonly string[],
  edit: (files: KubeconfigFiles) => T,
  options: EditOptions,
): Promise<T> {
  const work = (): T => {
    const kubeconfig = readKubeconfig(paths);
    const result = edit(kubeconfig);
    for (const file of kubeconfig.files) if (file.changed) writeKubeconfig(file);
    return result;
  };
  if (options.create === true) makeDirectoryOf(paths.find((path) => existsSync(path)) ?? paths.at(-1) ?? '');
  return withFileLocks(paths, work, lockOptions(options));
}

/**
 * Throws what `editKubeconfig` would: for the file that new entries go to, and for those that have entries to be changed.
 * Changes nothing but that the directory of the file is made.
 */
export async function checkKubeconfig(
  paths: readonly string[],
  hasEntries: (file: KubeconfigDocument) => boolean,
  options: EditOptions,
): Promise<void> {
  const work = (): void => {
    const { files, destination } = readKubeconfig(paths);
    for (const file of files) if (file === destination || hasEntries(file)) checkWritable(file);
  };
  await withFileLocks(paths, work, lockOptions(options));
}

function lockOptions({ signal, lockWaitMs = 10_000, onWait }: EditOptions): LockOptions {
  return { signal, waitMs: lockWaitMs, onWait };
}

function readIfPresent(path: string): string | undefined {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (cause) {
    const code = systemCode(cause);
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    const advice = ['Correct it, or name another file with --kubeconfig or KUBECONFIG.'];
    if (code === 'EISDIR') throw new UserError(`the kubeconfig ${path} is a directory`, advice, 1, cause);
    if (code === 'EACCES')
      throw new UserError(
        `the kubeconfig ${path} cannot be read: permission denied`,
        [`Its mode or owner forbids it: ls -l ${path}`],
        1,
        cause,
      );
    throw new UserError(`the kubeconfig ${path} cannot be read: ${code ?? 'unknown error'}`, advice, 1, cause);
  }
  return decodeKubeconfig(bytes, path);
}
