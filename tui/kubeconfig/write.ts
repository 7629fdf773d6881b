/**
 * Writes a kubeconfig back, in one step and with its mode; and tells before a session is opened whether that would work:
 * permissions, a read-only file or file system, and space.
 */
import { accessSync, constants, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { tryWriting, writeFileAtomically } from '../files/atomic-write.ts';
import { systemCode, UserError } from '../errors.ts';
import type { KubeconfigDocument } from './entry.ts';
import { rewriteKubeconfig } from './text.ts';
import { makeDirectories } from '../files/make-directory.ts';

export function writeKubeconfig({ path, text = '', document }: KubeconfigDocument): void {
  explaining(path, () => {
    checkMode(path);
    writeFileAtomically(path, rewriteKubeconfig(text, document), { durable: true });
  });
}

/** Leaves nothing behind but the file's directory. */
export function checkWritable({ path, text = '' }: KubeconfigDocument): void {
  makeDirectoryOf(path);
  explaining(path, () => {
    checkMode(path);
    tryWriting(path, Buffer.byteLength(text) + roomForEntries);
  });
}

export function makeDirectoryOf(path: string): void {
  explaining(path, () => makeDirectories(dirname(path)));
}

/** More than the entries of one session take, a large CA included. */
const roomForEntries = 16 * 1024;

function checkMode(path: string): void {
  const before = statSync(path, { throwIfNoEntry: false });
  if (before === undefined) return;
  // A rename would get past both; root gets past the first.
  accessSync(path, constants.W_OK);
  if ((before.mode & 0o222) === 0) throw Object.assign(new Error('read-only'), { code: 'READ_ONLY' });
}

function explaining(path: string, work: () => void): void {
  try {
    work();
  } catch (cause) {
    const code = systemCode(cause);
    if (code === undefined) throw cause;
    const { reason = code, advice = defaultAdvice } = known[code] ?? {};
    throw new UserError(`the kubeconfig ${path} cannot be written: ${reason}`, [advice], 1, cause);
  }
}

const defaultAdvice = 'Make the file and its directory writable, or name another with --kubeconfig or KUBECONFIG.';
const noSpace = 'Free some space, or name another file with --kubeconfig or KUBECONFIG.';

const known: Readonly<Record<string, { readonly reason?: string; readonly advice?: string }>> = {
  EACCES: { reason: 'permission denied' },
  EPERM: { reason: 'permission denied' },
  READ_ONLY: { reason: 'it is read-only' },
  EROFS: { reason: 'its file system is read-only' },
  ENOSPC: { reason: 'no space left on its file system', advice: noSpace },
  EDQUOT: { reason: 'the disk quota is used up', advice: noSpace },
  ENOTDIR: { reason: 'a file is in the place of its directory' },
  EBUSY: {
    reason: 'it is a mount point',
    advice: 'Mount its directory instead, or name another file with --kubeconfig.',
  },
  ELOOP: { reason: 'too many levels of symbolic links' },
};
