import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { build } from 'esbuild';

/** The files of ours and of libraries that a module brings along at once, leaving out what it imports on demand. */
async function loadedWith(module: string): Promise<readonly string[]> {
  const { metafile } = await build({
    entryPoints: [fileURLToPath(new URL(`../${module}`, import.meta.url))],
    bundle: true,
    splitting: true,
    write: false,
    metafile: true,
    format: 'esm',
    platform: 'node',
    outdir: 'out',
    external: ['react-devtools-core'],
    logLevel: 'error',
  });
  const seen = new Set<string>();
  const visit = (path: string): string[] => {
    const output = metafile.outputs[path];
    if (output === undefined || seen.has(path)) return [];
    seen.add(path);
    const imported = output.imports.filter(({ kind }) => kind === 'import-statement');
    return [...Object.keys(output.inputs), ...imported.flatMap((one) => visit(one.path))];
  };
  const entry = Object.keys(metafile.outputs).find((path) => basename(path) === `${basename(module, '.ts')}.js`);
  return visit(entry ?? '');
}

const libraries: readonly [string, readonly string[]][] = [
  ['cli.ts', []],
  ['commands/credential.ts', []],
  ['commands/version.ts', []],
  ['program/program.ts', ['commander']],
  // What a login loads before its first request has left.
  ['commands/login.ts', []],
  ['connection/connect.ts', []],
  ['tailnet/local-api.ts', []],
  ['tailnet/status.ts', []],
];
for (const [module, expected] of libraries) {
  test(`${module} brings along ${expected.length === 0 ? 'no library' : expected.join(', ')}`, async (t) => {
    const files = await loadedWith(module);
    t.true(files.some((file) => file.endsWith(module)));
    const found = new Set(files.flatMap((file) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file)?.[1] ?? []));
    t.deepEqual([...found].sort(), expected);
    t.false(files.some((file) => file.endsWith('node/http/contract.ts')));
  });
}
