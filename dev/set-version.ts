/**
 * Part of `npm version`: writes the version of package.json to where it has to be said again, in files of programs that cannot
 * read it there. Prints the files. A test holds all of them to package.json.
 */
import { glob, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const places: readonly { readonly files: string; readonly fields: readonly string[] }[] = [
  {
    files: 'manifests/{kustomization.yaml,monitoring/kustomization.yaml}',
    fields: ['newTag', 'app.kubernetes.io/version'],
  },
  { files: 'charts/*/Chart.yaml', fields: ['version', 'appVersion'] },
];

export interface Repetition {
  readonly file: string;
  readonly text: string;
  /** The versions that are in it. */
  readonly found: readonly string[];
}

export async function repetitions(root: string): Promise<readonly Repetition[]> {
  const all: Repetition[] = [];
  for (const { files, fields } of places) {
    for await (const file of glob(files, { cwd: root })) {
      const text = await readFile(join(root, file), 'utf8');
      all.push({ file, text, found: [...text.matchAll(lineOf(fields))].map(([, , version = '']) => version) });
    }
  }
  return all;
}

export async function setVersion(root: string, version: string): Promise<readonly string[]> {
  const files = await repetitions(root);
  for (const { file, text } of files) {
    const { fields = [] } =
      places.find(({ files: pattern }) => pattern.split('/', 1)[0] === file.split('/', 1)[0]) ?? {};
    await writeFile(
      join(root, file),
      text.replaceAll(lineOf(fields), (_, before: string) => `${before}${version}`),
    );
  }
  return files.map(({ file }) => file);
}

function lineOf(fields: readonly string[]): RegExp {
  return new RegExp(String.raw`^( *(?:${fields.join('|')}): )(\S+)$`, 'gm');
}

if (import.meta.main) {
  const root = join(import.meta.dirname, '..');
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string }; // ours
  for (const file of await setVersion(root, version)) process.stdout.write(`${file}\n`);
}
