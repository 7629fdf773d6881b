/** Requests whose end two readers could see in different places, and what follows a request that was refused. */
import test from 'ava';
import { createFixture, statusOf, turns, until } from './fixture.ts';

const unreadable: readonly [title: string, rest: string][] = [
  ['a length and chunks', 'Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
  ['chunks and a length', 'Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n'],
  ['two lengths', 'Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd'],
  ['the same length twice', 'Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc'],
  ['a list of lengths', 'Content-Length: 3, 3\r\n\r\nabc'],
  ['a signed length', 'Content-Length: +3\r\n\r\nabc'],
  ['a hexadecimal length', 'Content-Length: 0x3\r\n\r\nabc'],
  ['a negative length', 'Content-Length: -1\r\n\r\n'],
  ['a length of many digits', `Content-Length: ${'9'.repeat(30)}\r\n\r\nabc`],
  ['an unknown coding', 'Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n'],
  ['a coding on top of chunks', 'Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n'],
  ['chunks said twice', 'Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n'],
  ['a folded header', 'X: a\r\n b\r\nContent-Length: 0\r\n\r\n'],
  ['a folded coding', 'Transfer-Encoding:\r\n chunked\r\nContent-Length: 3\r\n\r\nabc'],
  ['a vertical tab before the coding', 'Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n'],
  ['a space before the colon', 'Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n'],
  ['a null in a header', 'X: a\0b\r\n\r\n'],
  ['a bare carriage return', 'X: a\rb\r\n\r\n'],
  ['a bare line feed', 'X: a\nContent-Length: 0\r\n\r\n'],
  ['a head that ends in line feeds', 'Content-Length: 0\n\n'],
  ['a chunk without its size', 'Transfer-Encoding: chunked\r\n\r\nxyz\r\n0\r\n\r\n'],
  ['a chunk size with a sign', 'Transfer-Encoding: chunked\r\n\r\n+3\r\nabc\r\n0\r\n\r\n'],
  ['a chunk size with a prefix', 'Transfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n'],
  ['a chunk size too big', `Transfer-Encoding: chunked\r\n\r\n${'f'.repeat(17)}\r\nabc`],
  ['a chunk longer than its size', 'Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n'],
  ['chunks that end in line feeds', 'Transfer-Encoding: chunked\r\n\r\n3\nabc\n0\n\n'],
];
for (const [title, rest] of unreadable) {
  test(`${title}: refused or broken off, and what follows is nobody's request`, async (t) => {
    await using at = await createFixture();
    const second = `${at.head('DELETE', '/k8s/api/v1/namespaces/smuggled', 'alice')}\r\n`;
    await at.ask('alice', `${at.head('POST', '/k8s/api/v1/namespaces', 'alice')}${rest}${second}`);
    t.false(at.upstream.some((connection) => connection.bytes().includes('smuggled')));
    // An exchange that was begun is not one that the API server could take for whole.
    for (const connection of at.upstream) t.false(connection.bytes().endsWith('\r\n0\r\n\r\n'));
  });
}

test('a body in chunks with extensions and trailers arrives as its bytes alone', async (t) => {
  const bodies: string[] = [];
  await using at = await createFixture({
    apiServer: {
      request(req, res) {
        let body = '';
        req.setEncoding('latin1').on('data', (text: string) => (body += text));
        req.on('end', () => {
          bodies.push(`${req.method} ${body} ${JSON.stringify(req.trailers)}`);
          res.end();
        });
      },
    },
  });
  const wire = await at.dial(
    'alice',
    `${at.head('POST', '/k8s/api', 'alice')}Trailer: Impersonate-User\r\nTransfer-Encoding: chunked\r\n\r\n` +
      '3;a="b";GET\r\nabc\r\n1\r\nd\r\n0\r\nImpersonate-User: root\r\nAuthorization: Bearer x\r\n\r\n' +
      `${at.head('GET', '/k8s/second', 'alice')}Connection: close\r\n\r\n`,
  );
  await wire.closed;
  t.is(bodies[0], 'POST abcd {}');
  t.false(at.upstream.some((connection) => /impersonate|Bearer x/i.test(connection.bytes())));
});

for (const [title, size] of [
  ['small', 10],
  ['large', 300_000],
] as const) {
  test(`after a refused request with a ${title} body that is not all there, nothing on the connection is a request`, async (t) => {
    await using at = await createFixture();
    const wire = await at.dial(
      'alice',
      `POST /k8s/api HTTP/1.1\r\nHost: tka\r\nAuthorization: Bearer wrong\r\nContent-Length: ${size}\r\n\r\n`,
    );
    const answer = await wire.until(/\}$/);
    t.is(statusOf(answer), 401);
    t.regex(answer, /connection: close/i);
    // The rest of the body, and another request in the same breath.
    wire.send(`${'x'.repeat(size)}${at.head('DELETE', '/k8s/smuggled', 'alice')}\r\n`);
    t.is(await wire.closed, answer);
    await turns();
    t.is(at.upstream.length, 0);
  });
}

