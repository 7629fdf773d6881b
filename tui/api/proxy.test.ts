import { createServer, type IncomingMessage } from 'node:http';
import { connect, createServer as createTcpServer, type AddressInfo, type Socket } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { createApi } from './api.ts';
import { UnreachableError, UserError } from '../errors.ts';
import { kubectlProxyFor, proxyFor, withoutSecrets } from './proxy.ts';
import { startStubServer } from '../testing/stub-server.ts';
import { createTransport } from './transport.ts';

const signal = new AbortController().signal;
const choices: readonly [string, Record<string, string>, string, string | undefined][] = [
  ['no variable', {}, 'http://tka', undefined],
  ['HTTP_PROXY for http', { HTTP_PROXY: 'http://p:1' }, 'http://tka', 'http://p:1'],
  ['http_proxy for http', { http_proxy: 'http://p:1' }, 'http://tka', 'http://p:1'],
  ['lower case before upper', { http_proxy: 'http://low:1', HTTP_PROXY: 'http://up:1' }, 'http://tka', 'http://low:1'],
  ['HTTP_PROXY not for https', { HTTP_PROXY: 'http://p:1' }, 'https://tka', undefined],
  ['HTTPS_PROXY for https', { HTTPS_PROXY: 'http://p:1' }, 'https://tka', 'http://p:1'],
  ['ALL_PROXY for both', { ALL_PROXY: 'socks5://p:1' }, 'https://tka', 'socks5://p:1'],
  ['a scheme before ALL_PROXY', { all_proxy: 'http://all:1', http_proxy: 'http://p:1' }, 'http://tka', 'http://p:1'],
  ['NO_PROXY by name', { HTTP_PROXY: 'http://p:1', NO_PROXY: 'a,tka' }, 'http://tka', undefined],
  ['no_proxy by domain', { HTTP_PROXY: 'http://p:1', no_proxy: '.ts.net' }, 'http://tka.x.ts.net', undefined],
  ['NO_PROXY by port', { HTTP_PROXY: 'http://p:1', NO_PROXY: 'tka:81' }, 'http://tka', 'http://p:1'],
  ['NO_PROXY for all', { ALL_PROXY: 'http://p:1', NO_PROXY: '*' }, 'http://tka', undefined],
  ['NO_PROXY by the port of the scheme', { HTTPS_PROXY: 'http://p:1', NO_PROXY: 'tka:443' }, 'https://tka', undefined],
  ['NO_PROXY by a wildcard', { HTTP_PROXY: 'http://p:1', NO_PROXY: 'a *.ts.net' }, 'http://tka.x.ts.net', undefined],
  ['NO_PROXY for a name like it', { HTTP_PROXY: 'http://p:1', NO_PROXY: 'tka' }, 'http://mytka', 'http://p:1'],
  ['NO_PROXY for its parent', { HTTP_PROXY: 'http://p:1', NO_PROXY: 'ts.net' }, 'http://tka.ts.net', 'http://p:1'],
  ['NO_PROXY by IPv6', { HTTP_PROXY: 'http://p:1', NO_PROXY: '::1' }, 'http://[::1]:80', undefined],
  ['an empty NO_PROXY', { HTTP_PROXY: 'http://p:1', NO_PROXY: ' , ' }, 'http://tka', 'http://p:1'],
  ['a lower case variable that is empty', { http_proxy: '', HTTP_PROXY: 'http://p:1' }, 'http://tka', 'http://p:1'],
  ['a proxy without a scheme', { HTTP_PROXY: 'p:3128' }, 'http://tka', 'http://p:3128'],
  ['a proxy without a scheme for https', { HTTPS_PROXY: 'p:3128' }, 'https://tka', 'http://p:3128'],
];
for (const [what, env, url, expected] of choices) {
  test(`the proxy with ${what}`, async (t) => {
    const proxy = await proxyFor(url, env);
    t.is(proxy === undefined ? undefined : withoutSecrets(proxy), expected);
  });
}

test('a recorded proxy counts only where the environment names none', async (t) => {
  const recorded = 'http://then:1';
  t.is((await proxyFor('http://tka', {}, recorded))?.host, 'then:1');
  t.is((await proxyFor('http://tka', { HTTP_PROXY: 'http://now:1' }, recorded))?.host, 'now:1');
  t.is(await proxyFor('http://tka', { HTTP_PROXY: 'http://now:1', NO_PROXY: 'tka' }, recorded), undefined);
});

