/**
 * Watches the accounts and bindings of sessions, so that every replica knows within milliseconds when one is deleted or changed.
 *
 * Its events are hints: events between two watches are lost, and the sweep finds what they would have shown. Objects are selected by
 * tka's labels; one that loses its labels looks deleted. Each watch lasts at most 25 s by request, and one that stays open longer
 * is replaced.
 */
import type { RbacV1Subject, V1RoleBinding } from '@kubernetes/client-node';
import type { Logger } from 'pino';
import * as z from 'zod';
import { labels, managedByValue } from '../../crd/tkasignin.ts';
import { type Clock, sleep } from '../clock.ts';
import { type Cluster, during } from '../cluster.ts';
import { ApiUnavailableError, GoneError } from '../errors.ts';

export interface OwnedEvent {
  readonly kind: 'account' | 'binding';
  readonly name: string;
  readonly namespace: string | undefined;
  readonly uid: string;
  readonly signin: string;
  readonly signinUid: string;
  /** Deleted, being deleted, or without tka's labels. */
  readonly isGone: boolean;
  readonly grant?: Pick<V1RoleBinding, 'roleRef' | 'subjects'>;
}

export interface OwnedWatchOptions {
  readonly cluster: Cluster;
  readonly namespace: string;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  readonly onEvent: (event: OwnedEvent) => void;
  /** Events may have been lost. */
  readonly onGap: () => void;
}

export interface OwnedWatch {
  stop(): Promise<void>;
}

const watchSeconds = 25;
/** After this a watch that should have ended has hung. */
const watchDeadlineMs = 27_000;

const text = z.string();
const objectSchema = z.object({
  metadata: z.object({
    name: text,
    namespace: text.optional(),
    uid: text,
    resourceVersion: text,
    deletionTimestamp: text.optional(),
    labels: z.record(text, text).optional(),
  }),
  roleRef: z.object({ apiGroup: text, kind: text, name: text }).optional(),
  subjects: z
    .array(z.object({ apiGroup: text.optional(), kind: text, name: text, namespace: text.optional() }))
    .optional(),
});
const eventSchema = z.discriminatedUnion('type', [
  z.object({ type: z.enum(['ADDED', 'MODIFIED', 'DELETED']), object: objectSchema }),
  z.object({ type: z.literal('BOOKMARK'), object: z.object({ metadata: z.object({ resourceVersion: text }) }) }),
  z.object({ type: z.literal('ERROR'), object: z.object({ code: z.number().optional(), message: text.optional() }) }),
]);

interface Resource {
  readonly plural: string;
  readonly path: string;
  readonly kind: OwnedEvent['kind'];
  /** A list for the resource version to watch from. */
  readonly version: (query: { labelSelector: string; limit: number }, signal: AbortSignal) => Promise<ListAnswer>;
}

interface ListAnswer {
  readonly metadata?: { readonly resourceVersion?: string };
}

export function startOwnedWatch(options: OwnedWatchOptions): OwnedWatch {
  const { cluster, namespace } = options;
  const stopping = new AbortController();
  const rbac = '/apis/rbac.authorization.k8s.io/v1';
  const resources: readonly Resource[] = [
    {
      plural: 'serviceaccounts',
      path: `/api/v1/namespaces/${namespace}/serviceaccounts`,
      kind: 'account',
      version: async (query, signal) =>
        await cluster.core.listNamespacedServiceAccount({ namespace, ...query }, during(signal)),
    },
    {
      plural: 'clusterrolebindings',
      path: `${rbac}/clusterrolebindings`,
      kind: 'binding',
      version: async (query, signal) => await cluster.rbac.listClusterRoleBinding(query, during(signal)),
    },
    {
      plural: 'rolebindings',
      path: `${rbac}/rolebindings`,
      kind: 'binding',
      version: async (query, signal) => await cluster.rbac.listRoleBindingForAllNamespaces(query, during(signal)),
    },
  ];
  const ended = Promise.all(resources.map(async (resource) => await watchForever(options, resource, stopping.signal)));
  return {
    async stop() {
      stopping.abort(new Error('the watch of accounts and bindings was stopped'));
      await ended;
    },
  };
}

