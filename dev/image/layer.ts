/**
 * One layer of an image: a compressed tar whose bytes follow from its entries alone. Sorted, owned by root, of the year 1970;
 * parent directories come by themselves.
 */
import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { packTar } from 'modern-tar';
import type { TarEntry } from 'modern-tar';

export interface LayerEntry {
  /** Absolute, in the image. */
  readonly path: string;
  readonly mode: number;
  /** Of a file; a directory has none. */
  readonly content?: Buffer;
}

export interface Layer {
  readonly compressed: Buffer;
  /** Of the tar within, as an image's configuration lists it. */
  readonly diffId: string;
}

export async function makeLayer(entries: readonly LayerEntry[]): Promise<Layer> {
  const all = new Map(entries.map((entry) => [entry.path, entry]));
  for (const { path } of entries) {
    for (const parent of parents(path)) if (!all.has(parent)) all.set(parent, { path: parent, mode: 0o755 });
  }
  // By code unit: no locale has a say.
  const sorted = [...all.values()].toSorted((a, b) => (a.path < b.path ? -1 : 1));
  const tar = await packTar(sorted.map(tarEntry));
  const compressed = gzipSync(tar, { level: 6 });
  // The header's last byte names the system that compressed: "unknown" is true everywhere.
  compressed[9] = 0xff;
  return { compressed, diffId: `sha256:${createHash('sha256').update(tar).digest('hex')}` };
}

function tarEntry({ path, mode, content }: LayerEntry): TarEntry {
  const header = { mode, uid: 0, gid: 0, uname: 'root', gname: 'root', mtime: new Date(0) };
  const name = path.slice(1);
  return content === undefined
    ? { header: { ...header, name: `${name}/`, size: 0, type: 'directory' } }
    : { header: { ...header, name, size: content.length, type: 'file' }, body: content };
}

/** `/a/b/c` has `/a` and `/a/b`. */
function parents(path: string): readonly string[] {
  const parts = path.split('/').slice(1, -1);
  return parts.map((_, index) => `/${parts.slice(0, index + 1).join('/')}`);
}
