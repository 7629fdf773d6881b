/**
 * The key that all of the proxy's tokens are made with: 32 random bytes in `server-key` of tka's state directory, 0600, or in a
 * Secret (server-key-secret.ts).
 *
 * Made at the first start. A rotation replaces the file; a running server notices, and every token given out before is worth
 * nothing from then on: people log in again.
 */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  fchownSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { reasonOf, writing } from '../config/system-error.ts';

const keyBytes = 32;

export class ServerKeyError extends Error {
  override readonly name = 'ServerKeyError';
}

/** Throws ServerKeyError where the file is there and is no key: one of less bits must not be used, and a new one not be made in silence. */
export function loadServerKey(stateDir: string): Buffer {
  const path = keyPath(stateDir);
  const present = readIfPresent(path);
  if (present !== undefined) return parseServerKey(present, path);
  if (hasJoined(stateDir)) throw lost(path, 'this server has joined the tailnet before (tailscaled.state)');
  const temporary = writeTemporary(path);
  try {
    // Unlike a rename this fails where another start was quicker; then the other's key counts.
    linkSync(temporary, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    rmSync(temporary, { force: true });
  }
  return parseServerKey(readFileSync(path), path);
}

/** The key was there once, and is not any more. */
export function lost(place: string, witness: string): ServerKeyError {
  return new ServerKeyError(
    `${place} holds no server key, though ${witness}: it was lost. Restore it from a backup, or make a new one with \`tka-server rotate-key\`; then everyone logs in again`,
  );
}

export interface WatchedKey {
  /** Why the key where it is kept is not the one in force; undefined: it is. */
  problem(): string | undefined;
  /** The key in force. One that is gone or broken where it is kept leaves the last one in force. */
  current(): Buffer;
}

export interface WatchOptions {
  readonly now?: () => number;
  /** Told once of a file that cannot be read or holds no key: a rotation that has not happened. */
  readonly onTrouble?: (error: ServerKeyError) => void;
}

/** Makes the key where there is none; looks at the file at most once a second. */
export function watchServerKey(
  stateDir: string,
  { now = () => performance.now(), onTrouble }: WatchOptions = {},
): WatchedKey {
  let key = loadServerKey(stateDir);
  let lookedAt = now();
  let told = '';
  const look = (): void => {
    if (now() - lookedAt < 1000) return;
    lookedAt = now();
    try {
      const content = readIfPresent(keyPath(stateDir));
      if (content === undefined) throw lost(keyPath(stateDir), 'this server has one in memory');
      key = parseServerKey(content, keyPath(stateDir));
      told = '';
    } catch (error) {
      if (!(error instanceof ServerKeyError)) throw error;
      if (told !== error.message) onTrouble?.(error);
      told = error.message;
    }
  };
  return {
    current() {
      look();
      return key;
    },
    problem() {
      look();
      return told === '' ? undefined : told;
    },
  };
}

/** tka's node in this directory has joined: its own CA and the client's profile. A directory of the Go tka has no such CA. */
function hasJoined(stateDir: string): boolean {
  try {
    readFileSync(join(stateDir, 'own-ca.pem'));
    return readFileSync(join(stateDir, 'tailscaled.state'), 'latin1').includes('"_current-profile"');
  } catch {
    return false;
  }
}

/** The new file belongs to whom the directory does: an administrator rotates what the server must be able to read. */
export function rotateServerKey(stateDir: string): void {
  const path = keyPath(stateDir);
  const temporary = writeTemporary(path);
  writing(path, 'tailscale.stateDir', () => renameSync(temporary, path));
}

export function keyPath(stateDir: string): string {
  return join(stateDir, 'server-key');
}

/** Beside the path, in a directory that is made where there is none; leaves nothing where it fails. */
function writeTemporary(path: string): string {
  const temporary = `${path}.${randomBytes(6).toString('hex')}`;
  return writing(path, 'tailscale.stateDir', () => {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const file = openSync(temporary, 'wx', 0o600);
    try {
      // Not writeSync(), which may write a part and say so by a number.
      writeFileSync(file, `${randomBytes(keyBytes).toString('hex')}\n`);
      const { uid, gid } = statSync(dirname(path));
      // Only root can, and only root has to.
      if (process.getuid?.() === 0) fchownSync(file, uid, gid);
      fsyncSync(file);
    } catch (error) {
      rmSync(temporary, { force: true });
      throw error;
    } finally {
      closeSync(file);
    }
    return temporary;
  });
}

function readIfPresent(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    const { code } = error as NodeJS.ErrnoException;
    throw new ServerKeyError(`cannot read the server key ${path}: ${reasonOf(error) ?? code}`, { cause: error });
  }
}

/** Throws a ServerKeyError that names the place and shows nothing of the content. */
export function parseServerKey(content: Buffer, path: string): Buffer {
  const match = /^([0-9a-f]{64})\s*$/.exec(content.toString('latin1'));
  if (match?.[1] === undefined) {
    throw new ServerKeyError(
      `${path} holds no server key: restore it, or make a new one with \`tka-server rotate-key\``,
    );
  }
  return Buffer.from(match[1], 'hex');
}
