/**
 * The Lease that replicas elect a leader by, at the API server. Its fields are those of coordination.k8s.io/v1, so that kubectl and
 * dashboards understand it; others' annotations and unknown fields are kept.
 *
 * A write carries the version of the Lease that it is based on: of two concurrent writes one gets a ConflictError.
 */
import * as z from 'zod';
import { type Cluster, during, mergePatch } from '../cluster.ts';
import { InvalidError, NotFoundError } from '../errors.ts';

export interface LeaseSpec {
  /** Empty where no replica holds it. */
  readonly holder: string;
  /** How long the holder may go without renewing before another takes it. */
  readonly durationMs: number;
  /** For people: never compared with a clock. */
  readonly acquiredAt: string;
  readonly renewedAt: string;
  /** How often it has changed hands. */
  readonly transitions: number;
}

export interface StoredLease extends LeaseSpec {
  readonly version: string;
  readonly annotations: Readonly<Record<string, string>>;
}

export interface LeaseStore {
  /** Undefined where it does not exist. */
  read(signal: AbortSignal): Promise<StoredLease | undefined>;
  /** Rejects with a ConflictError where another write came first. */
  create(spec: LeaseSpec, signal: AbortSignal): Promise<StoredLease>;
  /** Rejects with a ConflictError where it is no longer as `before` says, a NotFoundError where it is gone. */
  replace(before: StoredLease, spec: LeaseSpec, signal: AbortSignal): Promise<StoredLease>;
  /** Sets annotations, and removes those that are null, whatever else changes meanwhile. */
  annotate(changes: Readonly<Record<string, string | null>>, signal: AbortSignal): Promise<StoredLease>;
}

const leaseSchema = z.object({
  metadata: z.object({ resourceVersion: z.string(), annotations: z.record(z.string(), z.string()).optional() }),
  spec: z
    .object({
      holderIdentity: z.string().default(''),
      leaseDurationSeconds: z.number().default(0),
      acquireTime: z.string().default(''),
      renewTime: z.string().default(''),
      leaseTransitions: z.number().default(0),
    })
    .prefault({}),
});

const group = 'coordination.k8s.io';
const version = 'v1';
const plural = 'leases';

export function createLeaseStore(
  { custom }: Pick<Cluster, 'custom'>,
  { namespace, name }: { readonly namespace: string; readonly name: string },
): LeaseStore {
  const where = { group, version, namespace, plural };
  const patch = async (body: object, signal: AbortSignal): Promise<StoredLease> =>
    parsed(await custom.patchNamespacedCustomObject({ ...where, name, body }, mergePatch(signal)), 'patch');
  return {
    async read(signal) {
      try {
        return parsed(await custom.getNamespacedCustomObject({ ...where, name }, during(signal)), 'get');
      } catch (error) {
        if (error instanceof NotFoundError) return undefined;
        throw error;
      }
    },
    async create(spec, signal) {
      const body = {
        apiVersion: `${group}/${version}`,
        kind: 'Lease',
        metadata: { name, namespace, labels: { 'app.kubernetes.io/part-of': 'tka' } },
        spec: specOf(spec),
      };
      return parsed(await custom.createNamespacedCustomObject({ ...where, body }, during(signal)), 'create');
    },
    replace: (before, spec, signal) =>
      patch({ metadata: { resourceVersion: before.version }, spec: specOf(spec) }, signal),
    annotate: (annotations, signal) => patch({ metadata: { annotations } }, signal),
  };
}

function specOf({ holder, durationMs, acquiredAt, renewedAt, transitions }: LeaseSpec): object {
  return {
    holderIdentity: holder,
    // The API server takes whole seconds, and none below 1.
    leaseDurationSeconds: Math.max(1, Math.ceil(durationMs / 1000)),
    acquireTime: microTime(acquiredAt),
    renewTime: microTime(renewedAt),
    leaseTransitions: transitions,
  };
}

/** The API server accepts exactly six fractional digits. */
function microTime(time: string): string {
  return time.replace(/\.(\d{3})Z$/, '.$1000Z');
}

function parsed(object: unknown, verb: string): StoredLease {
  const result = leaseSchema.safeParse(object);
  if (!result.success) throw new InvalidError(verb, plural, 'the API server answered with an invalid Lease');
  const { metadata, spec } = result.data;
  return {
    holder: spec.holderIdentity,
    durationMs: spec.leaseDurationSeconds * 1000,
    acquiredAt: spec.acquireTime,
    renewedAt: spec.renewTime,
    transitions: spec.leaseTransitions,
    version: metadata.resourceVersion,
    annotations: metadata.annotations ?? {},
  };
}