test('a refused request with a large body in flight gets its answer, and what follows it is nothing', async (t) => {
  await using at = await createFixture();
  const size = 2_000_000;
  const wire = await at.dial(
    'alice',
    `POST /k8s/api HTTP/1.1\r\nHost: tka\r\nAuthorization: Bearer wrong\r\nContent-Length: ${size}\r\n\r\n`,
  );
  wire.send('x'.repeat(size));
  wire.send(`${at.head('DELETE', '/k8s/smuggled', 'alice')}\r\n`);
  t.is(statusOf(await wire.closed), 401);
  await turns();
  t.is(at.upstream.length, 0);
});

test('a second request that does not wait for the first is not forwarded', async (t) => {
  const release = Promise.withResolvers<void>();
  await using at = await createFixture({
    apiServer: {
      request(_req, res) {
        void release.promise.then(() => res.end('first'));
      },
    },
  });
  const request = (path: string): string => `${at.head('GET', path, 'alice')}\r\n`;
  const wire = await at.dial('alice', `${request('/k8s/first')}${request('/k8s/second')}${request('/k8s/third')}`);
  await turns();
  release.resolve();
  const text = await wire.closed;
  t.regex(text, /^HTTP\/1\.1 200 [^]*first[^]*HTTP\/1\.1 400 /);
  t.deepEqual(
    at.upstream.map((connection) => connection.bytes().split('\r\n')[0]),
    ['GET /first HTTP/1.1'],
  );
});

test('requests one after the other share a connection on both sides', async (t) => {
  await using at = await createFixture();
  const wire = await at.dial('alice');
  for (const [i, size] of [0, 5, 100_000, 0].entries()) {
    const body = size === 0 ? '' : `Content-Length: ${size}\r\n\r\n${'x'.repeat(size)}`;
    wire.send(`${at.head(size === 0 ? 'GET' : 'POST', `/k8s/${i}`, 'alice')}${body === '' ? '\r\n' : body}`);
    await wire.until(new RegExp(`(?:HTTP/1.1 200[^]*\\{\\}[^]*){${i + 1}}`));
  }
  t.is(at.upstream.length, 1);
});

test('rubbish behind a request does not get into the answer that is under way', async (t) => {
  const release = Promise.withResolvers<void>();
  await using at = await createFixture({
    apiServer: {
      request(_req, res) {
        res.write('half ');
        void release.promise.then(() => res.end('whole'));
      },
    },
  });
  const wire = await at.dial('alice', `${at.head('GET', '/k8s/api', 'alice')}\r\n`);
  await wire.until(/half /);
  wire.send('rubbish\r\n\r\n');
  const text = await wire.closed;
  release.resolve();
  t.notRegex(text.slice(10), /HTTP\/1\.1/);
  t.notRegex(text, /0\r\n\r\n$/);
});

test('no 100 Continue before the caller and its session are known', async (t) => {
  await using at = await createFixture();
  const expect = 'Expect: 100-continue\r\nContent-Length: 3\r\n\r\n';
  const wrong = await at.dial('alice', `POST /k8s/api HTTP/1.1\r\nHost: tka\r\nAuthorization: Bearer x\r\n${expect}`);
  t.is(statusOf(await wrong.closed), 401);
  const right = await at.dial('alice', `${at.head('POST', '/k8s/api', 'alice')}${expect}`);
  await right.until(/^HTTP\/1\.1 100 Continue\r\n\r\n$/);
  right.send('abc');
  await right.until(/\r\n\r\nHTTP\/1\.1 200 /);
  t.is(
    statusOf(await at.ask('alice', `${at.head('POST', '/k8s/api', 'alice')}Connection: close\r\nExpect: tea\r\n\r\n`)),
    417,
  );
  t.false(at.upstream[0]?.bytes().toLowerCase().includes('expect'));
});

for (const length of ['9007199254740993', '18446744073709551615'])
  test(`a length of ${length} is refused, and never forwarded as another number`, async (t) => {
    await using at = await createFixture();
    const wire = await at.dial('alice', `${at.head('POST', '/k8s/api', 'alice')}Content-Length: ${length}\r\n\r\nabc`);
    t.is(statusOf(await wire.until(/\r\n\r\n/)), 413);
    t.is(at.upstream.length, 0);
  });

test('a length that is held exactly is forwarded digit for digit', async (t) => {
  await using at = await createFixture();
  await at.dial('alice', `${at.head('POST', '/k8s/api', 'alice')}Content-Length: 9007199254740991\r\n\r\nabc`);
  await until(() => /content-length: 9007199254740991\r\n/i.test(at.upstream[0]?.bytes() ?? ''));
  t.pass();
});
