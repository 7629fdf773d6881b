/**
 * Changes the configuration file by one key, and leaves the rest as it is: comments, order, and keys that are others'.
 *
 * Without --config it is the user's own file. Where there is none yet but the system's is in force, the user's own begins as
 * its copy, because the first file counts alone.
 */
import { isMap } from 'yaml';
import { writeFileAtomically } from '../files/atomic-write.ts';
import { parseYaml, settingsIn } from './config-file.ts';
import { systemCode, UserError } from '../errors.ts';
import { withFileLocks } from '../files/lock.ts';
import type { Runtime } from '../runtime.ts';
import { ownSettingsPath, readSettingsFile } from './settings.ts';
import type { SettingValue } from './table.ts';
import { reasonOf } from '../files/system-error.ts';

export interface Edited {
  readonly path: string;
  readonly changed: boolean;
  /** The file that this one began as a copy of. */
  readonly copied?: string;
}

/** `value`: undefined removes the key. Throws UserError where the file is broken, before or after, or cannot be written. */
export async function editSettings(
  { env, signal }: Pick<Runtime, 'env' | 'signal'>,
  config: string | undefined,
  key: string,
  value: SettingValue | undefined,
): Promise<Edited> {
  const path = config ?? ownSettingsPath(env);
  const work = (): Edited => {
    const before = readIfThere(env, config);
    const after = change(before?.text ?? '', before?.path ?? path, key, value);
    if (after === undefined) return { path, changed: false };
    // What cannot be read the next time is not written.
    settingsIn(after, path);
    writeFileAtomically(path, after);
    return { path, changed: true, ...(before === undefined || before.path === path ? {} : { copied: before.path }) };
  };
  try {
    return await withFileLocks([path], work, { signal, waitMs: 5000 });
  } catch (cause) {
    const code = systemCode(cause);
    if (code === undefined || signal.aborted) throw cause;
    const advice = ['Make it and its directory writable, or name another file with --config.'];
    throw new UserError(`${path} cannot be written: ${reasonOf(code)}`, advice, 1, cause);
  }
}

/** A file that is to be made is not there yet, with --config too. */
function readIfThere(env: Runtime['env'], config: string | undefined): { path: string; text: string } | undefined {
  try {
    return readSettingsFile(env, config);
  } catch (error) {
    if (error instanceof UserError && error.exitCode === 2) return undefined;
    throw error;
  }
}

/** Undefined where nothing changes. */
function change(text: string, path: string, key: string, value: SettingValue | undefined): string | undefined {
  const document = parseYaml(text, path);
  if (document.contents === null) {
    const { commentBefore } = document;
    document.contents = document.createNode({}) as never;
    document.commentBefore = commentBefore;
  }
  if (!isMap(document.contents)) throw new UserError(`${path}: top level is not a mapping`, ['Correct the file.']);
  const steps = key.split('.');
  if (value === undefined) {
    if (!document.hasIn(steps)) return undefined;
    document.deleteIn(steps);
    const parent = steps.slice(0, -1);
    const left = parent.length === 0 ? undefined : document.getIn(parent, true);
    if (isMap(left) && left.items.length === 0) document.deleteIn(parent);
  } else {
    const [first = ''] = steps;
    // `discovery: false` gives way to `discovery.tags`.
    if (steps.length > 1 && document.has(first) && !isMap(document.get(first, true))) document.delete(first);
    const node = typeof value === 'object' ? document.createNode(value, { flow: false }) : value;
    document.setIn(steps, node);
  }
  return document.toString({ lineWidth: 0 });
}
