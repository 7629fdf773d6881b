/**
 * What a hostile server may say, for tests: texts that drive terminals and shells, kubeconfigs that run programs, read files
 * or send traffic elsewhere, and answers that never end.
 */
import type { ServerResponse } from 'node:http';
import { sendJson, stubKubeconfig } from './stub-server.ts';

/** CSI, OSC 0, OSC 8, OSC 52, DCS, bidirectional and zero-width characters, shell text, paths, and lines of their own. */
export const evil = [
  '\u001B[31m\u001B[2J\u001B[6n',
  '\u001B]0;pwned\u0007',
  '\u001B]8;;http://evil.example\u001B\\here\u001B]8;;\u001B\\',
  '\u001B]52;c;cHduZWQ=\u0007',
  '\u001BP$q"p\u001B\\\u009B31m\u009D0;pwned\u009C',
  '\u202Egnirts\u2066\u200B\uFEFF',
  '$(touch pwned)`touch pwned`;touch pwned|"\'',
  '../../../pwned',
  '\r\n\u0000\u0008\u007F\u2028\u2029error: pwned',
].join('');

/** The characters that no output may have: control (but the newline), format, line separators. */
export const unprintable = /[^\P{Cc}\n]|[\p{Cf}\p{Zl}\p{Zp}]/u;

interface Kubeconfig {
  readonly clusters: readonly { name: string; cluster: Record<string, unknown> }[];
  readonly users: readonly { name: string; user: Record<string, unknown> }[];
  readonly contexts: readonly { name: string; context: Record<string, unknown> }[];
  readonly [key: string]: unknown;
}

/** Good, but for what is put over its cluster, its user, its context. */
export function kubeconfigWith(
  cluster: object = {},
  user: object = {},
  { context = {}, ...rest }: { readonly context?: object; readonly [key: string]: unknown } = {},
): Kubeconfig {
  // Made by the fixture in this shape.
  const good = stubKubeconfig('good.token.x') as unknown as Kubeconfig;
  return {
    ...good,
    clusters: [{ name: 'prod', cluster: { ...good.clusters[0]?.cluster, ...cluster } }],
    users: [{ name: 'tka-user-alice', user: { ...good.users[0]?.user, ...user } }],
    contexts: [{ name: 'tka-alice', context: { ...good.contexts[0]?.context, ...context } }],
    ...rest,
  };
}

const exec = { apiVersion: 'client.authentication.k8s.io/v1', command: '/bin/sh', args: ['-c', 'touch pwned'] };
const noToken = { token: undefined };
const certificate = Buffer.from('-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n').toString('base64');
const many = <T>(make: (index: number) => T): T[] => Array.from({ length: 17 }, (_, index) => make(index));

/** Nothing of them may be used: the command fails, and writes nothing. */
export const refusedKubeconfigs: readonly (readonly [string, unknown])[] = [
  ['an http cluster', kubeconfigWith({ server: 'http://127.0.0.1:6443' })],
  ['a user and password in the URL', kubeconfigWith({ server: 'https://u:p@127.0.0.1' })],
  ['a query in the URL', kubeconfigWith({ server: 'https://127.0.0.1?x=$(id)' })],
  ['a file URL', kubeconfigWith({ server: 'file:///etc/passwd' })],
  ['a URL with escapes', kubeconfigWith({ server: `https://${evil}` })],
  ['a URL of 10 kB', kubeconfigWith({ server: `https://a/${'a'.repeat(10_000)}` })],
  ['a CA that is no certificate', kubeconfigWith({ 'certificate-authority-data': 'bm9uZQ==' })],
  ['a CA that only looks like one', kubeconfigWith({ 'certificate-authority-data': certificate })],
  ['a CA that is a map', kubeconfigWith({ 'certificate-authority-data': { evil } })],
  ['an exec block in place of a token', kubeconfigWith({}, { ...noToken, exec })],
  ['an auth-provider in place of a token', kubeconfigWith({}, { ...noToken, 'auth-provider': { name: 'gcp' } })],
  ['a tokenFile in place of a token', kubeconfigWith({}, { ...noToken, tokenFile: '/etc/passwd' })],
  ['a client certificate in place of a token', kubeconfigWith({}, { ...noToken, 'client-certificate': '/etc/passwd' })],
  ['a token with a line of its own', kubeconfigWith({}, { token: 'a\nexec: {command: sh}' })],
  ['a token with escapes', kubeconfigWith({}, { token: evil })],
  ['a token of 100 kB', kubeconfigWith({}, { token: 'a'.repeat(100_000) })],
  ['seventeen clusters', kubeconfigWith({}, {}, { clusters: many((i) => ({ name: `c${i}`, cluster: {} })) })],
  ['a context of nothing', kubeconfigWith({}, {}, { context: { cluster: 'other', user: 'other' } })],
  ['unverified certificates', kubeconfigWith({ 'certificate-authority-data': '', 'insecure-skip-tls-verify': true })],
  ['lists that are maps', kubeconfigWith({}, {}, { clusters: { prod: {} }, users: {}, contexts: {} })],
  ['no lists', {}],
  ['null', null],
  ['a number', 7],
];

