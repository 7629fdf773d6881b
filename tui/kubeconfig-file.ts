/**
 * The user's kubeconfig files, by client-go's rules: --kubeconfig, else the list in KUBECONFIG, else ~/.kube/config.
 *
 * `editKubeconfig` takes kubectl's locks, reads, lets `edit` change the documents, and writes back those that changed,
 * each in one step and with its mode. New entries belong in the first file of the list that exists, else in the last. A file
 * that cannot be read, parsed or written stops everything with an error that names it; nothing is lost.
 */
import { accessSync, constants, existsSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { Document, isMap, isSeq, parseDocument } from 'yaml';
import { writeFileAtomically } from './atomic-write.ts';
import { homeDirectory } from './directories.ts';
import { systemCode, UserError } from './errors.ts';
import { withFileLocks } from './file-lock.ts';
import type { KubeconfigDocument } from './kubeconfig-entries.ts';
import type { Runtime } from './runtime.ts';

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

/** Without a lock: for reading alone. */
export function readKubeconfig(paths: readonly string[]): KubeconfigFiles {
  const files = paths.flatMap((path) => {
    const text = readIfPresent(path);
    return text === undefined ? [] : [{ path, document: parse(text, path), changed: false }];
  });
  const [first] = files;
  const last = paths.at(-1);
  if (first !== undefined) return { files, destination: first };
  if (last === undefined) throw new Error('no kubeconfig path');
  const destination = { path: last, document: emptyKubeconfig(), changed: false };
  return { files: [destination], destination };
}

export interface EditOptions {
  readonly signal: AbortSignal;
  readonly lockWaitMs?: number;
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
    for (const file of kubeconfig.files) if (file.changed) write(file);
    return result;
  };
  if (options.create === true) makeDirectory(paths);
  return withFileLocks(paths, work, { signal: options.signal, waitMs: options.lockWaitMs ?? 10_000 });
}

function makeDirectory(paths: readonly string[]): void {
  const path = paths.find((candidate) => existsSync(candidate)) ?? paths.at(-1) ?? '';
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw cannotWrite(path, cause);
  }
}

/** YAML as kubectl writes it: lists not indented under their key, long lines left whole. */
export function renderYaml(document: Document, like = ''): string {
  const indentSeq = /^[a-z-]+:[^\S\n]*\n(?:\s*#.*\n)*[^\S\n]+- /m.test(like);
  return document.toString({ lineWidth: 0, indentSeq });
}

const skeleton = { apiVersion: 'v1', kind: 'Config', clusters: [], users: [], contexts: [], 'current-context': '' };

function readIfPresent(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    const code = systemCode(cause);
    if (code === 'ENOENT') return undefined;
    const advice = ['Correct it, or name another file with --kubeconfig or KUBECONFIG.'];
    if (code === 'EISDIR') throw new UserError(`the kubeconfig ${path} is a directory`, advice, 1, cause);
    if (code === 'EACCES')
      throw new UserError(
        `the kubeconfig ${path} may not be read`,
        [`Its mode or owner forbids it: ls -l ${path}`],
        1,
        cause,
      );
    throw new UserError(`the kubeconfig ${path} cannot be read: ${code ?? 'unknown error'}`, advice, 1, cause);
  }
}

function parse(text: string, path: string): Document {
  // Numbers that we do not know must come back as they were, the long ones too.
  const document: Document = parseDocument(text, { intAsBigInt: true });
  const advice = ['Nothing was changed. Correct the file, or name another with --kubeconfig or KUBECONFIG.'];
  const [error] = document.errors;
  if (error !== undefined) {
    throw new UserError(
      `the kubeconfig ${path} is not valid YAML: ${error.message.split('\n')[0] ?? ''}`,
      advice,
      1,
      error,
    );
  }
  if (document.contents === null) document.contents = document.createNode(skeleton);
  if (!isMap(document.contents)) throw new UserError(`${path} is not a kubeconfig: it is no map`, advice);
  for (const key of ['clusters', 'users', 'contexts']) {
    const list = document.get(key, true);
    const items = isSeq(list) ? list.items : [];
    if (list !== undefined && !isSeq(list) && document.get(key) !== null) {
      throw new UserError(`${path} is not a kubeconfig: ${key} is no list`, advice);
    }
    items.forEach((item, index) => {
      if (!isMap(item)) throw new UserError(`${path} is not a kubeconfig: ${key}[${index}] is no map`, advice);
    });
  }
  return document;
}

function emptyKubeconfig(): Document {
  return new Document(skeleton);
}

function write({ path, document }: KubeconfigDocument): void {
  try {
    const before = statSync(path, { throwIfNoEntry: false });
    // A rename would get past both; root gets past the second.
    if (before !== undefined) accessSync(path, constants.W_OK);
    if (before !== undefined && (before.mode & 0o222) === 0)
      throw Object.assign(new Error('read-only'), { code: 'EROFS' });
    const like = before === undefined ? '' : readFileSync(path, 'utf8');
    writeFileAtomically(path, renderYaml(document, like), { durable: true });
  } catch (cause) {
    throw cannotWrite(path, cause);
  }
}

function cannotWrite(path: string, cause: unknown): unknown {
  const code = systemCode(cause);
  if (code === undefined) return cause;
  const advice =
    code === 'EBUSY'
      ? 'It looks mounted by itself: mount its directory instead, or name another file with --kubeconfig.'
      : 'Make the file and its directory writable, or name another with --kubeconfig or KUBECONFIG.';
  const reason = code === 'EROFS' ? 'it is read-only' : code;
  return new UserError(`the kubeconfig ${path} cannot be written: ${reason}`, [advice], 1, cause);
}
