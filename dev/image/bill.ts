/**
 * The image's bill of materials: Node.js, the packages in the server's bundle, the modules in the engine, and of the system what Node.js
 * is linked against. Of an image for the machine that it is built on.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Bundle } from '../build-bundles.ts';
import { bundledPackages } from '../release/bundled-packages.ts';
import { type Part, renderBillOfMaterials } from '../release/bill-of-materials.ts';
import { engineModules } from '../release/engine-modules.ts';
import type { Architecture } from './shared-libraries.ts';
import { sharedLibraries } from './shared-libraries.ts';

export interface BillInputs {
  readonly project: string;
  readonly version: string;
  readonly licence: string;
  readonly architecture: Architecture;
  readonly node: string;
  readonly engine: string;
  readonly root: string;
  readonly bundles: readonly Bundle[];
  /** Of the image. */
  readonly digest: string;
}

export async function imageBill(inputs: BillInputs): Promise<string> {
  const { project, version, licence, architecture, node, engine, root, bundles, digest } = inputs;
  const sources = bundles.filter(({ name }) => name === 'tka-server').flatMap((bundle) => bundle.inputs);
  const cpu = architecture === 'amd64' ? 'x64' : 'arm64';
  const parts: readonly (readonly Part[])[] = await Promise.all([
    bundledPackages(project, [...new Set(sources)]),
    engineModules(engine, join(project, 'node/tsnet/engine'), { os: 'linux', cpu }),
    systemPackages(sharedLibraries(node, architecture, root), root),
  ]);
  const runtime: Part = {
    name: 'node',
    version: process.version,
    licence: 'MIT',
    purl: `pkg:github/nodejs/node@${process.version}`,
  };
  const subject = {
    name: 'tka-server',
    version,
    licence,
    description: 'The image of the tka server',
    purl: `pkg:oci/tka-server@${encodeURIComponent(digest)}?arch=${architecture}`,
  };
  return renderBillOfMaterials(subject, [runtime, ...parts.flat()]);
}

/** The packages that the files are of, as dpkg knows them; a file that is of none is a component of its own. */
export async function systemPackages(files: readonly string[], root: string): Promise<readonly Part[]> {
  const info = join(root, 'var/lib/dpkg/info');
  const lists = (await readdir(info).catch(() => [])).filter((file) => file.endsWith('.list'));
  const owners = new Map<string, string>();
  for (const list of lists) {
    const name = list.replace(/(?::[a-z0-9]+)?\.list$/, '');
    for (const line of (await readFile(join(info, list), 'utf8')).split('\n')) {
      // /lib is a link to /usr/lib in newer systems, and lists may have either.
      owners.set(line.replace(/^\/usr\//, '/'), name);
    }
  }
  const versions = await packageVersions(root);
  const parts = files.map((file): Part => {
    const name = owners.get(file.replace(/^\/usr\//, '/'));
    const version = name === undefined ? undefined : versions.get(name);
    if (name === undefined || version === undefined) {
      const base = file.split('/').at(-1) ?? file;
      return { name: base, version: 'unknown', purl: `pkg:generic/${encodeURIComponent(base)}` };
    }
    return { name, version, purl: `pkg:deb/debian/${name}@${encodeURIComponent(version)}` };
  });
  return [...new Map(parts.map((part) => [part.purl, part])).values()].toSorted((a, b) => (a.purl < b.purl ? -1 : 1));
}

async function packageVersions(root: string): Promise<ReadonlyMap<string, string>> {
  const text = await readFile(join(root, 'var/lib/dpkg/status'), 'utf8').catch(() => '');
  return new Map(
    text.split('\n\n').flatMap((paragraph) => {
      const name = /^Package: (\S+)$/m.exec(paragraph)?.[1];
      const version = /^Version: (\S+)$/m.exec(paragraph)?.[1];
      return name === undefined || version === undefined ? [] : [[name, version] as const];
    }),
  );
}