async function watchForever(options: OwnedWatchOptions, resource: Resource, signal: AbortSignal): Promise<void> {
  const { namespace, clock, random, log } = options;
  const labelSelector = `${labels.managedBy}=${managedByValue},${labels.install}=${namespace},${labels.signinUid}`;
  let at: string | undefined;
  let isFirst = true;
  for (let failures = 0; !signal.aborted;) {
    try {
      if (at === undefined) {
        const { metadata } = await resource.version({ labelSelector, limit: 1 }, signal);
        at = metadata?.resourceVersion ?? '0';
        if (!isFirst) options.onGap();
        isFirst = false;
      }
      const startedAt = clock.now();
      for await (const version of eventsOf(options, resource, { labelSelector, resourceVersion: at }, signal)) {
        at = version;
      }
      if (clock.now() - startedAt < 1000) {
        throw new ApiUnavailableError('watch', resource.plural, 'the API server ended the watch at once');
      }
      failures = 0;
    } catch (error) {
      if (signal.aborted) return;
      failures += 1;
      if (error instanceof GoneError || failures >= 3) at = undefined;
      const full = Math.min(10_000, 100 * 2 ** Math.min(failures - 1, 10));
      // The sessions' informer reports an unreachable API server.
      const level = error instanceof GoneError || error instanceof ApiUnavailableError ? 'debug' : 'warn';
      log[level](
        { err: error, resource: resource.plural, failures },
        'cannot watch the objects of sessions, trying again',
      );
      await sleep(clock, full / 2 + (full / 2) * random(), signal).catch(() => undefined);
    }
  }
}

/** Passes on the events of one watch; yields the resource version to resume from after each. */
async function* eventsOf(
  { cluster, clock, onEvent }: OwnedWatchOptions,
  { path, plural, kind }: Resource,
  query: { readonly labelSelector: string; readonly resourceVersion: string },
  stopping: AbortSignal,
): AsyncGenerator<string> {
  const hung = new AbortController();
  const cancel = clock.schedule(() => hung.abort(new Error('the watch has hung')), watchDeadlineMs);
  const asked = { ...query, allowWatchBookmarks: 'true', timeoutSeconds: String(watchSeconds) };
  try {
    for await (const raw of cluster.watch(path, asked, AbortSignal.any([stopping, hung.signal]))) {
      const event = eventSchema.parse(raw);
      if (event.type === 'ERROR') {
        const message = event.object.message ?? 'the watch failed';
        if (event.object.code === 410) throw new GoneError('watch', plural, message);
        throw new ApiUnavailableError('watch', plural, message);
      }
      if (event.type !== 'BOOKMARK') {
        const owned = toOwned(kind, event.object, event.type === 'DELETED');
        if (owned !== undefined) onEvent(owned);
      }
      yield event.object.metadata.resourceVersion;
    }
  } catch (error) {
    if (!hung.signal.aborted || stopping.aborted) throw error;
  } finally {
    cancel();
  }
}

function toOwned(
  kind: OwnedEvent['kind'],
  { metadata, roleRef, subjects }: z.infer<typeof objectSchema>,
  isDeleted: boolean,
): OwnedEvent | undefined {
  const signin = metadata.labels?.[labels.signin];
  const signinUid = metadata.labels?.[labels.signinUid];
  if (signin === undefined || signinUid === undefined) return undefined;
  return {
    kind,
    name: metadata.name,
    namespace: metadata.namespace,
    uid: metadata.uid,
    signin,
    signinUid,
    isGone: isDeleted || metadata.deletionTimestamp !== undefined,
    // A cast because zod calls fields that may be absent possibly undefined; absent ones stay absent in what it returns.
    ...(roleRef === undefined ? {} : { grant: { roleRef, subjects: (subjects ?? []) as RbacV1Subject[] } }),
  };
}
