/**
 * The API server as the reconciler sees it: typed clients that share one connection pool, and a watch.
 *
 * Every call rejects with an ApiError (errors.ts), or with the reason of the signal given through `during()`.
 * The owner of a Cluster closes its connections and gives each call a deadline.
 */
import {
  type AuthorizationV1Api,
  type ConfigurationOptions,
  type CoreV1Api,
  type CustomObjectsApi,
  Observable,
  PatchStrategy,
  type RbacAuthorizationV1Api,
} from '@kubernetes/client-node';

export interface Clients {
  readonly core: CoreV1Api;
  readonly rbac: RbacAuthorizationV1Api;
  readonly custom: CustomObjectsApi;
}

export interface Cluster extends Clients {
  /** The same over the same connections, but `check` is called right before each request leaves: what it throws, the call rejects with. */
  checkedBy(check: () => void): Clients;
  /** The JSON objects of a watch, one by one; ends when the API server ends it. */
  watch(path: string, query: Readonly<Record<string, string>>, signal: AbortSignal): AsyncIterable<unknown>;
  /** A client that authenticates with this bearer token only. */
  withToken(token: string): AuthorizationV1Api;
}

/** Options of one call: it ends when the signal aborts. */
export function during(signal: AbortSignal): ConfigurationOptions {
  return {
    middleware: [
      {
        pre: (request) => {
          request.setSignal(signal);
          return new Observable(Promise.resolve(request));
        },
        post: (response) => new Observable(Promise.resolve(response)),
      },
    ],
  };
}

/** As during(), for a call whose body is a merge patch; the generated clients send a JSON patch otherwise. */
export function mergePatch(signal: AbortSignal): ConfigurationOptions {
  return {
    middleware: [
      {
        pre: (request) => {
          request.setSignal(signal);
          request.setHeaderParam('Content-Type', PatchStrategy.MergePatch);
          return new Observable(Promise.resolve(request));
        },
        post: (response) => new Observable(Promise.resolve(response)),
      },
    ],
  };
}
