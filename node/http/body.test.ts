import test from 'ava';
import { connect } from 'node:net';
import { paths } from './contract.ts';
import { createFixture } from '../testing/http.ts';

const json = { 'Content-Type': 'application/json' };

const bodies: readonly [
  title: string,
  headers: Record<string, string>,
  body: string | Buffer | undefined,
  status: number,
][] = [
  ['no body and no type', {}, undefined, 202],
  ['an empty body with a type', json, '', 202],
  ['an empty object', json, '{}', 202],
  ['a wish', json, '{"role":"view","period":"30m"}', 202],
  ['a charset', { 'Content-Type': 'application/json; charset=utf-8' }, '{}', 202],
  ['a body without a type', {}, '{}', 415],
  ['a form', { 'Content-Type': 'application/x-www-form-urlencoded' }, 'role=view', 415],
  ['plain text', { 'Content-Type': 'text/plain' }, '{}', 415],
  ['another charset', { 'Content-Type': 'application/json; charset=utf-16' }, '{}', 415],
  ['JSON among others', { 'Content-Type': 'text/plain, application/json' }, '{}', 415],
  ['a compressed body', { ...json, 'Content-Encoding': 'gzip' }, '{}', 415],
  ['half an object', json, '{', 400],
  ['an array', json, '[]', 400],
  ['null', json, 'null', 400],
  ['an unknown field', json, '{"roles":"view"}', 400],
  ['a role that is no string', json, '{"role":1}', 400],
  ['an empty role', json, '{"role":""}', 400],
  ['an invalid period', json, '{"period":"tomorrow"}', 400],
  ['bytes that are no UTF-8', json, Buffer.from('{"role":"vi\u00ff"}', 'latin1'), 400],
  ['more than 16 KiB', json, JSON.stringify({ role: 'x'.repeat(20_000) }), 413],
  ['10 MB', json, ' '.repeat(10_000_000), 413],
];

for (const [title, headers, body, status] of bodies) {
  test(`a login with ${title} is answered ${status}`, async (t) => {
    await using fixture = await createFixture();
    const sized = body === undefined ? headers : { ...headers, 'Content-Length': String(Buffer.byteLength(body)) };
    const answer = await fixture.call('POST', paths.login, { headers: sized, ...(body === undefined ? {} : { body }) });
    t.is(answer.status, status, answer.text);
    t.is(fixture.sessions.length, status === 202 ? 1 : 0);
    if (status !== 202) t.like(answer.json, { code: 'bad_request' });
  });
}

test('a body of unknown length is cut off at 16 KiB, and the connection with it', async (t) => {
  await using fixture = await createFixture();
  const socket = connect(fixture.port, '127.0.0.1');
  socket.write(
    `POST ${paths.login} HTTP/1.1\r\nHost: tka\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n`,
  );
  socket.write(`5000\r\n${' '.repeat(0x5000)}\r\n`);
  const chunks: Buffer[] = [];
  // The test ends because the server hangs up: the body itself never does.
  for await (const chunk of socket) chunks.push(chunk as Buffer);
  t.regex(Buffer.concat(chunks).toString(), /^HTTP\/1\.1 413 /);
});

test('an empty chunked body needs no type', async (t) => {
  await using fixture = await createFixture();
  const answer = await fixture.call('POST', paths.login, { headers: { 'Transfer-Encoding': 'chunked' } });
  t.is(answer.status, 202);
});
