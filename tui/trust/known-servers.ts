/**
 * Which machine each trusted server was when the user confirmed it: `$XDG_CONFIG_HOME/tka/known-servers.json`, 0600, written in one
 * step. A server is known by its origin and its tailnet; what is pinned is the node behind it, by stable node ID and tags.
 *
 * A change re-reads the file under a lock, so two concurrent commands do not lose each other's changes. Synchronous: it takes
 * well under a millisecond, and no signal comes between.
 */
import { closeSync, openSync, readFileSync, unlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { isClusterName } from '../config/flag-values.ts';
import { writeFileAtomically } from '../files/atomic-write.ts';
import { configDirectory } from '../files/directories.ts';
import { systemCode, UserError } from '../errors.ts';
import { fieldsOf } from '../files/json.ts';
import { makeDirectories } from '../files/make-directory.ts';
import type { Runtime } from '../runtime.ts';
import { reasonOf } from '../files/system-error.ts';

type Environment = Runtime['env'];

type TailnetName = Pick<KnownServer, 'tailnet' | 'control'>;

export interface KnownServer {
  /** The origin. */
  readonly server: string;
  readonly nodeId: string;
  readonly tags: readonly string[];
  /** The tailnet's MagicDNS suffix, which may be empty; absent in pins of older versions. */
  readonly tailnet?: string;
  /** The host of the tailnet's control server, where tailscaled told. */
  readonly control?: string;
  /** What it called its cluster, `[a-z0-9.-]{1,63}`. */
  readonly cluster?: string;
  /** The origin of the server on whose word it is known, being a replica of it. */
  readonly replicaOf?: string;
}

/** Throws UserError where the file is there and cannot be understood: a pin must not be lost silently. */
export function readKnownServers(env: Environment): readonly KnownServer[] {
  const path = knownServersPath(env);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    const code = systemCode(cause);
    if (code === 'ENOENT' || code === 'ENOTDIR') return [];
    throw broken(path, `it cannot be read (${code ?? 'unknown error'})`, cause);
  }
  return parse(text, path);
}

/** Adds, or replaces what was known on the same tailnet; throws UserError where the file cannot be written. */
export function rememberServer(env: Environment, known: KnownServer): void {
  const { server, tags } = known;
  const entry = { ...known, tags: [...tags].sort() };
  change(env, (before) => [...before.filter((one) => one.server !== server || !isSameTailnet(one, known)), entry]);
}

/** `of`: what was known on that tailnet alone; default: on each. False where it was not known. */
export function forgetServer(env: Environment, server: string, of: TailnetName = {}): boolean {
  const isMeant = (known: KnownServer): boolean => known.server === server && isSameTailnet(known, of);
  if (!readKnownServers(env).some(isMeant)) return false;
  change(env, (before) => before.filter((known) => !isMeant(known)));
  return true;
}

export function knownServersPath(env: Environment): string {
  return join(configDirectory(env), 'known-servers.json');
}

/** IDs of nodes are unique in one tailnet alone. A pin of before, which does not say of which it is, is taken for any once. */
export function isSameTailnet(one: TailnetName, other: TailnetName): boolean {
  if (one.tailnet === undefined || other.tailnet === undefined) return true;
  const isSameControl = one.control === undefined || other.control === undefined || one.control === other.control;
  return one.tailnet === other.tailnet && isSameControl;
}

function parse(text: string, path: string): readonly KnownServer[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw broken(path, 'it is not valid JSON', cause);
  }
  const { servers } = fieldsOf(value);
  if (!Array.isArray(servers)) throw broken(path, 'it has no list of servers');
  return servers.map((entry: unknown, index) => {
    if (!isKnownServer(entry)) throw broken(path, `servers[${index}] is not a server`);
    const { server, nodeId, tags, tailnet, control, cluster, replicaOf } = entry;
    return {
      server,
      nodeId,
      tags,
      ...(tailnet === undefined ? {} : { tailnet }),
      ...(control === undefined ? {} : { control }),
      ...(isClusterName(cluster) ? { cluster } : {}),
      ...(isOrigin(replicaOf) ? { replicaOf } : {}),
    };
  });
}

function isOrigin(value: unknown): value is string {
  return typeof value === 'string' && URL.parse(value)?.origin === value;
}

function isKnownServer(value: unknown): value is KnownServer {
  const { server, nodeId, tags, tailnet, control } = fieldsOf(value);
  return (
    isOrigin(server) &&
    typeof nodeId === 'string' &&
    nodeId !== '' &&
    Array.isArray(tags) &&
    tags.every((tag) => typeof tag === 'string') &&
    [tailnet, control].every((name) => name === undefined || typeof name === 'string')
  );
}

function change(env: Environment, edit: (before: readonly KnownServer[]) => readonly KnownServer[]): void {
  const path = knownServersPath(env);
  const lock = `${path}.lock`;
  try {
    makeDirectories(dirname(path));
    takeLock(lock);
    try {
      const servers = edit(readKnownServers(env));
      writeFileAtomically(path, `${JSON.stringify({ servers }, undefined, 2)}\n`);
    } finally {
      unlinkSync(lock);
    }
  } catch (cause) {
    const code = systemCode(cause);
    if (code === undefined) throw cause;
    const advice = ['It stores the servers that you trust. Make it and its directory writable.'];
    throw new UserError(`${path} cannot be written: ${reasonOf(code)}`, advice, 1, cause);
  }
}

function takeLock(lock: string): void {
  for (let waitedMs = 0; ; waitedMs += 10) {
    try {
      closeSync(openSync(lock, 'wx', 0o600));
      return;
    } catch (error) {
      if (systemCode(error) !== 'EEXIST') throw error;
    }
    if (waitedMs >= 1000) {
      const advice = ['tka holds it for less than a millisecond. If none is running, remove the file and try again.'];
      throw new UserError(`another program holds ${lock}`, advice);
    }
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
  }
}

function broken(path: string, reason: string, cause?: unknown): UserError {
  const advice = [
    'It stores the servers that you trust, so tka does not continue without it. Correct the file,',
    'or remove it to be asked again.',
  ];
  return new UserError(`${path} is not understood: ${reason}`, advice, 1, cause);
}
