/**
 * The shared libraries that a program for glibc needs, found in a root file system as its loader would: what it names, what
 * those name in turn, and the loader itself. The files are read and nothing is run, so a root of another processor will do.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const machines = {
  amd64: { number: 62, triplet: 'x86_64-linux-gnu' },
  arm64: { number: 183, triplet: 'aarch64-linux-gnu' },
} as const;

export type Architecture = keyof typeof machines;

/** Absolute paths in the root, sorted. Throws for what is no such program, and for a library that is not there. */
export function sharedLibraries(program: string, architecture: Architecture, root: string): readonly string[] {
  const { number, triplet } = machines[architecture];
  const folders = [`/lib/${triplet}`, `/usr/lib/${triplet}`, '/lib64', '/usr/lib64', '/lib', '/usr/lib'];
  const { interpreter, needed } = dynamics(program, number);
  const found = new Set(interpreter === undefined ? [] : [interpreter]);
  const wanted = [...needed];
  for (let name = wanted.pop(); name !== undefined; name = wanted.pop()) {
    // The loader is named as a library too, by where it is and by its name alone.
    if (interpreter?.endsWith(`/${name}`) === true) continue;
    const path = folders.map((folder) => `${folder}/${name}`).find((candidate) => existsSync(join(root, candidate)));
    if (path === undefined)
      throw new Error(`${program} needs ${name}, which ${root} has nowhere: ${folders.join(' ')}`);
    if (found.has(path)) continue;
    found.add(path);
    wanted.push(...dynamics(join(root, path), number).needed);
  }
  return [...found].toSorted();
}

interface Dynamics {
  /** The loader, of a program. */
  readonly interpreter: string | undefined;
  readonly needed: readonly string[];
}

// Numbers of the ELF specification, and where its tables have what is read here.
const segment = { load: 1, dynamic: 2, interpreter: 3 };
const tag = { end: 0n, needed: 1n, strings: 5n };

/** Of a little-endian 64-bit file for the machine of this number. */
function dynamics(path: string, machine: number): Dynamics {
  const file = readFileSync(path);
  const isElf64 = file.length > 64 && file.readUInt32BE(0) === 0x7f454c46 && file[4] === 2 && file[5] === 1;
  if (!isElf64) throw new Error(`${path} is no 64-bit program for Linux`);
  if (file.readUInt16LE(18) !== machine) throw new Error(`${path} is a program for another processor`);

  const offset = (at: number): number => Number(file.readBigUInt64LE(at));
  const entrySize = file.readUInt16LE(54);
  const segments = Array.from({ length: file.readUInt16LE(56) }, (_, index) => {
    const at = offset(32) + index * entrySize;
    return { type: file.readUInt32LE(at), start: offset(at + 8), address: offset(at + 16), size: offset(at + 32) };
  });
  const ofType = (type: number) => segments.find((candidate) => candidate.type === type);
  const textAt = (start: number): string => file.toString('latin1', start, file.indexOf(0, start));

  const named = ofType(segment.interpreter);
  const table = ofType(segment.dynamic);
  const all = Array.from({ length: (table?.size ?? 0) / 16 }, (_, index) => {
    const at = (table?.start ?? 0) + index * 16;
    return { tag: file.readBigUInt64LE(at), value: offset(at + 8) };
  });
  const end = all.findIndex((entry) => entry.tag === tag.end);
  const entries = end === -1 ? all : all.slice(0, end);
  const address = entries.find((entry) => entry.tag === tag.strings)?.value ?? 0;
  const holder = segments.find(
    (candidate) =>
      candidate.type === segment.load && candidate.address <= address && address < candidate.address + candidate.size,
  );
  const strings = holder === undefined ? address : address - holder.address + holder.start;
  return {
    interpreter: named === undefined ? undefined : textAt(named.start),
    needed: entries.filter((entry) => entry.tag === tag.needed).map(({ value }) => textAt(strings + value)),
  };
}
