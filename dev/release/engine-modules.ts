/**
 * The Go modules that are in an engine, from what the binary says of itself, and Go's own library. Licences come from the module
 * cache: of a module, and of each package in it that is built in and has one of its own.
 */
import { execFile } from 'node:child_process';
import { dirname, join, relative } from 'node:path';
import { promisify } from 'node:util';
import * as z from 'zod';
import { type Platform, targetOf } from '../build-engine.ts';
import type { Component } from './component.ts';
import { accepted, licenceOf, noticesIn, sorted } from './component.ts';

const run = promisify(execFile);

const buildInfoSchema = z.object({
  GoVersion: z.string(),
  Deps: z.array(
    z.object({ Path: z.string(), Version: z.string(), Sum: z.string(), Replace: z.undefined().optional() }),
  ),
});
export type BuildInfo = z.infer<typeof buildInfoSchema>;

export async function buildInfoOf(binary: string): Promise<BuildInfo> {
  const { stdout } = await run('go', ['version', '-m', '-json', binary]);
  // One value for each program that was named.
  return buildInfoSchema.parse(JSON.parse(stdout));
}

/** `module`: where the engine's sources are. */
export async function engineModules(binary: string, module: string, platform: Platform): Promise<readonly Component[]> {
  const [{ GoVersion, Deps }, folders, goRoot] = await Promise.all([
    buildInfoOf(binary),
    packageFolders(module, platform),
    run('go', ['env', 'GOROOT']).then(({ stdout }) => stdout.trim()),
  ]);
  const modules = Deps.map(async ({ Path: name, Version: version, Sum: goSum }): Promise<Component> => {
    const known = folders.get(name);
    if (known === undefined)
      throw new Error(`${name} is in the engine, but none of its packages is: build the engine again`);
    const texts = [...new Set((await Promise.all(known.map(noticesIn))).flat())];
    const licence = accepted(
      texts.map(licenceOf).find((id) => id !== undefined),
      `${name} ${version}`,
    );
    return { name, version, licence, texts, purl: `pkg:golang/${name}@${version}`, goSum };
  });
  const version = GoVersion.replace(/^go/, '');
  const library: Component = {
    name: 'std',
    version,
    licence: 'BSD-3-Clause',
    texts: await noticesIn(goRoot),
    purl: `pkg:golang/std@${version}`,
  };
  if (library.texts.length === 0) throw new Error(`Go's own licence is not in ${goRoot}, where its releases have it`);
  return sorted([library, ...(await Promise.all(modules))]);
}

/** By module: its root and every folder on the way to a package that is built in, the root first. */
async function packageFolders(module: string, platform: Platform): Promise<ReadonlyMap<string, readonly string[]>> {
  const { stdout } = await run(
    'go',
    ['list', '-deps', '-f', '{{with .Module}}{{if not .Main}}{{.Path}}\t{{.Dir}}\t{{$.Dir}}{{end}}{{end}}', '.'],
    {
      cwd: module,
      env: { ...process.env, CGO_ENABLED: '0', GOWORK: 'off', ...targetOf(platform) },
      maxBuffer: 64 * 1024 * 1024,
    },
  );
  const folders = new Map<string, Set<string>>();
  for (const line of stdout.split('\n').filter((one) => one !== '')) {
    const [name = '', root = '', folder = ''] = line.split('\t');
    const known = folders.get(name) ?? new Set([root]);
    folders.set(name, known);
    for (let at = folder; relative(root, at) !== '' && !relative(root, at).startsWith('..'); at = dirname(at)) {
      known.add(join(at));
    }
  }
  return new Map([...folders].map(([name, known]) => [name, [...known]]));
}
