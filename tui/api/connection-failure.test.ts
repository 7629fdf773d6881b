import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { createApi } from './api.ts';
import { explainFailure, timedOut } from './connection-failure.ts';
import { PassingError, UnreachableError, UserError } from '../errors.ts';
import { createTransport } from './transport.ts';

const signal = new AbortController().signal;
const server = new URL('https://tka.tail.example');
const proxy = new URL('http://proxy.example:3128');

const failing = (code: string, more: object = {}): Error => Object.assign(new Error(code), { code, ...more });

const classes: readonly (readonly [string, Error, URL | undefined, RegExp, RegExp])[] = [
  [
    'refused',
    failing('ECONNREFUSED'),
    undefined,
    /^https:\/\/tka\S+ refuses the connection$/,
    /^Check the port, and that tka runs/,
  ],
  ['an unknown name', failing('ENOTFOUND'), undefined, /its name is unknown$/, /^Check the name\./],
  [
    'a DNS server that is away',
    failing('EAI_AGAIN'),
    undefined,
    /DNS server does not answer$/,
    /^Check the DNS settings/,
  ],
  ['no route', failing('EHOSTUNREACH'), undefined, /no route to it/, /tailscale status$/],
  ['closed', failing('ECONNRESET'), undefined, /closed the connection without an answer$/, /^Try again\./],
  ['no HTTP', failing('HPE_INVALID_CONSTANT'), undefined, /does not speak HTTP$/, /^Check the name and the port/],
  [
    'an expired certificate',
    failing('CERT_HAS_EXPIRED'),
    undefined,
    /certificate that has expired/,
    /^Its admin has to renew it/,
  ],
  ['a certificate of the future', failing('CERT_NOT_YET_VALID'), undefined, /not valid yet$/, /^Check the clock/],
  [
    'another authority',
    failing('UNABLE_TO_GET_ISSUER_CERT_LOCALLY'),
    undefined,
    /unknown authority/,
    /--server http:\/\/tka/,
  ],
  [
    'a self-signed certificate',
    failing('DEPTH_ZERO_SELF_SIGNED_CERT'),
    undefined,
    /unknown authority/,
    /--server http:\/\/tka/,
  ],
  [
    'another name in the certificate',
    failing('ERR_TLS_CERT_ALTNAME_INVALID'),
    undefined,
    /for other names/,
    /^Name the server as/,
  ],
  [
    'no TLS',
    failing('ERR_SSL_WRONG_VERSION_NUMBER'),
    undefined,
    /does not speak TLS on this port$/,
    /plain HTTP: --server http:\/\/tka/,
  ],
  [
    'a proxy that refuses',
    failing('ECONNREFUSED', { port: 3128 }),
    proxy,
    /^the proxy http:\/\/proxy\.example:3128 refuses/,
    /^Check HTTP_PROXY/,
  ],
  [
    'a proxy of unknown name',
    failing('ENOTFOUND', { hostname: 'proxy.example' }),
    proxy,
    /^the proxy \S+ has no address/,
    /^Check HTTP_PROXY/,
  ],
  [
    'a server behind a proxy',
    failing('ECONNRESET'),
    proxy,
    /^https:\S+, asked through the proxy \S+, closed/,
    /^Try again/,
  ],
];
for (const [what, error, way, message, remedy] of classes) {
  test(`${what}: a message of its own, and its remedy first`, (t) => {
    const explained = explainFailure(error, { server, proxy: way });
    if (!(explained instanceof UserError)) throw new Error('not for users');
    t.regex(explained.message, message);
    t.regex(explained.advice[0] ?? '', remedy);
    t.is(explained.exitCode, 4);
    const others = classes.filter((one) => one[1] !== error && one[2] === way && one[3].source !== message.source);
    t.deepEqual(
      others.filter((one) => one[3].test(explained.message)).map(([name]) => name),
      [],
    );
  });
}

test('a connection that is not taken, an answer that does not come and a proxy that is silent are told apart', (t) => {
  const messages = [
    timedOut({ server, proxy: undefined }, 'connecting', 10_000),
    timedOut({ server, proxy: undefined }, 'answering', 5000),
    timedOut({ server, proxy }, 'connecting', 10_000),
  ];
  t.regex(messages[0]?.message ?? '', /^https:\S+ took no connection within 10 s$/);
  t.regex(messages[0]?.advice[0] ?? '', /firewall/);
  t.regex(messages[1]?.message ?? '', /did not answer within 5 s$/);
  t.regex(messages[2]?.message ?? '', /^the proxy \S+ took no connection within 10 s$/);
  t.true(messages[0] instanceof PassingError);
  t.false(messages[2] instanceof PassingError);
});

async function listening(t: ExecutionContext, one: Server): Promise<number> {
  await new Promise<void>((resolve) => {
    one.listen(0, '127.0.0.1', resolve);
  });
  t.teardown(() => void one.close());
  // Listening on a port, so the address is not a pipe.
  return (one.address() as AddressInfo).port;
}

async function failureAt(t: ExecutionContext, url: string, way?: string): Promise<UnreachableError | undefined> {
  const transport = await createTransport(new URL(url), way === undefined ? undefined : new URL(way));
  t.teardown(() => transport.close());
  return t.throwsAsync(createApi(transport).sessions({ signal }), { instanceOf: UnreachableError });
}

test('real sockets: TLS where HTTP is spoken, HTTP where TLS is, an authority that is not known, and a proxy that is not there', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'tka-test-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const [key, cert] = ['key.pem', 'cert.pem'].map((name) => join(directory, name)) as [string, string];
  const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const request = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', ...subject];
  execFileSync('openssl', [...request, '-keyout', key, '-out', cert], { stdio: 'pipe' });
  const tls = await listening(t, createTlsServer({ key: readFileSync(key), cert: readFileSync(cert) }));
  const plain = await listening(t, createHttpServer());
  const go = await listening(
    t,
    createServer((socket) => {
      const text = 'Client sent an HTTP request to an HTTPS server.\n';
      socket.on('error', () => {});
      socket.end(`HTTP/1.0 400 Bad Request\r\n\r\n${text}`);
    }),
  );
  t.regex((await failureAt(t, `https://127.0.0.1:${tls}`))?.message ?? '', /unknown authority/);
  t.regex((await failureAt(t, `https://127.0.0.1:${plain}`))?.message ?? '', /does not speak TLS on this port/);
  t.regex((await failureAt(t, `http://127.0.0.1:${go}`))?.message ?? '', /speaks TLS on this port, not plain HTTP/);
  for (const url of ['http://tka.invalid', 'https://tka.invalid']) {
    t.regex(
      (await failureAt(t, url, 'http://127.0.0.1:1'))?.message ?? '',
      /^the proxy http:\/\/127\.0\.0\.1:1 refuses/,
    );
    t.regex(
      (await failureAt(t, url, 'http://proxy.invalid:1'))?.message ?? '',
      /^the proxy http:\/\/proxy\.invalid:1 has no address/,
    );
  }
});