test('a proxy that cannot be used is refused without its password', async (t) => {
  const proxy = proxyFor('http://tka', { HTTP_PROXY: 'ftp://user:secret@p' });
  const error = await t.throwsAsync(proxy, { instanceOf: UserError });
  t.false(error?.message.includes('secret'));
});

test.serial('only the given environment counts, not that of the process', async (t) => {
  process.env['HTTP_PROXY'] = 'http://process:1';
  t.teardown(() => delete process.env['HTTP_PROXY']);
  t.is(await proxyFor('http://tka', {}), undefined);
});

test('where this machine has a way of its own, kubectl is told nothing, and its user that it asks the proxy', async (t) => {
  const url = 'https://tka.tail.example/k8s';
  t.deepEqual(await kubectlProxyFor(url, { ALL_PROXY: 'socks5://p:1' }, true), {});
  t.deepEqual(await kubectlProxyFor(url, { HTTPS_PROXY: 'http://p:1', NO_PROXY: '.tail.example' }, true), {});
  const { url: none, warning } = await kubectlProxyFor(url, { HTTPS_PROXY: 'http://user:secret@p:1' }, true);
  t.is(none, undefined);
  t.is(warning, 'kubectl asks the proxy http://p:1 for tka.tail.example unless NO_PROXY names it: add it there');
});

const proxied = { url: 'http://p:1' };
const forKubectl: [string, Record<string, string>, string, object][] = [
  ['no proxy', {}, 'https://prod', {}],
  ['HTTPS_PROXY', { HTTPS_PROXY: 'http://p:1', ALL_PROXY: 'http://all:1' }, 'https://prod', proxied],
  ['HTTPS_PROXY without a scheme', { https_proxy: 'p:1' }, 'https://prod', proxied],
  ['HTTPS_PROXY with a password', { HTTPS_PROXY: 'http://u:secret@p:1' }, 'https://prod', {}],
  ['HTTPS_PROXY with a password alone', { HTTPS_PROXY: 'http://:secret@p:1' }, 'https://prod', {}],
  ['HTTPS_PROXY and localhost', { HTTPS_PROXY: 'http://p:1' }, 'https://localhost:6443', {}],
  [
    'HTTPS_PROXY and a NO_PROXY of one address',
    { HTTPS_PROXY: 'http://p:1', NO_PROXY: '10.0.0.7/32' },
    'https://10.0.0.7:6443',
    {},
  ],
  ['HTTPS_PROXY by SOCKS4', { HTTPS_PROXY: 'socks4://p:1' }, 'https://prod', {}],
  ['HTTP_PROXY', { HTTP_PROXY: 'http://p:1' }, 'https://prod', {}],
  ['ALL_PROXY', { ALL_PROXY: 'socks5h://p:1' }, 'https://prod', { url: 'socks5://p:1' }],
  ['ALL_PROXY by http', { all_proxy: 'http://p:1' }, 'https://prod:6443', { url: 'http://p:1' }],
  ['ALL_PROXY and NO_PROXY', { ALL_PROXY: 'http://p:1', NO_PROXY: 'prod' }, 'https://prod', {}],
  ['ALL_PROXY and this machine', { ALL_PROXY: 'http://p:1' }, 'https://127.0.0.1:6443', {}],
  ['HTTPS_PROXY and this machine', { HTTPS_PROXY: 'http://p:1' }, 'https://[::1]:6443', {}],
];
// As golang.org/x/net/http/httpproxy reads it, and as this command does.
for (const [noProxy, url, expected] of [
  ['prod', 'https://prod', {}],
  ['other', 'https://prod', proxied],
  ['*', 'https://prod', {}],
  ['example.com', 'https://k8s.example.com', {}],
  ['example.com', 'https://notexample.com', proxied],
  ['.example.com', 'https://example.com', proxied],
  ['*.example.com', 'https://k8s.example.com', {}],
  ['a, prod:6443', 'https://prod:6443', {}],
  ['prod:443', 'https://prod:6443', proxied],
  ['10.0.0.0/8', 'https://10.1.2.3:6443', {}],
  ['10.0.0.0/8', 'https://11.1.2.3:6443', proxied],
  ['10.0.0.0/99', 'https://10.1.2.3:6443', proxied],
  ['fd7a:115c:a1e0::/48', 'https://[fd7a:115c:a1e0::1]/k8s', {}],
  ['fd00::/8', 'https://10.1.2.3', proxied],
  ['fd7a::1', 'https://[fd7a::1]', {}],
  ['[fd7a::1]:443', 'https://[fd7a::1]', {}],
] as const)
  forKubectl.push([
    `HTTPS_PROXY and NO_PROXY=${noProxy} for ${url}`,
    { HTTPS_PROXY: 'http://p:1', NO_PROXY: noProxy },
    url,
    expected,
  ]);