/** Good ones with more in them than a way to a cluster: only the way is taken. */
export const sanitizedKubeconfigs: readonly (readonly [string, unknown])[] = [
  ['an exec block', kubeconfigWith({}, { exec, username: 'pwned', password: 'pwned' })],
  ['an auth-provider', kubeconfigWith({}, { 'auth-provider': { name: 'pwned', config: { 'cmd-path': 'pwned' } } })],
  ['a tokenFile', kubeconfigWith({}, { tokenFile: '/pwned' })],
  ['client certificate files', kubeconfigWith({}, { 'client-certificate': '/pwned', 'client-key': '/pwned' })],
  ['impersonation', kubeconfigWith({}, { as: 'pwned', 'as-groups': ['pwned'] })],
  ['a proxy-url', kubeconfigWith({ 'proxy-url': 'http://pwned.example' })],
  ['a CA file', kubeconfigWith({ 'certificate-authority': '/pwned' })],
  ['another server name for TLS', kubeconfigWith({ 'tls-server-name': 'pwned.example' })],
  [
    'extensions',
    kubeconfigWith({ extensions: [{ name: 'tka.specht-labs.de/session', extension: { server: 'pwned' } }] }),
  ],
  ['preferences', kubeconfigWith({}, {}, { preferences: { pwned: true }, pwned: 1 })],
  ['an invalid namespace', kubeconfigWith({}, {}, { context: { namespace: evil } })],
  ['more contexts', withMoreContexts()],
  ['names with escapes', withEvilNames()],
];

function withMoreContexts(): unknown {
  const good = kubeconfigWith();
  return {
    ...good,
    clusters: [...good.clusters, { name: 'pwned', cluster: { server: 'https://pwned.example' } }],
    contexts: [...good.contexts, { name: 'pwned', context: { cluster: 'pwned', user: 'tka-user-alice' } }],
  };
}

function withEvilNames(): unknown {
  const [cluster, user] = [`prod${evil.replaceAll('pwned', '')}`, evil];
  const good = kubeconfigWith();
  return {
    clusters: [{ name: cluster, cluster: good.clusters[0]?.cluster }],
    users: [{ name: user, user: good.users[0]?.user }],
    contexts: [{ name: evil, context: { cluster, user } }],
    'current-context': evil,
  };
}

const json = { 'content-type': 'application/json' };
const forever = (response: ServerResponse, chunk: string): void => {
  const more = (): void => {
    while (!response.destroyed && response.write(chunk));
  };
  response.on('drain', more);
  more();
};

/** Instead of an answer. Each is over in time, with an error, and nothing written. */
export const wildAnswers: readonly (readonly [string, (response: ServerResponse) => void])[] = [
  ['10 MB of JSON', (response) => sendJson(response, 200, { session: 'x'.repeat(10_000_000) })],
  ['JSON without an end', (response) => forever(response.writeHead(200, json), '{"a":'.repeat(10_000))],
  ['headers without an end', (response) => forever(rawly(response, 'HTTP/1.1 200 OK\r\n'), 'x-a: b\r\n'.repeat(1000))],
  ['100,000 lists in one another', (response) => void response.writeHead(200, json).end('['.repeat(100_000))],
  [
    'a map 100,000 deep',
    (response) => void response.writeHead(200, json).end(`${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`),
  ],
  [
    'keys of prototypes',
    (response) => void response.writeHead(200, json).end('{"__proto__":{"session":"pwned"},"constructor":1}'),
  ],
  ['a redirect to a file', (response) => void response.writeHead(302, { location: 'file:///etc/passwd' }).end()],
  ['a redirect to metadata', (response) => void response.writeHead(307, { location: 'http://169.254.169.254/' }).end()],
  ['HTML', (response) => void response.writeHead(200, { 'content-type': 'text/html' }).end(`<script>${evil}`)],
  [
    'JSON that says it is YAML',
    (response) => void response.writeHead(200, { 'content-type': 'application/yaml' }).end('{}'),
  ],
  [
    'compressed bytes',
    (response) => void response.writeHead(200, { ...json, 'content-encoding': 'gzip' }).end('\u001F\u008B'),
  ],
  ['no content', (response) => void response.writeHead(204).end()],
  ['another protocol', (response) => void rawly(response, `SSH-2.0-${evil}\r\n`).end()],
  ['half an answer', (response) => void rawly(response, 'HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{').end()],
  [
    'two lengths',
    (response) => void rawly(response, 'HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n{}').end(),
  ],
  [
    'an upgrade',
    (response) => void rawly(response, 'HTTP/1.1 101 Up\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n').end(),
  ],
  [
    'a refusal with escapes',
    (response) => sendJson(response, 403, { message: evil, advice: Array(1000).fill(evil), code: evil, cause: evil }),
  ],
  ['a refusal of 500 kB', (response) => sendJson(response, 400, { message: 'pwned '.repeat(100_000), advice: [] })],
  ['a refusal of other types', (response) => sendJson(response, 403, { message: { evil }, advice: evil })],
  ['a status of its own', (response) => void response.writeHead(999, { 'x-evil': 'x' }).end()],
];

/** Past node:http, which would not write it. */
function rawly(response: ServerResponse, text: string): ServerResponse {
  const { socket } = response;
  if (socket === null) throw new Error('no connection');
  socket.write(text, 'latin1');
  // As far as it is used here: write, drain, end, destroyed.
  return socket as unknown as ServerResponse;
}
