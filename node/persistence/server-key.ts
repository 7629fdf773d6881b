/**
 * The key that all of the proxy's tokens are derived from: 32 random bytes in `server-key` of tka's state directory, mode 0600, or in a
 * Secret (server-key-secret.ts).
 *
 * Created at the first start. A rotation replaces the file; a running server notices, and every token handed out before is invalid from
 * then on: users log in again.
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

/** Throws a ServerKeyError where the file exists and is invalid: a weaker key must not be used, and a new one not be created silently. */
export function loadServerKey(stateDir: string): Buffer {
  const path = keyPath(stateDir);
  const present = readIfPresent(path);
  if (present !== undefined) return parseServerKey(present, path);
  if (hasJoined(stateDir)) throw lost(path, 'this server has joined the tailnet before (tailscaled.state)');
  const temporary = writeTemporary(path);
  try {
    // Unlike a rename this fails where another start came first; then that key is used.
    linkSync(temporary, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    rmSync(temporary, { force: true });
  }
  return parseServerKey(readFileSync(path), path);
}

/** A key existed before, and is gone. */
export function lost(place: string, witness: string): ServerKeyError {
  return new ServerKeyError(
    `${place} holds no server key, though ${witness}: it was lost. Restore it from a backup, or make a new one with \`tka-server rotate-key\`; then everyone logs in again`,
  );
}

export interface WatchedKey {
  /** Why the stored key is not the one in use; undefined: it is. */
  problem(): string | undefined;
  /** The key in use. Where the stored one is gone or invalid, the last one stays in use. */
  current(): Buffer;
}

export interface WatchOptions {
  readonly now?: () => number;
  /** Called once for a file that cannot be read or is invalid: a rotation that failed. */
  readonly onTrouble?: (error: ServerKeyError) => void;
}

/** Creates the key where it does not exist; checks the file at most once a second. */
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

/** The new file gets the directory's owner: the server must be able to read what an administrator rotates. */
export function rotateServerKey(stateDir: string): void {
  const path = keyPath(stateDir);
  const temporary = writeTemporary(path);
  writing(path, 'tailscale.stateDir', () => renameSync(temporary, path));
}

export function keyPath(stateDir: string): string {
  return join(stateDir, 'server-key');
}

/** Writes beside the path, in a directory that is created if needed; leaves nothing behind on failure. */
function writeTemporary(path: string): string {
  const temporary = `${path}.${randomBytes(6).toString('hex')}`;
  return writing(path, 'tailscale.stateDir', () => {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const file = openSync(temporary, 'wx', 0o600);
    try {
      // Not writeSync(), which may write only a part.
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

/** Throws a ServerKeyError that names the place and never the content. */
export function parseServerKey(content: Buffer, path: string): Buffer {
  const match = /^([0-9a-f]{64})\s*$/.exec(content.toString('latin1'));
  if (match?.[1] === undefined) {
    throw new ServerKeyError(
      `${path} holds no server key: restore it, or make a new one with \`tka-server rotate-key\``,
    );
  }
  return Buffer.from(match[1], 'hex');
}
