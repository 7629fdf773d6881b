/**
 * Makes the two bundles, `dist/tka-server.js` and `dist/tka.js`, with esbuild.
 *
 * Each entry gets its own chunks, split where the sources import on demand, so that nothing heavy is read before it is
 * needed. Run as a script it prints the size of what each command reads at its start.
 */
import { chmod, readFile, readdir, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const entries = { 'tka-server': 'node/main.ts', tka: 'tui/cli.ts' } as const;

export interface Bundle {
  readonly name: keyof typeof entries;
  readonly path: string;
  /** Bytes of the entry and of everything it imports statically. */
  readonly startBytes: number;
  /** Every source and every file of a dependency that something of is in it, from the project's root. */
  readonly inputs: readonly string[];
}

export async function buildBundles(outdir: string = join(root, 'dist')): Promise<readonly Bundle[]> {
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string };
  return Promise.all((Object.keys(entries) as (keyof typeof entries)[]).map((name) => bundle(name, outdir, version)));
}

async function bundle(name: keyof typeof entries, outdir: string, version: string): Promise<Bundle> {
  const result = await build({
    absWorkingDir: root,
    entryPoints: { [name]: entries[name] },
    outdir,
    chunkNames: `chunks/${name}/[name]-[hash]`,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node22',
    minifySyntax: true,
    minifyWhitespace: true,
    // The command is read at each start; the server is read once, and its stack traces are for people.
    minifyIdentifiers: name === 'tka',
    legalComments: 'none',
    metafile: true,
    jsx: 'automatic',
    // React's development build is twice as slow to read; Ink loads its inspector only where DEV is "true".
    define: {
      'process.env.TKA_VERSION': JSON.stringify(version),
      'process.env.NODE_ENV': '"production"',
      'process.env.DEV': '"false"',
      // Ink's layout engine fetches itself from a data URL where there is a fetch, which loads all of undici before the first
      // frame; without one it decodes itself. The command has its own transport and uses no fetch.
      ...(name === 'tka' ? { fetch: 'undefined' } : {}),
    },
    external: ['react-devtools-core'],
    // CommonJS dependencies still call require() for Node's own modules.
    banner: {
      js: "import{createRequire as __createRequire}from'node:module';const require=__createRequire(import.meta.url);",
    },
    logLevel: 'warning',
  });
  const path = join(outdir, `${name}.js`);
  await chmod(path, 0o755);

  const { outputs } = result.metafile;
  await removeStale(join(outdir, 'chunks', name), new Set(Object.keys(outputs).map((file) => basename(file))));
  const seen = new Set<string>();
  const visit = (file: string): number => {
    const output = outputs[file];
    if (output === undefined || seen.has(file)) return 0;
    seen.add(file);
    const statics = output.imports.filter((imported) => imported.kind === 'import-statement');
    return statics.reduce((sum, imported) => sum + visit(imported.path), output.bytes);
  };
  const entry = Object.keys(outputs).find((file) => outputs[file]?.entryPoint === entries[name]) ?? '';
  const used = Object.values(outputs).flatMap((output) =>
    Object.entries(output.inputs).filter(([, { bytesInOutput }]) => bytesInOutput > 0),
  );
  return { name, path, startBytes: visit(entry), inputs: [...new Set(used.map(([file]) => file))].toSorted() };
}

/** Only once the new files are there: a program that starts meanwhile finds one whole build or the other. */
async function removeStale(chunks: string, made: ReadonlySet<string>): Promise<void> {
  const present = await readdir(chunks).catch(() => []);
  await Promise.all(present.filter((file) => !made.has(file)).map((file) => rm(join(chunks, file), { force: true })));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const { name, startBytes } of await buildBundles()) {
    console.log(`${name.padEnd(10)} ${(startBytes / 1024).toFixed(0)} KiB read at start`);
  }
}
