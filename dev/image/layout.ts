/**
 * An image layout of the Open Container Initiative: index.json, oci-layout and content by its digest, as a folder and as one
 * archive. What is in it follows from the images given alone, so that the same inputs have the same digest everywhere.
 */
import { createHash } from 'node:crypto';
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { packTar } from 'modern-tar';
import type { Layer } from './layer.ts';
import type { Architecture } from './shared-libraries.ts';

export interface Image {
  readonly architecture: Architecture;
  /** What an image's configuration has under `config`. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly layers: readonly Layer[];
}

export interface Layout {
  /** Of the image: of its manifest where there is one processor, else of the index over them. */
  readonly digest: string;
  /** By their path in the layout, in the order in which an archive has them. */
  readonly files: ReadonlyMap<string, Buffer>;
}

const oci = 'application/vnd.oci.image';

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly platform?: { readonly architecture: Architecture; readonly os: 'linux' };
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface LayoutOptions {
  /**
   * `registry.example/tka-server:1.0`, or `tka-server:1.0`, which is `docker.io/library/tka-server:1.0` as in a pod: what a
   * container runtime that imports the archive calls the image.
   */
  readonly name: string;
  /** Of all of them: where the sources are, which version it is. */
  readonly annotations: Readonly<Record<string, string>>;
}

export function makeLayout(images: readonly Image[], { name, annotations }: LayoutOptions): Layout {
  const blobs = new Map<string, Buffer>();
  const blob = (mediaType: string, content: Buffer): Descriptor => {
    const hex = createHash('sha256').update(content).digest('hex');
    blobs.set(`blobs/sha256/${hex}`, content);
    return { mediaType: `${oci}.${mediaType}`, digest: `sha256:${hex}`, size: content.length };
  };
  const manifests = images.map(({ architecture, config, layers }): Descriptor => {
    const rootfs = { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) };
    const manifest = {
      schemaVersion: 2,
      mediaType: `${oci}.manifest.v1+json`,
      config: blob('config.v1+json', json({ architecture, os: 'linux', config, rootfs })),
      layers: layers.map(({ compressed }) => blob('layer.v1.tar+gzip', compressed)),
      annotations,
    };
    return { ...blob('manifest.v1+json', json(manifest)), platform: { architecture, os: 'linux' } };
  });
  const [only, ...others] = manifests;
  if (only === undefined) throw new Error('a layout of no image');
  const index = (entries: readonly Descriptor[]): Buffer =>
    json({ schemaVersion: 2, mediaType: `${oci}.index.v1+json`, manifests: entries });
  const image = others.length === 0 ? only : blob('index.v1+json', index(manifests));
  const tag = name.slice(name.lastIndexOf(':') + 1);
  const names = { 'io.containerd.image.name': wholeName(name), 'org.opencontainers.image.ref.name': tag };
  const files = new Map([
    ['oci-layout', json({ imageLayoutVersion: '1.0.0' })],
    ['index.json', index([{ ...image, annotations: names }])],
    ...[...blobs].toSorted(([a], [b]) => (a < b ? -1 : 1)),
  ]);
  return { digest: image.digest, files };
}

/**
 * With registry and path, as container runtimes complete the name in a pod before they look for the image. containerd does not
 * complete the name in an archive: under a short name the kubelet would never find the image.
 */
export function wholeName(name: string): string {
  const [first = '', ...rest] = name.split('/');
  const isRegistry = rest.length > 0 && (/[.:]/.test(first) || first === 'localhost');
  if (isRegistry) return name;
  return rest.length === 0 ? `docker.io/library/${name}` : `docker.io/${name}`;
}

/** The folder holds this layout and nothing of an earlier one. */
export async function writeLayout({ files }: Layout, directory: string): Promise<void> {
  await mkdir(join(directory, 'blobs/sha256'), { recursive: true });
  const present = await readdir(join(directory, 'blobs/sha256'));
  const stale = present.map((file) => `blobs/sha256/${file}`).filter((file) => !files.has(file));
  await Promise.all([...files].map(([path, content]) => writeFile(join(directory, path), content)));
  await Promise.all(stale.map((path) => rm(join(directory, path))));
}

/** For `ctr images import`, `docker load` and `skopeo copy oci-archive:`. */
export async function writeArchive({ files }: Layout, file: string): Promise<void> {
  const entries = [...files].map(([name, content]) => ({
    header: { name, size: content.length, mode: 0o644, uid: 0, gid: 0, mtime: new Date(0) },
    body: content,
  }));
  await mkdir(dirname(file), { recursive: true });
  await writeFile(`${file}.part`, await packTar(entries));
  await rename(`${file}.part`, file);
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}
