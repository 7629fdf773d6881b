/**
 * Whether this machine can run a stack's node at all. It is found out by trying, in namespaces of their own and a
 * directory for the occasion: permissions, kernels and containers differ in too many ways to be asked.
 */
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, mkdirSync, mkdtempSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

export type Ability = { readonly ok: true } | { readonly ok: false; readonly reason: string };

/** Takes about 50 ms. Tests that cannot run without it are skipped, with the reason in a title. */
export function canRunNodes(): Ability {
  const reason = obstacle();
  return reason === undefined ? { ok: true } : { ok: false, reason };
}

function obstacle(): string | undefined {
  if (process.platform !== 'linux') return `containers need Linux, not ${process.platform}`;
  if (process.getuid?.() !== 0) return 'containers need root';
  for (const program of ['unshare', 'nsenter', 'mount', 'sh']) {
    if (findProgram(program) === undefined) return `there is no ${program} command`;
  }
  for (const program of ['runc', 'nft']) {
    if (findProgram(program) === undefined && findProgram('apt-get') === undefined) {
      return `there is no ${program} command, and no apt-get to fetch it with`;
    }
  }
  return noCgroups() ?? noNamespaces();
}

function noCgroups(): string | undefined {
  const root = '/sys/fs/cgroup';
  const isUnified = existsSync(join(root, 'cgroup.controllers'));
  const probe = join(root, isUnified ? '' : 'memory', `tka-probe-${process.pid}`);
  try {
    mkdirSync(probe);
    rmdirSync(probe);
    // Refused where the root has processes in it, as in a container.
    if (isUnified) writeFileSync(join(root, 'cgroup.subtree_control'), '+cpu +memory +pids');
    return undefined;
  } catch (error) {
    return `no cgroups can be made: ${(error as Error).message}`;
  }
}

const script = `
set -e
cd "$1"
mkdir lower upper work merged
mount --make-rprivate /
mount -t overlay -o lowerdir=lower,upperdir=upper,workdir=work overlay merged
if command -v ip >/dev/null; then ip link add probe type veth peer name probed; fi
`;

function noNamespaces(): string | undefined {
  const dir = mkdtempSync(join(tmpdir(), 'tka-probe-'));
  try {
    const namespaces = ['--mount', '--net', '--pid', '--uts', '--ipc', '--fork', '--kill-child'];
    const { status, stderr } = spawnSync(
      findProgram('unshare') ?? 'unshare',
      [...namespaces, 'sh', '-c', script, 'sh', dir],
      {
        encoding: 'utf8',
        env: { PATH: systemPath },
        timeout: 10_000,
      },
    );
    return status === 0 ? undefined : `no container can be made in ${tmpdir()}: ${stderr.trim()}`;
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/**
 * Where a system keeps its programs, those for administrators first. Not what PATH says: npm puts node_modules/.bin there,
 * and another `nft` may be in it.
 */
export const systemPath = ['/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/local/bin', '/usr/bin', '/bin'].join(
  delimiter,
);

/** The program's absolute path. */
export function findProgram(name: string, path: string = systemPath): string | undefined {
  return path
    .split(delimiter)
    .filter((dir) => dir !== '')
    .map((dir) => join(dir, name))
    .find((file) => {
      try {
        accessSync(file, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}
