/**
 * TkaSignins at the API server: one function a call, each with the precondition that makes it safe to repeat.
 *
 * Patches and deletes carry the object's UID, so that an object created in between under the same name is never touched.
 */
import {
  annotations,
  apiVersion,
  finalizer,
  group,
  kind,
  labels,
  managedByValue,
  plural,
  type TkaSignin,
  type TkaSigninStatus,
  userLabel,
  version,
} from '../../crd/tkasignin.ts';
import { parseTkaSignin } from '../../crd/parse.ts';
import { type Clients, during, mergePatch } from '../cluster.ts';
import { InvalidError } from '../errors.ts';
import { reinstall } from './installation.ts';
import type { SignInRequest } from '../reconciler.ts';

export interface Signins {
  create(request: SignInRequest, name: string, signal: AbortSignal): Promise<TkaSignin>;
  read(name: string, signal: AbortSignal): Promise<TkaSignin>;
  /** Moves the end, and records which node asked. */
  moveEnd(signin: TkaSignin, endsAt: Date, node: string, signal: AbortSignal): Promise<TkaSignin>;
  /** Sets one annotation of exactly this object. */
  annotate(signin: TkaSignin, key: string, value: string, signal: AbortSignal): Promise<TkaSignin>;
  writeStatus(signin: TkaSignin, status: TkaSigninStatus, signal: AbortSignal): Promise<TkaSignin>;
  /** Sets the list of finalizers, if the object is still what `signin` says. */
  setFinalizers(signin: TkaSignin, finalizers: readonly string[], signal: AbortSignal): Promise<TkaSignin>;
  /**
   * Deletes exactly this object; with `unchanged`, only if it has not been written since. Resolves with the
   * object as it is while finalizers hold it, undefined where it is gone.
   */
  delete(
    signin: TkaSignin,
    options: { readonly unchanged: boolean },
    signal: AbortSignal,
  ): Promise<TkaSignin | undefined>;
}

export function createSignins(cluster: Clients, namespace: string): Signins {
  const where = { group, version, namespace, plural };
  return {
    async create(request, name, signal) {
      const body = {
        apiVersion,
        kind,
        metadata: {
          name,
          namespace,
          // From the start, so that a delete at any time cannot leave the account behind.
          finalizers: [finalizer],
          labels: {
            [labels.managedBy]: managedByValue,
            [labels.install]: namespace,
            [labels.user]: userLabel(request),
          },
          annotations: { [annotations.node]: request.node },
        },
        spec: {
          subject: request.subject,
          username: request.username,
          role: request.role,
          ...(request.namespaces === undefined ? {} : { namespaces: [...request.namespaces].sort() }),
          expiresAt: wholeSeconds(request.endsAt),
        },
      };
      return parsed(await cluster.custom.createNamespacedCustomObject({ ...where, body }, during(signal)), 'create');
    },
    async read(name, signal) {
      return parsed(await cluster.custom.getNamespacedCustomObject({ ...where, name }, during(signal)), 'get');
    },
    async moveEnd({ metadata: { name, uid } }, endsAt, node, signal) {
      const body = {
        metadata: { uid, annotations: { [annotations.node]: node } },
        spec: { expiresAt: wholeSeconds(endsAt) },
      };
      return parsed(
        await cluster.custom.patchNamespacedCustomObject({ ...where, name, body }, mergePatch(signal)),
        'patch',
      );
    },
    async annotate({ metadata: { name, uid } }, key, value, signal) {
      const body = { metadata: { uid, annotations: { [key]: value } } };
      return parsed(
        await cluster.custom.patchNamespacedCustomObject({ ...where, name, body }, mergePatch(signal)),
        'patch',
      );
    },
    async writeStatus({ metadata: { name, uid } }, status, signal) {
      const body = { metadata: { uid }, status };
      return parsed(
        await cluster.custom.patchNamespacedCustomObjectStatus({ ...where, name, body }, mergePatch(signal)),
        'patch',
      );
    },
    async setFinalizers({ metadata: { name, uid, resourceVersion } }, finalizers, signal) {
      // A merge patch replaces the whole list: the resource version keeps finalizers added meanwhile.
      const body = { metadata: { uid, resourceVersion, finalizers } };
      return parsed(
        await cluster.custom.patchNamespacedCustomObject({ ...where, name, body }, mergePatch(signal)),
        'patch',
      );
    },
    async delete({ metadata: { name, uid, resourceVersion } }, { unchanged }, signal) {
      const body = { preconditions: unchanged ? { uid, resourceVersion } : { uid } };
      return parseTkaSignin(
        await cluster.custom.deleteNamespacedCustomObject({ ...where, name, body }, during(signal)),
      );
    },
  };
}

/** RFC 3339 in UTC; the fraction of a second is cut off. */
export function wholeSeconds(time: Date): string {
  return time.toISOString().replace(/\.\d{3}Z$/, 'Z');
}

function parsed(object: unknown, verb: string): TkaSignin {
  const signin = parseTkaSignin(object);
  if (signin === undefined) {
    throw new InvalidError(
      verb,
      plural,
      `the API server answered with a TkaSignin of another schema: the CRD is of another version; ${reinstall}`,
    );
  }
  return signin;
}
