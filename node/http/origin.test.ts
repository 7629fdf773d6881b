import test from 'ava';
import { request } from 'node:http';
import { connect } from 'node:net';
import { paths } from './contract.ts';
import { createFixture } from '../testing/http.ts';

const hosts: readonly [host: string, status: number][] = [
  ['127.0.0.1', 200],
  ['127.0.0.1:8080', 200],
  ['tka', 200],
  ['TKA:80', 200],
  ['tka.tail.example', 200],
  ['tka.tail.example.:443', 200],
  ['[fd7a::1]', 200],
  ['[fd7a::1]:443', 200],
  ['evil.example', 421],
  ['tka.evil.example', 421],
  ['tka.tail.example.evil.example', 421],
  ['evil.example:tka', 421],
  ['tka@evil.example', 421],
  ['tka/evil', 421],
  ['fd7a::1', 421],
  ['localhost', 421],
  ['127.0.0.1, evil.example', 421],
];

for (const [host, status] of hosts) {
  test(`a request for the host ${JSON.stringify(host)} is answered ${status}`, async (t) => {
    await using fixture = await createFixture();
    const answer = await fixture.call('GET', paths.whoami, { headers: { Host: host } });
    t.is(answer.status, status);
    t.deepEqual(fixture.rejectedHeaders, status === 200 ? [] : ['host']);
  });
}

const origins: readonly [title: string, headers: Record<string, string>, status: number][] = [
  ['no word of where it comes from', {}, 200],
  ['a person typing the address', { 'Sec-Fetch-Site': 'none' }, 200],
  ['its own page', { 'Sec-Fetch-Site': 'same-origin', Origin: 'http://tka' }, 200],
  ['its own page on the default port', { Origin: 'http://tka:80' }, 200],
  ['another site', { 'Sec-Fetch-Site': 'cross-site' }, 403],
  ['another machine of the tailnet', { 'Sec-Fetch-Site': 'same-site' }, 403],
  ['an unheard-of Sec-Fetch-Site', { 'Sec-Fetch-Site': 'maybe' }, 403],
  ['a foreign origin', { Origin: 'http://evil.example' }, 403],
  ['the null origin of a sandboxed page', { Origin: 'null' }, 403],
  ['an empty origin', { Origin: '' }, 403],
  ['another scheme', { Origin: 'https://tka' }, 403],
  ['another port', { Origin: 'http://tka:8080' }, 403],
  [
    'a foreign origin that claims to be the same',
    { Origin: 'http://evil.example', 'Sec-Fetch-Site': 'same-origin' },
    403,
  ],
];

for (const [title, headers, status] of origins) {
  test(`a request from ${title} is answered ${status}`, async (t) => {
    await using fixture = await createFixture();
    const answer = await fixture.call('POST', paths.login, { headers: { Host: 'tka', ...headers } });
    t.is(answer.status, status === 200 ? 202 : status);
    if (status === 403) t.like(answer.json, { code: 'forbidden_origin' });
    t.is(fixture.sessions.length, status === 200 ? 1 : 0);
  });
}

test('an answer never carries a CORS header, not to a preflight either', async (t) => {
  await using fixture = await createFixture();
  const preflight = { Origin: 'http://evil.example', 'Access-Control-Request-Method': 'POST' };
  for (const answer of [
    await fixture.call('OPTIONS', paths.login, { headers: preflight }),
    await fixture.call('OPTIONS', paths.login),
    await fixture.call('GET', paths.whoami),
  ]) {
    t.deepEqual(
      Object.keys(answer.headers).filter((name) => name.startsWith('access-control-')),
      [],
    );
    t.is(answer.headers['x-content-type-options'], 'nosniff');
    t.is(answer.headers['cache-control'], 'no-store');
  }
});

test('an absolute target, which would override the Host, is refused', async (t) => {
  await using fixture = await createFixture();
  const status = await new Promise((resolve, reject) => {
    const target = 'http://evil.example/api/v1alpha1/whoami';
    const req = request({ host: '127.0.0.1', port: fixture.port, path: target, headers: { Host: 'tka' } }, (res) => {
      res.resume();
      resolve(res.statusCode);
    });
    req.once('error', reject);
    req.end();
  });
  t.is(status, 400);
  t.deepEqual(fixture.rejectedHeaders, ['target']);
});

const oddHosts: readonly [title: string, lines: string][] = [
  ['an empty Host', 'Host:'],
  ['two Hosts', 'Host: tka\r\nHost: evil.example'],
  ['two valid Hosts', 'Host: tka\r\nhost: tka'],
];

for (const [title, lines] of oddHosts) {
  test(`${title} is refused with 421`, async (t) => {
    await using fixture = await createFixture();
    const socket = connect(fixture.port, '127.0.0.1');
    socket.end(`GET ${paths.whoami} HTTP/1.1\r\n${lines}\r\nConnection: close\r\n\r\n`);
    const chunks: Buffer[] = [];
    for await (const chunk of socket) chunks.push(chunk as Buffer);
    t.regex(Buffer.concat(chunks).toString(), /^HTTP\/1\.1 421 /);
  });
}
