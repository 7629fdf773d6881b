/**
 * One Secret at the API server, with the access that tka has: get, watch and patch by name. It exists before tka starts, because RBAC
 * cannot allow the creation of only one Secret.
 *
 * Its values are sealed with a checksum in an annotation, so that a Secret that was emptied or edited differs from a new one. Applying
 * a manifest again changes neither: it contains no value and none of these annotations.
 */
import { createHash } from 'node:crypto';
import type { V1Secret } from '@kubernetes/client-node';
import { type Cluster, during, mergePatch } from '../../reconciler/cluster.ts';
import { NotFoundError } from '../../reconciler/errors.ts';

export interface SecretContent {
  readonly resourceVersion: string;
  readonly annotations: Readonly<Record<string, string>>;
  /** By key of the Secret. */
  readonly values: ReadonlyMap<string, Buffer>;
}

export interface SecretChange {
  /** The version that is changed: where it is another by now, nothing is written. */
  readonly resourceVersion?: string;
  /** null removes. */
  readonly annotations?: Readonly<Record<string, string | null>>;
  readonly values?: ReadonlyMap<string, Buffer | null>;
}

export interface Secret {
  /** `Secret tka-system/tka-0-state`. */
  readonly name: string;
  /** Rejects with a SecretError where the Secret does not exist, else with an ApiError. */
  read(signal: AbortSignal): Promise<SecretContent>;
  /** Resolves with the new content; rejects with a ConflictError where it has changed since. */
  patch(change: SecretChange, signal: AbortSignal): Promise<SecretContent>;
  /** The current content, then each change; ends when the API server ends it, rejects with a SecretError when it is deleted. */
  watch(signal: AbortSignal): AsyncIterable<SecretContent>;
}

/** The operator must act on the Secret: the message names it and the remedy. */
export class SecretError extends Error {
  override readonly name = 'SecretError';
}

const sealAnnotation = 'tka.specht-labs.de/checksum';
/** Of all values together; the API server's own limit. */
export const maxSecretBytes = 1024 * 1024;
const watchSeconds = 60;

export function secretAt(cluster: Pick<Cluster, 'core' | 'watch'>, namespace: string, name: string): Secret {
  const title = `Secret ${namespace}/${name}`;
  const orMissing = async (answer: Promise<V1Secret>): Promise<SecretContent> => {
    try {
      return contentOf(await answer);
    } catch (error) {
      if (!(error instanceof NotFoundError)) throw error;
      throw missing(title, namespace, name, error);
    }
  };
  return {
    name: title,
    read: (signal) => orMissing(cluster.core.readNamespacedSecret({ namespace, name }, during(signal))),
    patch({ resourceVersion, annotations, values = new Map<string, Buffer | null>() }, signal) {
      const data = Object.fromEntries([...values].map(([key, value]) => [key, value?.toString('base64') ?? null]));
      const body = { metadata: { resourceVersion, annotations }, ...(values.size === 0 ? {} : { data }) };
      return orMissing(cluster.core.patchNamespacedSecret({ namespace, name, body }, mergePatch(signal)));
    },
    async *watch(signal) {
      const query = { fieldSelector: `metadata.name=${name}`, timeoutSeconds: String(watchSeconds) };
      // A half-open connection would never end the watch.
      const late = AbortSignal.timeout((watchSeconds + 10) * 1000);
      const path = `/api/v1/namespaces/${namespace}/secrets`;
      for await (const event of cluster.watch(path, query, AbortSignal.any([signal, late]))) {
        // The watch's own envelope; what an error event has in place of a Secret has no data either.
        const { type, object } = event as { readonly type: string; readonly object: V1Secret };
        if (type === 'ADDED' || type === 'MODIFIED') yield contentOf(object);
        else if (type === 'DELETED') throw missing(title, namespace, name);
      }
    },
  };
}

function missing(title: string, namespace: string, name: string, cause?: unknown): SecretError {
  return new SecretError(
    `${title} does not exist: make it, empty, with \`kubectl apply -k manifests/\` or \`kubectl create secret generic ${name} -n ${namespace}\``,
    { cause },
  );
}

/** The annotation that goes with these values. */
export function sealOf(values: ReadonlyMap<string, Buffer>): Readonly<Record<string, string>> {
  const hash = createHash('sha256');
  for (const [key, value] of [...values].sort(([a], [b]) => (a < b ? -1 : 1))) {
    hash.update(`${key.length}:${key}:${value.length}:`).update(value);
  }
  return { [sealAnnotation]: `sha256:${hash.digest('hex')}` };
}

/** State of the values: `new` were never written; `changed` and `emptied` were not written by tka. */
export function sealStateOf({ annotations, values }: SecretContent): 'new' | 'whole' | 'changed' | 'emptied' {
  const seal = annotations[sealAnnotation];
  if (seal === undefined) return values.size === 0 ? 'new' : 'whole';
  if (seal === sealOf(values)[sealAnnotation]) return 'whole';
  return values.size === 0 ? 'emptied' : 'changed';
}

/** The command that accepts what sealStateOf calls changed or emptied. */
export function unsealing(name: string): string {
  const [namespace = '', object = ''] = name.replace(/^Secret /, '').split('/');
  return `kubectl annotate secret ${object} -n ${namespace} ${sealAnnotation}-`;
}

function contentOf({ metadata, data = {} }: V1Secret): SecretContent {
  return {
    resourceVersion: metadata?.resourceVersion ?? '',
    annotations: metadata?.annotations ?? {},
    values: new Map(Object.entries(data).map(([key, text]) => [key, Buffer.from(text, 'base64')])),
  };
}
