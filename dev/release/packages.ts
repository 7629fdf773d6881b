/**
 * The npm packages: `tka` (the command and the server as bundles, with no dependency but an engine) and one package for each
 * platform's engine. Each is laid out in a folder of its own and packed; beside the archive comes its bill of materials.
 *
 * Everything in their package.json comes from the project's own or from here: one version, in one place. The same sources, built
 * by the same Node.js, npm and Go, give the same bytes.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cp, glob, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import * as z from 'zod';
import { buildBundles } from '../build-bundles.ts';
import { buildEngine, type Platform } from '../build-engine.ts';
import { renderBillOfMaterials } from './bill-of-materials.ts';
import { bundledPackages } from './bundled-packages.ts';
import type { Component } from './component.ts';
import { engineModules } from './engine-modules.ts';
import { renderNotices } from './notices.ts';

export const platforms: readonly Platform[] = [
  { os: 'linux', cpu: 'x64' },
  { os: 'linux', cpu: 'arm64' },
  { os: 'darwin', cpu: 'x64' },
  { os: 'darwin', cpu: 'arm64' },
];

/** Folders of what is installed in a cluster. */
const installation = ['charts', 'crd', 'manifests'];

export interface PackagesOptions {
  /** Emptied first. */
  readonly outdir: string;
  /** Of the engines to build; `tka` asks for all of them whichever are built. */
  readonly platforms: readonly Platform[];
  /** `https://HOST/OWNER/NAME`, where the release is made; npm's provenance is held to it. */
  readonly repository?: string | undefined;
  readonly progress?: (line: string) => void;
}

export interface BuiltPackage {
  readonly name: string;
  readonly folder: string;
  readonly archive: string;
  readonly billOfMaterials: string;
}

const root = join(import.meta.dirname, '../..');
const projectSchema = z.object({
  name: z.string(),
  version: z.string(),
  description: z.string(),
  license: z.string(),
  engines: z.record(z.string(), z.string()),
  bin: z.record(z.string(), z.string()),
  keywords: z.array(z.string()),
});
type Project = z.infer<typeof projectSchema>;

export async function buildPackages(options: PackagesOptions): Promise<readonly BuiltPackage[]> {
  const { outdir } = options;
  const project = projectSchema.parse(JSON.parse(await readFile(join(root, 'package.json'), 'utf8')));
  await rm(outdir, { recursive: true, force: true });
  const built = [await commandPackage(project, options)];
  // One after another: the Go compiler takes all there is by itself.
  for (const platform of options.platforms) built.push(await enginePackage(project, platform, options));
  await writeFile(join(outdir, 'SHA256SUMS'), await checksums(built));
  return built;
}

async function commandPackage(project: Project, options: PackagesOptions): Promise<BuiltPackage> {
  const { name, version, description, license, engines, bin, keywords } = project;
  const folder = join(options.outdir, name);
  const bundles = await buildBundles(join(folder, 'dist'));
  for (const from of installation) await copyObjects(from, folder);
  const components = await bundledPackages(root, [...new Set(bundles.flatMap(({ inputs }) => inputs))]);
  await copyFiles(['README.md', 'CHANGELOG.md'], folder);
  const manifest = {
    name,
    version,
    description,
    keywords,
    license,
    ...origin(options.repository),
    type: 'module',
    bin,
    files: ['dist', ...installation, 'CHANGELOG.md', 'THIRD-PARTY-NOTICES'],
    engines,
    optionalDependencies: Object.fromEntries(platforms.map((platform) => [engineName(platform), version])),
    publishConfig,
  };
  return pack(manifest, components, folder, options);
}

async function enginePackage(project: Project, platform: Platform, options: PackagesOptions): Promise<BuiltPackage> {
  const { version, license } = project;
  const { os, cpu } = platform;
  const name = engineName(platform);
  const folder = join(options.outdir, basename(name));
  options.progress?.(`building the engine for ${os} on ${cpu}`);
  const { progress } = options;
  const binary = await buildEngine({
    platform,
    output: join(folder, 'tka-engine'),
    ...(progress === undefined ? {} : { progress }),
  });
  const components = await engineModules(binary, join(root, 'node/tsnet/engine'), platform);
  const description = `The tailnet engine of tka for ${os} on ${cpu}`;
  await writeFile(
    join(folder, 'README.md'),
    `# ${name}\n\n${description}: a static binary, which \`tka\` starts. It comes with the package \`tka\`; there is no use in ` +
      'installing it alone.\n',
  );
  const manifest = {
    name,
    version,
    description,
    license,
    ...origin(options.repository),
    type: 'module',
    os: [os],
    cpu: [cpu],
    files: ['tka-engine', 'THIRD-PARTY-NOTICES'],
    // A package manager that keeps packages zipped could not run it.
    preferUnplugged: true,
    publishConfig,
  };
  return pack(manifest, components, folder, options);
}

export function engineName({ os, cpu }: Platform): string {
  return `@tka/engine-${os}-${cpu}`;
}

/** Makes `npm publish` from anywhere but the release workflow fail: no one else can say where the archive comes from. */
const publishConfig = { access: 'public', provenance: true };

function origin(repository: string | undefined): Record<string, unknown> {
  if (repository === undefined) return {};
  return {
    repository: { type: 'git', url: `git+${repository}.git` },
    homepage: `${repository}#readme`,
    bugs: `${repository}/issues`,
  };
}

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly description: string;
  readonly license: string;
}

async function pack(
  manifest: Manifest,
  components: readonly Component[],
  folder: string,
  { outdir }: PackagesOptions,
): Promise<BuiltPackage> {
  const { name, version, description, license: licence } = manifest;
  await copyFiles(['LICENSE'], folder);
  await writeFile(join(folder, 'package.json'), `${JSON.stringify(manifest, undefined, 2)}\n`);
  await writeFile(join(folder, 'THIRD-PARTY-NOTICES'), renderNotices(`${name} ${version}`, components));
  const { stdout } = await promisify(execFile)('npm', ['pack', '--json', '--pack-destination', outdir], {
    cwd: folder,
    maxBuffer: 16 * 1024 * 1024,
  });
  const [{ filename }] = z.tuple([z.object({ filename: z.string() })]).parse(JSON.parse(stdout));
  const billOfMaterials = join(outdir, filename.replace(/\.tgz$/, '.cdx.json'));
  await writeFile(billOfMaterials, renderBillOfMaterials({ name, version, licence, description }, components));
  return { name, folder, archive: join(outdir, filename), billOfMaterials };
}

async function copyFiles(names: readonly string[], folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  await Promise.all(names.map((name) => cp(join(root, name), join(folder, name))));
}

/** What kubectl and helm read, of folders that have TypeScript too. */
async function copyObjects(from: string, folder: string): Promise<void> {
  for await (const file of glob(`${from}/**/*.{yaml,json,tpl,txt,md}`, { cwd: root })) {
    await mkdir(join(folder, dirname(file)), { recursive: true });
    await cp(join(root, file), join(folder, file));
  }
}

/** As `sha256sum --check` reads it. */
async function checksums(built: readonly BuiltPackage[]): Promise<string> {
  const files = built.flatMap(({ archive, billOfMaterials }) => [archive, billOfMaterials]).toSorted();
  const lines = files.map(async (file) => {
    const digest = createHash('sha256')
      .update(await readFile(file))
      .digest('hex');
    return `${digest}  ${basename(file)}\n`;
  });
  return (await Promise.all(lines)).join('');
}
