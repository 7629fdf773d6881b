/**
 * What a machine shows of a node that runs on it, for tests that nothing of it stays. Another stack may take its name at
 * once, so things are told apart by more than their names.
 */
import { existsSync, globSync, readFileSync, readdirSync, statSync } from 'node:fs';

export interface Traces {
  /** The network interface and the cgroups, by path, with what no successor shares. */
  readonly files: readonly { readonly path: string; readonly identity: string }[];
  readonly processes: readonly string[];
}

/** `dir` is the stack's, `name` the node's. */
export function tracesOf(dir: string, name: string): Traces {
  const cgroups = globSync([`/sys/fs/cgroup/${name}`, `/sys/fs/cgroup/*/${name}`]);
  const paths = [`/sys/class/net/${name}/ifindex`, ...cgroups];
  return { files: paths.map((path) => ({ path, identity: identityOf(path) })), processes: processesOf(dir) };
}

/** What is left of them, and of the directory. */
export function remaining({ files }: Traces, dir: string): readonly string[] {
  const left = files.filter(({ path, identity }) => existsSync(path) && identityOf(path) === identity);
  const mounts = readOrEmpty('/proc/self/mountinfo').split('\n');
  return [
    ...left.map(({ path }) => path),
    ...processesOf(dir),
    ...mounts.filter((mount) => mount.includes(dir)),
    ...(existsSync(dir) ? [dir] : []),
  ];
}

/** Processes that name the directory in their arguments, or have something in it mounted. */
export function processesOf(dir: string): readonly string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => ['cmdline', 'mountinfo'].some((file) => readOrEmpty(`/proc/${pid}/${file}`).includes(dir)))
    .map((pid) => `process ${pid}: ${readOrEmpty(`/proc/${pid}/cmdline`).replaceAll('\0', ' ')}`);
}

function identityOf(path: string): string {
  return statSync(path).isDirectory() ? String(statSync(path).ino) : readFileSync(path, 'utf8');
}

/** A process may have ended meanwhile. */
function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
