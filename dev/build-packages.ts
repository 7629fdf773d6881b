/**
 * `npm run build:packages`: the npm packages of all platforms into dist/packages, each with its bill of materials, and SHA256SUMS
 * over all of them. With `-- --here` this machine's engine alone: the others take a minute each from an empty build cache.
 *
 * In a GitHub workflow the packages name its repository as theirs, which npm's provenance needs.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { buildPackages, platforms } from './release/packages.ts';

const { values } = parseArgs({ options: { here: { type: 'boolean', default: false } } });
const { GITHUB_SERVER_URL: host, GITHUB_REPOSITORY: path } = process.env;
const built = await buildPackages({
  outdir: join(import.meta.dirname, '../dist/packages'),
  platforms: platforms.filter(({ os, cpu }) => !values.here || (os === process.platform && cpu === process.arch)),
  repository: host === undefined || path === undefined ? undefined : `${host}/${path}`,
  progress: (line) => void process.stderr.write(`${line}\n`),
});
for (const { archive, billOfMaterials } of built) process.stdout.write(`${archive}\n${billOfMaterials}\n`);