for (const [what, env, url, expected] of forKubectl) {
  test(`kubectl is told about ${what}`, async (t) => {
    t.deepEqual(await kubectlProxyFor(url, env), expected);
  });
}

test('a password in ALL_PROXY is not written down: the user is told', async (t) => {
  const { url, warning } = await kubectlProxyFor('https://prod', { ALL_PROXY: 'http://u:secret@p:1' });
  t.is(url, undefined);
  t.regex(warning ?? '', /HTTPS_PROXY/);
  t.false(warning?.includes('secret'));
});

async function listening(t: ExecutionContext, server: ReturnType<typeof createTcpServer>): Promise<number> {
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  t.teardown(() => void server.close());
  // Listening on a port, so the address is not a pipe.
  return (server.address() as AddressInfo).port;
}

async function callThrough(t: ExecutionContext, server: string, proxy: string): Promise<unknown> {
  const transport = await createTransport(new URL(server), new URL(proxy));
  t.teardown(() => transport.close());
  return createApi(transport).sessions({ signal });
}

test('an http server is asked for in absolute form, with the proxy told who we are', async (t) => {
  const stub = await startStubServer();
  t.teardown(() => stub.close());
  const seen: IncomingMessage[] = [];
  const proxy = createServer((request, response) => {
    seen.push(request);
    const { port } = new URL(stub.url);
    const upstream = connect(Number(port), '127.0.0.1');
    upstream.end(`GET /api/v1alpha1/sessions HTTP/1.1\r\nhost: tka\r\nconnection: close\r\n\r\n`);
    response.socket?.on('error', () => {});
    upstream.pipe(response.socket ?? upstream);
  });
  const port = await listening(t, proxy);
  await callThrough(t, 'http://tka', `http://user:p%40ss@127.0.0.1:${port}`);
  t.is(seen[0]?.url, 'http://tka/api/v1alpha1/sessions');
  t.is(seen[0]?.headers.host, 'tka');
  t.is(seen[0]?.headers['proxy-authorization'], `Basic ${Buffer.from('user:p@ss').toString('base64')}`);
});

test('an https server is reached through a tunnel, and gets no credential of the proxy', async (t) => {
  const asked: string[] = [];
  const proxy = createServer();
  proxy.on('connect', (request: IncomingMessage, socket: Socket) => {
    asked.push(`${request.url ?? ''} ${String(request.headers['proxy-authorization'])}`);
    socket.on('error', () => {});
    socket.end('HTTP/1.1 200 OK\r\n\r\nnot TLS');
  });
  const port = await listening(t, proxy);
  await t.throwsAsync(callThrough(t, 'https://tka', `http://u:p@127.0.0.1:${port}`), { instanceOf: UnreachableError });
  t.deepEqual(asked, [`tka:443 Basic ${Buffer.from('u:p').toString('base64')}`]);
});

test('a socks proxy is given the name, not an address', async (t) => {
  const { promise, resolve } = Promise.withResolvers<string>();
  const proxy = createTcpServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => {
      socket.write(Buffer.from([5, 0]));
      socket.once('data', (request: Buffer) => {
        resolve(request.toString('latin1'));
        socket.end(Buffer.from([5, 4, 0, 1, 0, 0, 0, 0, 0, 0]));
      });
    });
  });
  const port = await listening(t, proxy);
  const error = await t.throwsAsync(callThrough(t, 'http://tka', `socks5h://127.0.0.1:${port}`), {
    instanceOf: UnreachableError,
  });
  t.regex(await promise, /tka/);
  t.true(error?.message.includes(`socks5h://127.0.0.1:${port}`));
});

test('a proxy that wants a password says so', async (t) => {
  const proxy = createServer((_, response) => void response.writeHead(407).end());
  const port = await listening(t, proxy);
  await t.throwsAsync(callThrough(t, 'http://tka', `http://127.0.0.1:${port}`), {
    message: /asks for a user and a password/,
  });
});

test('where the proxy is away, it is named', async (t) => {
  await t.throwsAsync(callThrough(t, 'http://tka', 'http://u:secret@127.0.0.1:1'), {
    message: /^the proxy http:\/\/127\.0\.0\.1:1 refuses/,
  });
});
