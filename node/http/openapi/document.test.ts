import { Validator } from '@seriousme/openapi-schema-validator';
import test from 'ava';
import { paths } from '../contract.ts';
import { createFixture } from '../../testing/http.ts';
import { operationIds, operations } from '../operations.ts';
import type { Answered } from '../../testing/openapi-conformance.ts';
import { createConformance } from '../../testing/openapi-conformance.ts';
import { openApiDocument } from './document.ts';
import { apiPage } from './page.ts';

const document = openApiDocument('1.2.3');

test('the document is OpenAPI 3.1', async (t) => {
  // Over JSON, as it travels.
  const { valid, errors } = await new Validator().validate(JSON.parse(JSON.stringify(document)));
  t.true(valid, JSON.stringify(errors));
});

test('a document with a fault is seen', async (t) => {
  const broken = JSON.parse(JSON.stringify(document));
  delete broken.info.title;
  t.false((await new Validator().validate(broken)).valid);
});

test('every reference leads to a schema, and every schema is led to', (t) => {
  const { schemas } = document.components;
  const named = [...JSON.stringify(document).matchAll(/"#\/components\/schemas\/(\w+)"/g)].map(([, name = '']) => name);
  t.deepEqual([...new Set(named)].sort(), Object.keys(schemas).sort());
});

test('each described call is routed, and no other method on its path', async (t) => {
  await using fixture = await createFixture();
  const described = Object.entries(document.paths).flatMap(([path, item]) =>
    Object.keys(item).map((method) => ({ path, method })),
  );
  t.is(described.length, operationIds.length);
  t.deepEqual(Object.keys(document.paths).sort(), Object.values(paths).sort());
  for (const { path } of described) {
    const { status, headers } = await fixture.call('PATCH', path);
    t.is(status, 405, path);
    const methods = described.filter((one) => one.path === path).map(({ method }) => method.toUpperCase());
    const allowed = (headers.allow ?? '').split(', ').filter((method) => method !== 'HEAD');
    t.deepEqual(allowed.sort(), methods.sort(), path);
  }
  for (const id of operationIds) {
    const { status } = await fixture.call(operations[id].method.toUpperCase(), operations[id].path);
    t.false([404, 405, 500].includes(status), `${id} is answered ${status}`);
  }
});

test('the server answers with the document', async (t) => {
  await using fixture = await createFixture();
  const { status, json } = await fixture.call('GET', paths.openapi);
  t.is(status, 200);
  t.deepEqual(json, JSON.parse(JSON.stringify(document)));
});

const whoami: Answered = {
  method: 'GET',
  path: `${paths.whoami}?x=y`,
  status: 200,
  headers: { 'x-request-id': '1', 'content-type': 'application/json; charset=utf-8' },
  body: JSON.stringify({ subject: 's', username: 'u', node: 'n', tags: [], rules: [], dropped: [], more: 1 }),
};
const answers: readonly [what: string, answered: Partial<Answered>, problem: RegExp | undefined][] = [
  ['one as described, with a field more', {}, undefined],
  ['a field of another kind', { body: whoami.body.replace('[]', '7') }, /tags must be array/],
  ['a field that is not there', { body: '{}' }, /must have required property/],
  ['no JSON', { body: '<html>' }, /must be object/],
  ['a status that is not described', { status: 418 }, /418, which is not described/],
  ['another type', { headers: { ...whoami.headers, 'content-type': 'text/html' } }, /text\/html/],
  ['no request ID', { headers: { 'content-type': 'application/json' } }, /X-Request-Id/],
  ['a refusal without advice', { status: 403, body: '{"message":"no"}' }, /advice/],
  ['an unknown path', { path: '/other', status: 404 }, undefined],
];
for (const [what, answered, problem] of answers) {
  test(`an answer is held to the description: ${what}`, (t) => {
    const found = createConformance(document)({ ...whoami, ...answered });
    if (problem === undefined) t.is(found, undefined);
    else t.regex(found ?? '', problem);
  });
}

test('the page has every call and schema, and loads nothing', (t) => {
  const { html, policy } = apiPage(document);
  for (const id of operationIds) {
    t.true(html.includes(`${operations[id].method.toUpperCase()} ${operations[id].path}`), id);
    t.true(html.includes(`id="${id}"`), id);
  }
  for (const name of Object.keys(document.components.schemas)) t.true(html.includes(`id="schema-${name}"`), name);
  t.notRegex(html, /<script|<link|<img|<iframe|src=|url\(|@import|https?:/i);
  t.regex(policy, /^default-src 'none'; style-src 'sha256-[\w+/]+=*'; /);
});

test('whatever the document says is text on the page', (t) => {
  const odd = { ...document, info: { ...document.info, version: '<b onload="x">&', description: '<script>`a`' } };
  const { html } = apiPage(odd);
  t.true(html.includes('&lt;b onload=&quot;x&quot;&gt;&amp;'));
  t.true(html.includes('<p>&lt;script&gt;<code>a</code></p>'));
  t.notRegex(html, /<b |<script/);
});
