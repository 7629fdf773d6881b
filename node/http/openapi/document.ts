/** The API as an OpenAPI 3.1 document: the table of operations, their descriptions, and the contract's schemas. */
import { operationIds, operations } from '../operations.ts';
import type { Answer, OperationDescription } from './descriptions.ts';
import { descriptions, everyCall, headers, parameters } from './descriptions.ts';
import type { JsonSchema } from './schemas.ts';
import { jsonSchemas, schemaRef } from './schemas.ts';

export interface OpenApiResponse {
  readonly description: string;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly content: Readonly<Record<string, { readonly schema: JsonSchema }>>;
}

export interface OpenApiOperation {
  readonly operationId: string;
  readonly summary: string;
  readonly description: string;
  readonly parameters?: readonly (typeof parameters)[keyof typeof parameters][];
  readonly requestBody?: {
    readonly required: false;
    readonly content: Readonly<Record<string, { readonly schema: JsonSchema }>>;
  };
  readonly responses: Readonly<Record<string, OpenApiResponse>>;
}

export interface OpenApiDocument {
  readonly openapi: '3.1.0';
  readonly info: { readonly title: string; readonly version: string; readonly description: string };
  readonly paths: Readonly<Record<string, Readonly<Partial<Record<'get' | 'post', OpenApiOperation>>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, JsonSchema>> };
}

const about = `\
tka turns a Tailscale identity into short-lived Kubernetes access. The API is served on the tailnet alone. There is nothing to send
to prove who calls: the connection says it, and the tailnet policy says what the caller may have.

Whatever has no description here is answered 404, another method on a path that has one 405. A browser's request of a foreign
origin is refused, and so is one whose Host is not a name of this server.

A request with the token of a kubeconfig with \`mode=proxy\` (\`Authorization: Bearer tka_…\`) is for the Kubernetes API, whatever its path, on
the TLS port; so is every request below \`/k8s\`. It is described by Kubernetes.`;

export function openApiDocument(version: string): OpenApiDocument {
  const paths: Record<string, Partial<Record<'get' | 'post', OpenApiOperation>>> = {};
  for (const id of operationIds) {
    const { method, path } = operations[id];
    paths[path] = { ...paths[path], [method]: operationOf(id, descriptions[id]) };
  }
  return {
    openapi: '3.1.0',
    info: { title: 'tka', version, description: about },
    paths,
    components: { schemas: jsonSchemas() },
  };
}

function operationOf(operationId: string, operation: OperationDescription): OpenApiOperation {
  const { summary, description, parameters: named = [], request, answers } = operation;
  return {
    operationId,
    summary,
    description,
    ...(named.length === 0 ? {} : { parameters: named.map((name) => parameters[name]) }),
    ...(request === undefined
      ? {}
      : {
          requestBody: {
            required: false as const,
            content: { 'application/json': { schema: schemaRef(request) } },
          },
        }),
    responses: Object.fromEntries(
      Object.entries({ ...everyCall, ...answers }).map(([status, answer]) => [status, responseOf(answer)]),
    ),
  };
}

function responseOf({ description, content = { 'application/json': ['Error'] }, headers: named = [] }: Answer) {
  return {
    description,
    headers: Object.fromEntries(
      (['X-Request-Id', ...named] as const).map((name) => [
        name,
        { description: headers[name], schema: { type: 'string' } },
      ]),
    ),
    content: Object.fromEntries(
      Object.entries(content).map(([type, [first, ...others]]) => {
        const refs = [...(first === undefined ? [] : [first]), ...others].map(schemaRef);
        const [only] = refs;
        return [type, { schema: refs.length === 1 && only !== undefined ? only : { anyOf: refs } }];
      }),
    ),
  };
}
