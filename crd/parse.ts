/**
 * Parses a TkaSignin from the API server. Objects of the product that used this resource's name before, with another schema, are
 * recognized here and nowhere else.
 *
 * Keeps only the fields that tkasignin.ts names: without managed fields and the like, a cache of thousands stays small.
 */
import * as z from 'zod';
import { apiVersion, kind, type TkaSignin } from './tkasignin.ts';

const conditionSchema = z.object({
  type: z.enum(['Ready', 'CleanupStuck']),
  status: z.enum(['True', 'False', 'Unknown']),
  reason: z.enum([
    'Provisioned',
    'Provisioning',
    'RoleNotFound',
    'NamespaceNotFound',
    'Forbidden',
    'ApplyFailed',
    'Expired',
    'Revoking',
    'DeleteFailed',
  ]),
  message: z.string(),
  lastTransitionTime: z.string(),
  observedGeneration: z.number(),
});

const strings = z.record(z.string(), z.string());

const signinSchema = z.object({
  metadata: z.object({
    name: z.string(),
    namespace: z.string(),
    uid: z.string(),
    resourceVersion: z.string(),
    generation: z.number(),
    creationTimestamp: z.string(),
    deletionTimestamp: z.string().optional(),
    finalizers: z.array(z.string()).optional(),
    labels: strings.optional(),
    annotations: strings.optional(),
  }),
  spec: z.object({
    subject: z.string().min(1),
    username: z.string().min(1),
    role: z.string().min(1),
    namespaces: z.array(z.string()).min(1).optional(),
    expiresAt: z.string().refine((text) => !Number.isNaN(Date.parse(text))),
  }),
  status: z
    .object({
      observedGeneration: z.number().optional(),
      // A condition of another version is left out; the next status write replaces the list.
      conditions: z
        .array(z.unknown())
        .transform((list) =>
          list.flatMap((item) => {
            const parsed = conditionSchema.safeParse(item);
            return parsed.success ? [parsed.data] : [];
          }),
        )
        .optional(),
      serviceAccountName: z.string().optional(),
      expiresAt: z.string().optional(),
    })
    .optional(),
});

/** The TkaSignin, or undefined for an object of another schema. */
export function parseTkaSignin(object: unknown): TkaSignin | undefined {
  const parsed = signinSchema.safeParse(object);
  if (!parsed.success) return undefined;
  // zod writes optional fields as possibly undefined; absent ones stay absent in what it returns.
  return { apiVersion, kind, ...parsed.data } as TkaSignin;
}

/** The session's end in milliseconds since the epoch. */
export function endOf(signin: Pick<TkaSignin, 'spec'>): number {
  return Date.parse(signin.spec.expiresAt);
}
