/** Objects of Kubernetes as fields, for comparing two that should be alike and saying where they are not. */
import { parse, parseAllDocuments } from 'yaml';

/** Leaves by their path, `spec.ports.0.port`. */
export function flatten(value: unknown, path = ''): Map<string, unknown> {
  // Programs fold the lines of a long text differently, and in an expression no space matters.
  if (typeof value === 'string' && path.endsWith('.expression'))
    return new Map([[path, value.replaceAll(/\s+/g, ' ')]]);
  if (typeof value !== 'object' || value === null) return new Map([[path, value]]);
  const entries = Object.entries(value).flatMap(([key, child]) => [
    ...flatten(child, path === '' ? key : `${path}.${key}`),
  ]);
  // An empty object says something too.
  return entries.length === 0 ? new Map([[path, JSON.stringify(value)]]) : new Map(entries);
}

interface KubernetesObject {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
}

export type Objects = ReadonlyMap<string, unknown>;

/** By kind, namespace and name. The name of kustomize's ConfigMap has a digest, and its settings are compared as settings. */
export function objectsOf(text: string): Objects {
  const plain = text.replaceAll(/\btka-config-[a-z0-9]{10}\b/g, 'tka-config');
  return new Map(
    parseAllDocuments(plain)
      // Manifests, each of them an object with a name; null where a template rendered nothing.
      .map((document) => document.toJS() as (KubernetesObject & { data?: Record<string, string> }) | null)
      .filter((object) => object !== null)
      .map((object) => {
        const { kind, metadata, data } = object;
        const text = data?.['config.yaml'];
        const settings = text === undefined ? {} : { data: { 'config.yaml': parse(text) } };
        return [`${kind} ${metadata.namespace ?? ''}/${metadata.name}`, { ...object, ...settings }];
      }),
  );
}

/** Labels that say what installed an object, and are another's in each. */
const installers = ['app.kubernetes.io/managed-by', 'helm.sh/chart'].map((label) => `metadata.labels.${label}`);

/** As `flatten` has them, without those labels. */
export function fieldsBesidesInstaller(object: unknown): Map<string, unknown> {
  const fields = flatten(object);
  for (const path of installers) fields.delete(path);
  return fields;
}

/** Of all of them, by `Kind namespace/name: path`. */
export function fieldsOf(objects: Objects): Map<string, unknown> {
  return new Map(
    [...objects].flatMap(([name, object]) =>
      [...fieldsBesidesInstaller(object)].map(([path, value]) => [`${name}: ${path}`, value]),
    ),
  );
}
