/**
 * Recognizes answers of the API server that mean that an object of tka's own installation is missing or was changed, and names the
 * object; an unreachable API server is not one of them.
 */
import { group, plural } from '../../crd/tkasignin.ts';
import { ApiError, ForbiddenError, InvalidError, NotFoundError, UnauthorizedError } from '../errors.ts';

/** Never resets what an overlay or values change, above all the roles that tka may bind. */
export const reinstall =
  'install it again from your own overlay or values: kubectl apply -k OVERLAY (manifests/ if you have none), or helm upgrade tka charts/tka --namespace default --reuse-values';

const crd = `CustomResourceDefinition ${plural}.${group}`;

/** Undefined where this error does not show that the installation is the cause. */
export function installationProblem(error: unknown): string | undefined {
  if (!(error instanceof ApiError)) return undefined;
  const { message, verb, resource } = error;
  const terminating = /namespace (\S+) because it is being terminated/.exec(message)?.[1];
  if (terminating !== undefined) return `the namespace ${terminating} is being deleted`;
  if (error instanceof UnauthorizedError) {
    return "the API server does not know tka's credential: its ServiceAccount was deleted, or its token has ended";
  }
  if (error instanceof ForbiddenError) return `tka may not ${verb} ${resource}${placeIn(message)}`;
  if (!resource.startsWith(plural)) return undefined;
  if (error instanceof InvalidError && message.includes('custom resource definition is terminating')) {
    return `the ${crd} is being deleted`;
  }
  if (!(error instanceof NotFoundError)) return undefined;
  const namespace = /namespaces "([^"]+)" not found/.exec(message)?.[1];
  if (namespace !== undefined) return `the namespace ${namespace} does not exist`;
  // The message names a missing object, but not a missing kind.
  return /"[^"]+" not found/.test(message) ? undefined : `the ${crd} is not installed`;
}

function placeIn(message: string): string {
  const namespace = / in the namespace "([^"]+)"/.exec(message)?.[1];
  return namespace === undefined ? '' : ` in namespace ${namespace}`;
}
