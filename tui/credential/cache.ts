/**
 * The credentials of sessions, one file each: `$XDG_CACHE_HOME/tka/credentials/<server>/<session>.json`, 0600 in 0700. None
 * where others can write to the cache.
 * Beside each, `<session>.until` has one line for prompts: when the session ends, in epoch seconds, its role, its cluster.
 *
 * kubectl runs the plugin at every invocation, so reading one loads nothing but node:fs. The shape is checked without a schema for the
 * same reason. An invalid file counts as absent: the next login rewrites it.
 */
import { readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { writeFileAtomically } from '../files/atomic-write.ts';
import { cacheDirectory, isOurs } from '../files/directories.ts';
import { ifSystemAllows } from '../errors.ts';
import { fieldsOf, readJson } from '../files/json.ts';
import { makeDirectories } from '../files/make-directory.ts';
import { isSessionName, isToken } from '../api/token.ts';

type Environment = Readonly<Record<string, string | undefined>>;

export interface SessionKey {
  readonly server: string;
  readonly session: string;
}

export interface Credential extends SessionKey {
  readonly token: string;
  /** RFC 3339. */
  readonly expiresAt: string;
  /** When the session ends, as far as this machine knows. */
  readonly until: string;
}

export function readCredential(env: Environment, key: SessionKey): Credential | undefined {
  const path = credentialPath(env, key);
  if (!isOurs(cacheDirectory(env))) return undefined;
  const value = readJson(path);
  return isCredential(value) && value.server === key.server && value.session === key.session ? value : undefined;
}

/** False where the directory cannot be written, or by others too: the plugin then asks the server each time, which is slow but works. */
export function writeCredential(env: Environment, credential: Credential): boolean {
  return write(env, credentialPath(env, credential), JSON.stringify(credential));
}

/** Without a session: all of the server's, with what lies beside them. False where something stays. */
export function removeCredentials(
  env: Environment,
  { server, session }: { readonly server: string; readonly session?: string | undefined },
): boolean {
  const paths =
    session === undefined
      ? [serverDirectory(env, server)]
      : ['json', 'until', 'period'].map((suffix) => sessionPath(env, { server, session }, suffix));
  return succeeds(() => {
    for (const path of paths) rmSync(path, { recursive: true, force: true });
  });
}

export interface Ending {
  readonly until: Date;
  readonly role: string;
  readonly cluster: string;
}

/** Where prompts read when a session ends. */
export function untilPath(env: Environment, key: SessionKey): string {
  return sessionPath(env, key, 'until');
}

/** False where the directory cannot be written, or by others too. */
export function writeUntil(env: Environment, key: SessionKey, { until, role, cluster }: Ending): boolean {
  return write(env, untilPath(env, key), `${Math.floor(until.getTime() / 1000)} ${word(role)} ${word(cluster)}`);
}

/** Undefined where nothing is known of the session. */
export function readUntil(env: Environment, key: SessionKey): Ending | undefined {
  const [seconds = '', role, cluster] = readText(untilPath(env, key)).split(' ');
  if (role === undefined || cluster === undefined || !/^\d{1,12}$/.test(seconds)) return undefined;
  return { until: new Date(Number(seconds) * 1000), role: word(role), cluster: word(cluster) };
}

/** How long the session was opened for, which its end alone does not tell. */
export function writePeriod(env: Environment, key: SessionKey, periodMs: number): boolean {
  return write(env, sessionPath(env, key, 'period'), String(Math.round(periodMs / 1000)));
}

/** Undefined where this machine did not open it. */
export function readPeriodMs(env: Environment, key: SessionKey): number | undefined {
  const text = readText(sessionPath(env, key, 'period'));
  return /^[1-9]\d{0,8}$/.test(text) ? Number(text) * 1000 : undefined;
}

/** Empty if it cannot be read. */
function readText(path: string): string {
  return ifSystemAllows(() => readFileSync(path, 'utf8'))?.trim() ?? '';
}

/** What a shell may print as it is: a role's name has no other characters, and a server's other names are not shown. */
function word(text: string): string {
  return text.replaceAll(/[^A-Za-z0-9._:-]/g, '_').slice(0, 63) || '_';
}

/** Others could put a link there that leads to a file of the user's. */
function write(env: Environment, path: string, line: string): boolean {
  const isMade = succeeds(() => makeDirectories(dirname(path)));
  if (!isMade || !isOurs(cacheDirectory(env))) return false;
  return succeeds(() => writeFileAtomically(path, `${line}\n`));
}

function succeeds(work: () => void): boolean {
  return ifSystemAllows(() => ({ done: work() })) !== undefined;
}

function serverDirectory(env: Environment, server: string): string {
  return join(cacheDirectory(env), 'credentials', encodeURIComponent(server));
}

export function credentialPath(env: Environment, key: SessionKey): string {
  return sessionPath(env, key, 'json');
}

function sessionPath(env: Environment, { server, session }: SessionKey, suffix: string): string {
  if (!isSessionName(session)) throw new Error('not the name of a session');
  return join(serverDirectory(env, server), `${session}.${suffix}`);
}

function isCredential(value: unknown): value is Credential {
  const { server, session, token, expiresAt, until } = fieldsOf(value);
  return (
    typeof server === 'string' &&
    typeof session === 'string' &&
    typeof token === 'string' &&
    isToken(token) &&
    isDate(expiresAt) &&
    isDate(until)
  );
}

function isDate(value: unknown): boolean {
  return typeof value === 'string' && !Number.isNaN(Date.parse(value));
}
