/**
 * The API's description as one HTML page: no script, nothing loaded from elsewhere, and a Content-Security-Policy that enforces it.
 */
import { createHash } from 'node:crypto';
import type { OpenApiDocument, OpenApiOperation, OpenApiResponse } from './document.ts';
import type { JsonSchema } from './schemas.ts';

export interface ApiPage {
  readonly html: string;
  /** Content-Security-Policy that lets the page's own style through, and nothing else. */
  readonly policy: string;
}

const style = `
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
code, pre { font-family: ui-monospace, monospace; font-size: .9em; }
pre { padding: 1rem; overflow: auto; border: 1px solid; border-radius: .25rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid; }
h2 { margin-top: 3rem; }
`;

export function apiPage(document: OpenApiDocument): ApiPage {
  const operations = Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
  );
  const html = `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>tka ${escape(document.info.version)}: API</title>
<style>${style}</style></head>
<body>
<h1>The API of tka ${escape(document.info.version)}</h1>
${document.info.description
  .split('\n\n')
  .map((text) => `<p>${prose(text)}</p>`)
  .join('\n')}
<nav><ul>
${operations
  .map(
    ({ method, path, operation }) => `<li><a href="#${id(operation)}"><code>${method} ${escape(path)}</code></a></li>`,
  )
  .join('\n')}
</ul></nav>
${operations.map(({ method, path, operation }) => section(`${method} ${path}`, operation)).join('\n')}
<h2>Schemas</h2>
${Object.entries(document.components.schemas)
  .map(
    ([name, schema]) =>
      `<h3 id="${schemaId(name)}">${escape(name)}</h3>\n<pre>${escape(JSON.stringify(schema, null, 2))}</pre>`,
  )
  .join('\n')}
</body>
</html>
`;
  const hash = createHash('sha256').update(style).digest('base64');
  return {
    html,
    policy: `default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  };
}

function section(title: string, operation: OpenApiOperation): string {
  const { summary, description, parameters = [], requestBody, responses } = operation;
  const schema = requestBody?.content['application/json']?.schema;
  return `<h2 id="${id(operation)}"><code>${escape(title)}</code></h2>
<p><strong>${prose(summary)}.</strong> ${prose(description)}</p>
${
  parameters.length === 0
    ? ''
    : table(
        ['parameter', 'in', ''],
        parameters.map(({ name, in: where, description: text }) => [
          `<code>${escape(name)}</code>`,
          where,
          prose(text),
        ]),
      )
}
${schema === undefined ? '' : `<p>Body, or none at all: ${link(schema)}.</p>`}
${table(
  ['status', '', 'body', 'headers'],
  Object.entries(responses).map(([status, response]) => [
    status,
    prose(response.description),
    bodies(response),
    Object.keys(response.headers).map(escape).join(', '),
  ]),
)}`;
}

function bodies({ content }: OpenApiResponse): string {
  return Object.entries(content)
    .map(([type, { schema }]) => `<code>${escape(type)}</code> ${link(schema)}`)
    .join('<br>');
}

function link(schema: JsonSchema): string {
  const { $ref, anyOf } = schema;
  if (typeof $ref === 'string') {
    const name = $ref.slice($ref.lastIndexOf('/') + 1);
    return `<a href="#${schemaId(name)}">${escape(name)}</a>`;
  }
  return Array.isArray(anyOf) ? anyOf.map((one: JsonSchema) => link(one)).join(' or ') : '';
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const row = (cells: readonly string[], tag: string): string =>
    `<tr>${cells.map((cell) => `<${tag}>${cell}</${tag}>`).join('')}</tr>`;
  return `<table><thead>${row(head, 'th')}</thead><tbody>${rows.map((cells) => row(cells, 'td')).join('\n')}</tbody></table>`;
}

/** Backticks become code; everything else is text. */
function prose(text: string): string {
  return escape(text).replaceAll(/`([^`]+)`/g, '<code>$1</code>');
}

function id({ operationId }: OpenApiOperation): string {
  return escape(operationId);
}

function schemaId(name: string): string {
  return escape(`schema-${name}`);
}

function escape(text: string): string {
  const entities: Readonly<Record<string, string>> = {
    '&': '&amp;',
    '<': '&lt;',
    '>': '&gt;',
    '"': '&quot;',
    "'": '&#39;',
  };
  return text.replaceAll(/[&<>"']/g, (character) => entities[character] ?? character);
}
