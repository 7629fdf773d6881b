/**
 * Compares an answer of the server with the API's description, so that every test that calls the API tests the description too.
 */
import type { IncomingHttpHeaders } from 'node:http';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { parse } from 'yaml';
import type { OpenApiDocument } from '../http/openapi/document.ts';

export interface Answered {
  readonly method: string;
  /** May have a query. */
  readonly path: string;
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** What of the answer the description does not say, in words; undefined where it conforms, or is of no call that is described. */
export type Conformance = (answered: Answered) => string | undefined;

export function createConformance(document: OpenApiDocument): Conformance {
  const ajv = new Ajv2020({ strict: false });
  ajv.addSchema(document, 'api');
  return ({ method, path, status, headers, body }) => {
    const plainPath = path.split('?', 1)[0] ?? '';
    const operation = document.paths[plainPath]?.[method === 'POST' ? 'post' : 'get'];
    const described = { GET: 'get', HEAD: 'get', POST: 'post' }[method];
    if (operation === undefined || described === undefined) return undefined;
    const call = `${method} ${plainPath}`;
    const response = operation.responses[status];
    if (response === undefined) return `${call} is answered ${status}, which is not described: ${body}`;
    const lacking = Object.keys(response.headers).find((name) => headers[name.toLowerCase()] === undefined);
    // What is named there but for the request's own ID may be left out.
    if (lacking === 'X-Request-Id') return `${call} is answered ${status} without ${lacking}`;
    if (status === 202 && headers['retry-after'] === undefined) return `${call} is answered 202 without Retry-After`;
    if (method === 'HEAD') return undefined;
    const type = (headers['content-type'] ?? '').split(';', 1)[0]?.trim() ?? '';
    const content = response.content[type];
    if (content === undefined) return `${call} is answered ${status} as ${type}, which is not described`;
    const isValid = ajv.validate(
      inDocument(content.schema),
      type === 'application/yaml' ? parse(body) : parseJson(body),
    );
    return isValid ? undefined : `${call} is answered ${status} with ${ajv.errorsText()}: ${body}`;
  };
}

/** A schema of the document, its references led there. */
function inDocument(schema: object): object {
  // It was JSON before.
  return JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"api#/')) as object;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
