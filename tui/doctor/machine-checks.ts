/** This machine: what runs the command, the user's kubeconfig, kubectl, and tka's own files. */
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { tryWriting } from '../files/atomic-write.ts';
import { cacheDirectory } from '../files/directories.ts';
import { systemCode } from '../errors.ts';
import { printable } from '../terminal/output.ts';
import { posixWord } from '../terminal/posix-word.ts';
import { type Check, failed, ok, skipped, warning } from './check.ts';
import { brokenEntries } from './entries.ts';
import { findProgram, runProgram } from '../files/programs.ts';

export const nodeCheck: Check = {
  name: 'node',
  // cli.ts has refused what is too old.
  run: async () => ok(`Node ${process.versions.node}`),
};

export const machineChecks: readonly Check[] = [
  {
    name: 'kubeconfig',
    async run({ kubeconfig, runtime }) {
      const { paths, files, own, destination } = await kubeconfig();
      const present = paths.filter((path) => existsSync(path));
      if (present.length === 0) return ok('not present; tka login will create it');
      const open = runtime.platform === 'win32' ? [] : present.filter(isOpenToOthers);
      if (open.length > 0) {
        return warning(
          `others on this machine can read ${open.join(', ')}`,
          `chmod 600 ${open.map(posixWord).join(' ')}`,
        );
      }
      const { checkWritable } = await import('../kubeconfig/write.ts');
      checkWritable(destination);
      const broken = brokenEntries(files, own, runtime.env);
      if (broken.length > 0)
        return failed(broken.map((line) => printable(line, 200)).join('; '), ['Log in again: tka login']);
      return ok(
        `${present.join(', ')}: ${own.length === 0 ? 'no tka contexts' : `${own.length} ${own.length === 1 ? 'context' : 'contexts'} of tka`}`,
      );
    },
  },
  {
    name: 'kubectl',
    async run({ runtime, timeoutMs }) {
      const path = findProgram(runtime.env, 'kubectl');
      if (path === undefined) {
        return warning('kubectl is not on PATH', 'Install it: https://kubernetes.io/docs/tasks/tools/');
      }
      const ran = await runProgram(runtime, path, ['version', '--client', '--output=json'], { timeoutMs });
      const version = /"gitVersion":\s*"v?(\d+)\.(\d+)\.([^"]{1,40})"/.exec(ran.stdout);
      if (version === null) return skipped(`${path} does not report its version`);
      const [, major = '', minor = '', rest = ''] = version;
      const found = `${path}, ${printable(`${major}.${minor}.${rest}`, 60)}`;
      if (Number(major) > 1 || Number(minor) >= oldestKubectl) return ok(found);
      return failed(`${found}, which is too old for the credentials of tka`, [`Install 1.${oldestKubectl} or newer.`]);
    },
  },
  {
    name: 'cache',
    async run({ runtime }) {
      const path = cacheDirectory(runtime.env);
      if (!existsSync(path)) return ok(`${path}: not created yet`);
      if (runtime.platform !== 'win32' && isOpenToOthers(path)) {
        return warning(
          `others on this machine can look into ${path}, which holds credentials`,
          `chmod 700 ${posixWord(path)}`,
        );
      }
      try {
        tryWriting(join(path, 'doctor'), 16 * 1024);
      } catch (error) {
        const code = systemCode(error);
        if (code === undefined) throw error;
        const remedy = code === 'ENOSPC' || code === 'EDQUOT' ? 'Free some space.' : 'Make it writable by you alone.';
        return warning(`${path} cannot be written (${code}), so kubectl asks the server on every call`, remedy);
      }
      return ok(path);
    },
  },
];

/** The first release that supports plugins of client.authentication.k8s.io/v1 without a warning. */
const oldestKubectl = 26;

function isOpenToOthers(path: string): boolean {
  return (statSync(path).mode & 0o077) !== 0;
}
