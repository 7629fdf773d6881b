/**
 * The two programs of a node that Go cannot make: runc, which is partly C, and nft, which writes the rules of Services.
 *
 * The system's own where it has them. Elsewhere Debian's packages, those that the system lacks of what they depend on
 * included: fetched and checked by apt as the system is set up to trust, unpacked into the tool cache, installed nowhere.
 * They are not pinned: a distribution keeps one version of a package and takes the one before away.
 */
import { createHash } from 'node:crypto';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { makeOnce } from '../cache-entry.ts';
import type { MakeOptions, Run } from '../cache-entry.ts';
import type { Progress } from '../progress.ts';
import { findProgram, systemPath } from './ability.ts';

export interface SystemPrograms {
  readonly runc: string;
  /** The directories of nft and of the system's programs, for PATH. */
  readonly programPath: string;
  /** For LD_LIBRARY_PATH: what the fetched programs are linked with. */
  readonly libraryPath: string;
}

/** Names of the programs and of Debian's packages with them. */
const packages: Readonly<Record<string, string>> = { runc: 'runc', nft: 'nftables' };

export async function systemPrograms(
  options: MakeOptions & { readonly cache: string; readonly progress: Progress },
): Promise<SystemPrograms> {
  const { cache, progress, supervise, signal } = options;
  const missing = Object.keys(packages).filter((program) => findProgram(program) === undefined);
  const into = join(cache, cacheName(missing));
  if (missing.length > 0 && !existsSync(into)) {
    const done = progress.start(`fetching ${missing.join(' and ')}`);
    let ok = false;
    try {
      const wanted = missing.map((program) => packages[program] ?? program);
      await makeOnce(into, { supervise, signal }, (dir, run) => fetchPackages(wanted, dir, run));
      ok = true;
    } catch (error) {
      signal?.throwIfAborted();
      const remedy = `install ${missing.join(' and ')}, or let apt-get reach its archive`;
      throw new Error(`No ${missing.join(' and ')} for the node: ${remedy}. ${(error as Error).message}`, {
        cause: error,
      });
    } finally {
      done(ok);
    }
  }
  const path = `${join(into, 'usr/sbin')}:${join(into, 'usr/bin')}:${systemPath}`;
  const runc = findProgram('runc', path);
  if (runc === undefined) throw new Error(`there is no runc in ${into}`);
  return { runc, programPath: path, libraryPath: globSync(join(into, '{lib,usr/lib}/*-linux-*')).join(':') };
}

/** The packages of another release are linked with other libraries. */
function cacheName(missing: readonly string[]): string {
  const release = existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : '';
  const digest = createHash('sha256')
    .update(`${process.arch}:${missing.join(' ')}:${release}`)
    .digest('hex');
  return `debian-${digest.slice(0, 12)}`;
}

/** With lists and archives of its own, so that neither the system's nor anybody's lock on them is touched. */
async function fetchPackages(wanted: readonly string[], dir: string, run: Run): Promise<void> {
  const apt = join(dir, 'apt');
  const [lists, archives] = [join(apt, 'lists'), join(apt, 'archives')];
  for (const made of [lists, archives]) await mkdir(join(made, 'partial'), { recursive: true });
  const settings = {
    'Dir::State::lists': lists,
    'Dir::Cache': apt,
    'Dir::Cache::archives': archives,
    'Debug::NoLocking': '1',
    // The user that it would become cannot write here.
    'APT::Sandbox::User': 'root',
  };
  const options = ['-q', ...Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`])];
  const env = { DEBIAN_FRONTEND: 'noninteractive', PATH: systemPath };
  await run('apt-get', [...options, 'update'], { env });
  await run('apt-get', [...options, '--yes', '--no-install-recommends', '--download-only', 'install', ...wanted], {
    env,
  });
  const fetched = (await readdir(archives)).filter((file) => file.endsWith('.deb'));
  for (const file of fetched) await run('dpkg', ['--extract', join(archives, file), dir], { env });
  await rm(apt, { recursive: true });
}
