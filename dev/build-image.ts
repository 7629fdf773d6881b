/**
 * `npm run build:image`: the server's container image, without a container daemon. Writes an image layout into dist/image and the
 * same as one archive, dist/tka-server-image.tar, and prints the image's digest, which follows from the inputs alone: the
 * Node it runs on, the engine, the bundles, glibc and libstdc++.
 *
 * For this machine's processor, all of it is at hand. For others each `--platform linux/arm64=DIR` names a folder with `node`,
 * `tka-engine` and `root/`, an unpacked system for that processor; more than one make one image for all of them.
 *
 * `--bill FILE` writes a bill of materials of an image for this machine.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { buildBundles } from './build-bundles.ts';
import { buildEngine } from './build-engine.ts';
import { imageBill } from './image/bill.ts';
import { imageConfig, imageLayers } from './image/contents.ts';
import { makeLayer } from './image/layer.ts';
import { makeLayout, writeArchive, writeLayout } from './image/layout.ts';
import type { Image } from './image/layout.ts';
import type { Architecture } from './image/shared-libraries.ts';

const project = dirname(dirname(fileURLToPath(import.meta.url)));

export interface ImageSource {
  readonly architecture: Architecture;
  readonly node: string;
  readonly engine: string;
  readonly root: string;
}

export interface BuildImageOptions {
  /** Default: this machine's processor, its system, this Node and dist/engine. */
  readonly sources?: readonly ImageSource[];
  /** Default: dist. */
  readonly bundles?: string;
  readonly name?: string;
  /** Default: none is written. */
  readonly directory?: string;
  readonly archive?: string;
}

export interface BuiltImage {
  readonly name: string;
  readonly digest: string;
}

/** From what is built already. */
export async function buildImage(options: BuildImageOptions = {}): Promise<BuiltImage> {
  const { version, license } = await ownPackage();
  const { sources = [ownSource()], bundles = join(project, 'dist'), name = `tka-server:${version}` } = options;
  const text = await readFile(join(project, 'LICENSE'), 'utf8');
  const images = await Promise.all(
    sources.map(async (source): Promise<Image> => {
      const layers = await Promise.all(imageLayers({ ...source, bundles, license: text }).map(makeLayer));
      return { architecture: source.architecture, config: imageConfig, layers };
    }),
  );
  const annotations = {
    'org.opencontainers.image.title': 'tka-server',
    'org.opencontainers.image.version': version,
    'org.opencontainers.image.licenses': license,
  };
  const layout = makeLayout(images, { name, annotations });
  if (options.directory !== undefined) await writeLayout(layout, options.directory);
  if (options.archive !== undefined) await writeArchive(layout, options.archive);
  return { name, digest: layout.digest };
}

async function ownPackage(): Promise<{ readonly version: string; readonly license: string }> {
  return JSON.parse(await readFile(join(project, 'package.json'), 'utf8')) as { version: string; license: string }; // ours
}

const architectures: Readonly<Partial<Record<string, Architecture>>> = { x64: 'amd64', arm64: 'arm64' };

function ownSource(): ImageSource {
  const architecture = process.platform === 'linux' ? architectures[process.arch] : undefined;
  if (architecture === undefined) {
    throw new Error(`an image is for linux on x64 or arm64, not ${process.platform}: name its parts with --platform`);
  }
  return { architecture, node: process.execPath, engine: join(project, 'dist/engine/tka-engine'), root: '/' };
}

function sourceOf(argument: string): ImageSource {
  const [, architecture, folder = ''] = /^linux\/(amd64|arm64)=(.+)$/.exec(argument) ?? [];
  if (architecture !== 'amd64' && architecture !== 'arm64') {
    throw new Error(`--platform ${argument}: it has the form linux/amd64=DIR or linux/arm64=DIR`);
  }
  const part = (file: string): string => join(folder, file);
  return { architecture, node: part('node'), engine: part('tka-engine'), root: part('root') };
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      name: { type: 'string' },
      output: { type: 'string', default: join(project, 'dist/image') },
      archive: { type: 'string', default: join(project, 'dist/tka-server-image.tar') },
      platform: { type: 'string', multiple: true, default: [] },
      bill: { type: 'string' },
    },
  });
  const sources = values.platform.map(sourceOf);
  if (values.bill !== undefined && sources.length > 0) {
    throw new Error('--bill is of an image for this machine: leave out --platform');
  }
  const bundles = await buildBundles();
  if (sources.length === 0) await buildEngine();
  const { name, digest } = await buildImage({
    ...(sources.length === 0 ? {} : { sources }),
    ...(values.name === undefined ? {} : { name: values.name }),
    directory: values.output,
    archive: values.archive,
  });
  if (values.bill !== undefined) {
    const { version, license: licence } = await ownPackage();
    await writeFile(values.bill, await imageBill({ ...ownSource(), project, version, licence, bundles, digest }));
  }
  process.stdout.write(`${name}@${digest}\n`);
}

if (import.meta.main) {
  try {
    await main();
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}
