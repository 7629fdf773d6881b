/**
 * The npm packages that are in the bundles, from what esbuild says it read: not what package.json asks for, which is more in
 * one place (types) and less in another (what our dependencies bring).
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import type { Component } from './component.ts';
import { accepted, noticesIn, sorted } from './component.ts';

const manifestSchema = z.object({
  name: z.string(),
  version: z.string(),
  license: z.string().optional(),
  author: z.union([z.string(), z.object({ name: z.string() })]).optional(),
});
type Manifest = z.infer<typeof manifestSchema>;

const lockSchema = z.object({ packages: z.record(z.string(), z.object({ integrity: z.string().optional() })) });

/** `inputs`: files that the bundles were made of, from `root`. */
export async function bundledPackages(root: string, inputs: readonly string[]): Promise<readonly Component[]> {
  const lock = lockSchema.parse(JSON.parse(await readFile(join(root, 'package-lock.json'), 'utf8')));
  const folders = new Set(inputs.map(packageFolder).filter((folder) => folder !== undefined));
  const components = await Promise.all(
    [...folders].map((folder) => component(root, folder, lock.packages[folder]?.integrity)),
  );
  return sorted(components);
}

/** `node_modules/koa/node_modules/mime-db/db.json` is in `node_modules/koa/node_modules/mime-db`. */
export function packageFolder(file: string): string | undefined {
  return /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(file)?.[0];
}

async function component(root: string, folder: string, integrity: string | undefined): Promise<Component> {
  const manifest = manifestSchema.parse(JSON.parse(await readFile(join(root, folder, 'package.json'), 'utf8')));
  const { name, version, license } = manifest;
  const licence = accepted(license, `${name} ${version}`);
  const texts = await noticesIn(join(root, folder));
  const hash = sha512Of(integrity);
  return {
    name,
    version,
    licence,
    texts: texts.length > 0 ? texts : [namedLicence(manifest, licence)],
    purl: `pkg:npm/${name.replace('@', '%40')}@${version}`,
    ...(hash === undefined ? {} : { sha512: hash }),
  };
}

/** A lock file's `sha512-BASE64`. */
function sha512Of(integrity: string | undefined): string | undefined {
  const base64 = /^sha512-(\S+)$/.exec(integrity ?? '')?.[1];
  return base64 === undefined ? undefined : Buffer.from(base64, 'base64').toString('hex');
}

/** For a package that names its licence and brings no copy of it. */
function namedLicence({ name, author }: Manifest, licence: string): string {
  const holder = (typeof author === 'string' ? author : author?.name) ?? `the authors of ${name}`;
  switch (licence) {
    case 'MIT':
      return `The MIT License\n\nCopyright (c) ${holder}\n\n${mit}`;
    case 'Unlicense':
      return unlicense;
    default:
      throw new Error(`${name} is under ${licence} and brings no copy of it: add its text to this file`);
  }
}

const mit = `Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the rights to
use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the
Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES
OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE
LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN
CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.`;

const unlicense = `This is free and unencumbered software released into the public domain: see https://unlicense.org`;
