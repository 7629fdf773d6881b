/** The admission policies and their bindings as manifests/cluster installs them, by their path in the API. */
import { readFileSync } from 'node:fs';
import { parseAllDocuments } from 'yaml';

const manifests = ['admission.yaml', 'admission-server.yaml'].flatMap((file) =>
  parseAllDocuments(readFileSync(new URL(`../../manifests/cluster/${file}`, import.meta.url), 'utf8')).map(
    (document) => document.toJS() as { kind: string; metadata: { name: string }; spec: Record<string, unknown> },
  ),
);

/** Any other path: an object without a spec. */
export function installed(path: string): { readonly spec: Record<string, unknown> } {
  const [kind = '', name] = path.split('/').slice(-2);
  const manifest = manifests.find(
    (each) => `${each.kind.toLowerCase()}s` === kind.replace('policies', 'policys') && each.metadata.name === name,
  );
  return { spec: manifest?.spec ?? {} };
}
