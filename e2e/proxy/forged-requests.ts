/**
 * Requests that no client of Kubernetes sends, byte by byte over the tailnet, each with a token that is good: none may reach
 * the API server. The exhaustive corpora are unit tests of node/proxy.
 */
import test from 'ava';
import type { Stack } from '../../dev/stack/stack.ts';
import { Caller } from './caller.ts';
import { logged } from './server-log.ts';

const path = '/k8s/api/v1/namespaces/default/configmaps';

interface Forged {
  readonly line?: string;
  /** Instead of the server's own name. */
  readonly host?: string;
  readonly headers?: readonly string[];
  readonly body?: string;
  readonly status: number;
  /** The status is the API server's own. */
  readonly isForwarded?: true;
}

const corpus: Readonly<Record<string, Forged>> = {
  'none of it': { status: 200 },
  Impersonate: { headers: ['Impersonate-User: system:admin'], status: 400 },
  'Impersonate in another spelling': { headers: ['impersonate_GROUP: system:masters'], status: 400 },
  'Impersonate by way of Connection': { headers: ['Connection: close, Impersonate-User'], status: 400 },
  'two credentials': { headers: ['Authorization: Bearer x'], status: 400 },
  'two credentials, one disguised': { headers: ['authorization_: x', 'Authorization: Basic eDp4'], status: 400 },
  'a credential as subprotocol': {
    headers: [
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
      'Sec-WebSocket-Protocol: v5.channel.k8s.io, base64url.bearer.authorization.k8s.io.eA',
    ],
    status: 400,
  },
  'an upgrade to another protocol': { headers: ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c'], status: 400 },
  'an upgrade that the API server has not': {
    headers: ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: eA=='],
    status: 200,
  },
  'a way out upwards': { line: 'POST /k8s/../api/v1alpha1/login', status: 400 },
  'a way out upwards, encoded': { line: 'POST /k8s/%2e%2e/api/v1alpha1/login', status: 400 },
  'a way out upwards, encoded twice': { line: 'POST /k8s/%252e%252e/api/v1alpha1/login', status: 400 },
  'a segment that is empty': { line: 'GET /k8s//api/v1/namespaces', status: 400 },
  'a backslash': { line: 'GET /k8s/api\\..\\..', status: 400 },
  'a path of two readings': { line: 'GET //k8s/api/v1/namespaces', status: 400 },
  'an absolute target': { line: `GET https://tka.tail.test${path}`, status: 400 },
  'a method of its own': { line: `PROPFIND ${path}`, status: 405 },
  'a foreign name': { host: 'evil.example', status: 421 },
  'two names': { headers: ['Host: evil.example'], status: 400 },
  'a page of another origin': { headers: ['Origin: https://evil.example'], status: 403 },
  'a page of another origin, as browsers tell it': { headers: ['Sec-Fetch-Site: cross-site'], status: 403 },
  'two lengths': { line: `POST ${path}`, headers: ['Content-Length: 2', 'Content-Length: 3'], body: '{}', status: 400 },
  'a length and chunks': {
    line: `POST ${path}`,
    headers: ['Content-Length: 5', 'Transfer-Encoding: chunked'],
    body: '0\r\n\r\n',
    // Read as chunks, whose end the API server is told anew; the role may not create.
    status: 403,
    isForwarded: true,
  },
  'chunks in disguise': {
    line: `POST ${path}`,
    headers: ['Transfer-Encoding: xchunked'],
    body: '0\r\n\r\n',
    status: 501,
  },
  'a folded header': { headers: ['X-Folded: a\r\n b'], status: 200 },
  'headers of 17 KB': { headers: [`X-Large: ${'x'.repeat(17_000)}`], status: 431 },
};

export function forgedRequests(stackOf: () => Stack, user: string): void {
  for (const [title, { line = `GET ${path}`, host, headers = [], body = '', status, isForwarded }] of Object.entries(
    corpus,
  )) {
    test.serial(`a request with ${title} is answered ${status}`, async (t) => {
      const stack = stackOf();
      const caller = Caller.of(stack, user);
      const { token } = await caller.login();
      const named = headers.some((header) => header.startsWith('Connection')) ? [] : ['Connection: close'];
      const own = [`Host: ${host ?? stack.tka.dnsName}`, `Authorization: Bearer ${token}`, ...named];
      const answer = await caller.bytes(`${line} HTTP/1.1\r\n${[...own, ...headers].join('\r\n')}\r\n\r\n${body}`);
      t.is(Number(/^HTTP\/1\.1 (\d{3}) /.exec(answer)?.[1]), status, answer);
      t.is(answer.match(/^HTTP\/1\.1 /gm)?.length, 1, 'one answer and no more');
      t.notRegex(answer, /access-control-|set-cookie/i);
      if (status >= 400 && isForwarded !== true && answer.includes('"kind":"Status"')) {
        const [, id] = /x-request-id: (\S+)/i.exec(answer) ?? [];
        t.like(await logged(stack, { event: 'k8s', requestId: id }), { result: 'refused', status });
      }
      const [, id] = /x-request-id: (\S+)/i.exec(answer) ?? [];
      if (id !== undefined) t.like(await logged(stack, { event: 'k8s', requestId: id }), { by: 'engine' });
    });
  }

  test.serial('what comes back can do nothing as a web page, the port without TLS has no Kubernetes API', async (t) => {
    const stack = stackOf();
    const caller = Caller.of(stack, user);
    const entry = await caller.login();
    const headers = { authorization: `Bearer ${entry.token}` };
    const answers = {
      200: await caller.ask(entry, '/version'),
      401: await caller.ask(entry, '/version', { headers: {} }),
      403: await caller.api('/k8s/version', { headers }),
    };
    for (const [status, answer] of Object.entries(answers)) {
      t.is(answer.status, Number(status), answer.body);
      t.is(answer.headers['content-security-policy'], 'sandbox', status);
      t.is(answer.headers['x-content-type-options'], 'nosniff', status);
      t.is(answer.headers['referrer-policy'], 'no-referrer', status);
    }
    t.regex(answers[403].body, /over https alone/);
  });

  test.serial('kubectl --as is told that it works in direct mode alone, and is counted', async (t) => {
    const stack = stackOf();
    const count = async (): Promise<number> => {
      const metrics = await (await fetch(`${stack.tka.health}/metrics`)).text();
      return Number(/^tka_header_reject_total\{kind="impersonation"\} (\d+)$/m.exec(metrics)?.[1] ?? 0);
    };
    const before = await count();
    const caller = Caller.of(stack, user);
    const entry = await caller.login();
    const headers = { authorization: `Bearer ${entry.token}`, 'Impersonate-User': 'system:admin' };
    const { status, body } = await caller.ask(entry, '/version', { headers });
    t.is(status, 400);
    t.regex(JSON.parse(body).message, /--mode direct/);
    t.is(await count(), before + 1);
  });
}
