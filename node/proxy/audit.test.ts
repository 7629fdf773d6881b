/** What is written down about requests, and what never is. */
import test from 'ava';
import type { Duplex } from 'node:stream';
import { createFixture, serviceAccountToken, turns, until } from './testing/fixture.ts';

const lines = (log: readonly Record<string, unknown>[]): Record<string, unknown>[] =>
  log
    .filter((line) => line['audit'] === true)
    .map((line) => Object.fromEntries(Object.entries(line).filter(([key]) => key !== 'seconds')));

test('a request has one line, with who, what and how much', async (t) => {
  await using at = await createFixture();
  const answer = await at.ask(
    'alice',
    `${at.head('POST', '/k8s/apis/apps/v1/namespaces/web/deployments', 'alice')}Content-Length: 4\r\nConnection: close\r\n\r\nbody`,
  );
  t.deepEqual(lines(at.log), [
    {
      level: 'info',
      message: 'audit',
      audit: true,
      event: 'k8s',
      subject: 'control.example|user:alice',
      username: 'alice@example.com',
      node: 'node-of-alice',
      session: 'alice',
      role: 'view',
      verb: 'create',
      group: 'apps',
      resource: 'deployments',
      namespace: 'web',
      by: 'engine',
      requestId: 'request-1',
      status: 200,
      sentBytes: 4,
      receivedBytes: 2,
    },
  ]);
  t.regex(answer, /x-request-id: request-1\r\n/);
  t.regex(at.upstream[0]?.bytes() ?? '', /audit-id: request-1\r\n/);
});

test('a watch has a line at its start and one at its end', async (t) => {
  await using at = await createFixture({
    apiServer: { request: (_req, res) => void res.setHeader('content-type', 'application/json').write('{}\n') },
  });
  const wire = await at.dial('alice', `${at.head('GET', '/k8s/api/v1/pods?watch=1', 'alice')}\r\n`);
  await wire.until(/\{\}/);
  t.deepEqual(
    lines(at.log).map(({ phase }) => phase),
    ['start'],
  );
  at.proxy.cut('uid-of-alice', 'the session has ended');
  await until(() => at.proxy.open === 0);
  await turns();
  t.deepEqual(
    lines(at.log).map(({ phase, verb, status, cut }) => ({ phase, verb, status, cut })),
    [
      { phase: 'start', verb: 'watch', status: 200, cut: undefined },
      { phase: 'end', verb: 'watch', status: 200, cut: 'the session has ended' },
    ],
  );
});

test('an exec has its command line at both ends', async (t) => {
  await using at = await createFixture({
    apiServer: {
      upgrade(_req, socket: Duplex) {
        socket.end('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
      },
    },
  });
  const answer = await at.ask(
    'alice',
    `${at.head('GET', '/k8s/api/v1/namespaces/a/pods/b/exec?command=rm&command=-rf&command=%2F', 'alice')}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
  );
  await until(() => at.proxy.open === 0);
  await turns();
  t.deepEqual(
    lines(at.log).map(({ phase, verb, subresource, name, command, status }) => ({
      phase,
      verb,
      subresource,
      name,
      command,
      status,
    })),
    ['start', 'end'].map((phase) => ({
      phase,
      verb: 'get',
      subresource: 'exec',
      name: 'b',
      command: ['rm', '-rf', '/'],
      status: 101,
    })),
  );
  t.regex(answer, /x-request-id: request-1\r\n/);
});

test('an encoded slash hides no exec', async (t) => {
  await using at = await createFixture();
  await at.ask(
    'alice',
    `${at.head('POST', '/k8s/api/v1/namespaces/a/pods/b%2Fexec?command=sh', 'alice')}Connection: close\r\n\r\n`,
  );
  t.like(lines(at.log)[0], { resource: 'pods', name: 'b', subresource: 'exec', command: ['sh'] });
});

test('a refused request has one line that says why, and who where that is known', async (t) => {
  await using at = await createFixture();
  await at.ask('bob', `${at.head('GET', '/k8s/api/v1/pods', 'alice')}Connection: close\r\n\r\n`);
  t.like(lines(at.log)[0], {
    level: 'warn',
    result: 'refused',
    status: 401,
    username: 'bob@example.com',
    verb: 'list',
    resource: 'pods',
  });
  t.is(lines(at.log).length, 1);
});

test('no credential gets into an answer or a line, whatever happens to it', async (t) => {
  await using at = await createFixture({
    apiServer: {
      request(req, res) {
        if (req.url === '/break') res.destroy();
        else res.end('fine');
      },
    },
  });
  const foreign = 'eyJhbGciOiJub25lIn0.foreign.credential';
  const heads = [
    `${at.head('GET', '/k8s/fine', 'alice')}\r\n`,
    `${at.head('GET', '/k8s/break', 'alice')}\r\n`,
    `${at.head('GET', '/k8s/../x', 'alice')}\r\n`,
    `${at.head('GET', '/k8s/x', 'bob')}\r\n`,
    `${at.head('GET', '/k8s/x', 'alice')}Impersonate-User: ${foreign}\r\n\r\n`,
    `${at.head('GET', '/k8s/x', 'alice')}Authorization: Bearer ${foreign}\r\n\r\n`,
    `GET /k8s/x HTTP/1.1\r\nHost: tka\r\nAuthorization: Bearer ${foreign}\r\n\r\n`,
    `${at.head('GET', '/k8s/x', 'alice')}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io.${foreign}\r\n\r\n`,
    `${at.head('GET', '/k8s/x', 'alice')}Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n`,
    `${at.head('GET', '/k8s/x', 'alice')}Origin: https://${foreign}\r\n\r\n`,
    `${at.head('GET', '/k8s/x', 'alice').replace('Host: tka', `Host: ${foreign}`)}\r\n`,
  ];
  let said = '';
  for (const head of heads) {
    const wire = await at.dial('alice', head);
    said += await wire.until(/\r\n\r\n/);
    wire.socket.end();
    said += await wire.closed;
  }
  await at.stopApiServer();
  said += await at.ask('alice', `${at.head('GET', '/k8s/away', 'alice')}Connection: close\r\n\r\n`);
  const logged = JSON.stringify(at.log, (_key, value: unknown) =>
    value instanceof Error ? { message: value.message, stack: value.stack, cause: value.cause } : value,
  );
  t.is(lines(at.log).length, heads.length + 1);
  for (const credential of [at.token('alice'), at.token('bob'), serviceAccountToken('alice'), foreign])
    t.false(`${said}${logged}`.includes(credential), credential);
});
