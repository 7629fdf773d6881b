/**
 * The owner of a private directory: a process, distinguished from a later one with the same PID by its start time.
 *
 * On a shared file system (a container, a network home), PIDs of other machines mean nothing here: such
 * owners are `unknown`, and only they end what is theirs.
 */
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import process from 'node:process';
import { ifSystemAllows, systemCode } from '../errors.ts';
import { fieldsOf } from './json.ts';

export interface Owner {
  readonly pid: number;
  /** In clock ticks since the machine started; absent where the system does not say. */
  readonly started?: string;
  /** Where the number means something: host name and PID namespace. */
  readonly machine: string;
}

/** The process may be any of this machine's. */
export function ownerOf(pid: number): Owner {
  const started = startOf(pid);
  return { pid, ...(started === undefined ? {} : { started }), machine: thisMachine() };
}

export function stateOf(owner: Owner): 'alive' | 'dead' | 'unknown' {
  if (owner.machine !== thisMachine()) return 'unknown';
  if (!exists(owner.pid)) return 'dead';
  return startOf(owner.pid) === owner.started ? 'alive' : 'dead';
}

export function isOwner(value: unknown): value is Owner {
  const { pid, started, machine } = fieldsOf(value);
  return (
    typeof pid === 'number' &&
    Number.isSafeInteger(pid) &&
    pid > 1 &&
    (started === undefined || typeof started === 'string') &&
    typeof machine === 'string'
  );
}

function thisMachine(): string {
  return `${hostname()} ${ifSystemAllows(() => readlinkSync('/proc/self/ns/pid')) ?? ''}`.trim();
}

function startOf(pid: number): string | undefined {
  const stat = ifSystemAllows(() => readFileSync(`/proc/${pid}/stat`, 'latin1'));
  // The second field is the program's name in parentheses, which may hold anything; the start is the 22nd of all.
  return stat
    ?.slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .at(19);
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return systemCode(error) === 'EPERM';
  }
}
