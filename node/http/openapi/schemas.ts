/**
 * The contract's schemas by their names in the API's description, as JSON Schema. Answers may grow fields, so their schemas
 * let others be; requests are strict, as the server is.
 */
import * as z from 'zod';
import {
  clusterInfoSchema,
  errorResponseSchema,
  loginRequestSchema,
  loginResponseSchema,
  logoutRequestSchema,
  sessionsResponseSchema,
  wellKnownSchema,
  whoamiResponseSchema,
} from '../contract.ts';

const cluster = z.object({
  server: z.string(),
  'certificate-authority-data': z.string().optional(),
  'insecure-skip-tls-verify': z.boolean().optional(),
});
const user = z.object({ token: z.string() });
const context = z.object({ cluster: z.string(), user: z.string(), namespace: z.string().optional() });
const head = {
  kind: z.literal('Config'),
  apiVersion: z.literal('v1'),
  preferences: z.object({}),
  'current-context': z.string(),
};

const requests = { LoginRequest: loginRequestSchema, LogoutRequest: logoutRequestSchema };
const answers = {
  Session: loginResponseSchema.describe(
    'A session. `until` is RFC 3339; without `namespaces` the role holds in the whole cluster. `dropped` has the rules of the policy for this caller that cannot be used, each with its reason; absent for none.',
  ),
  Sessions: sessionsResponseSchema,
  Whoami: whoamiResponseSchema,
  ClusterInfo: clusterInfoSchema.describe(
    "`ca_data` is base64 of PEM; empty where the system's roots are to be trusted.",
  ),
  WellKnown: wellKnownSchema,
  Kubeconfig: z
    .object({
      ...head,
      clusters: z.array(z.object({ name: z.string(), cluster })),
      users: z.array(z.object({ name: z.string(), user })),
      contexts: z.array(z.object({ name: z.string(), context })),
    })
    .describe('A kubeconfig, v1.'),
  KubeconfigMaps: z
    .object({
      ...head,
      clusters: z.record(z.string(), cluster),
      users: z.record(z.string(), user),
      contexts: z.record(z.string(), context),
    })
    .describe("A kubeconfig in the form of client-go's internal `api.Config`, for callers that send no Accept header."),
  OpenApi: z.looseObject({ openapi: z.string() }).describe('This description.'),
  Error: errorResponseSchema.describe('What went wrong, and what the caller can do next. Answers from 400 on have it.'),
};

export type SchemaName = keyof typeof requests | keyof typeof answers;

export type JsonSchema = Readonly<Record<string, unknown>>;

export function jsonSchemas(): Readonly<Record<string, JsonSchema>> {
  return { ...schemasOf(requests, 'input'), ...schemasOf(answers, 'output') };
}

export function schemaRef(name: SchemaName): JsonSchema {
  return { $ref: `#/components/schemas/${name}` };
}

function schemasOf(named: Readonly<Record<string, z.ZodType>>, io: 'input' | 'output') {
  return Object.fromEntries(
    Object.entries(named).map(([name, schema]) => {
      const { $schema: _, ...plain } = z.toJSONSchema(schema, {
        io,
        override({ jsonSchema }) {
          if (io === 'output' && jsonSchema.additionalProperties === false) delete jsonSchema.additionalProperties;
          // Keys of JSON objects are strings.
          delete jsonSchema.propertyNames;
        },
      });
      return [name, plain];
    }),
  );
}
