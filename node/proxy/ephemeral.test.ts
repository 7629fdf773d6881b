/** What an ephemeral container is to run is in the audit before it runs, however it is said. */
import test from 'ava';
import { createFixture, type Fixture, statusOf, turns } from './testing/fixture.ts';
import { ephemeralContainersIn, isEphemeral, mostBodyBytes } from './ephemeral.ts';
import { createRecorder } from './recording.ts';

const path = '/k8s/api/v1/namespaces/a/pods/b/ephemeralcontainers';
const container = {
  name: 'debugger',
  image: 'busybox',
  command: ['sh', '-c'],
  args: ['id'],
  targetContainerName: 'app',
};
const expected = { container: 'debugger', image: 'busybox', command: ['sh', '-c', 'id'] };
const json = JSON.stringify({ spec: { $setElementOrder: [], ephemeralContainers: [container] } });
const yaml =
  'spec:\n  ephemeralContainers:\n  - name: debugger\n    image: busybox\n    command: [sh, -c]\n    args: [id]\n';
const patch = (...operations: readonly object[]): string => JSON.stringify(operations);
const at = '/spec/ephemeralContainers';

const readable: readonly (readonly [type: string, body: string, expected: object])[] = [
  ['application/strategic-merge-patch+json', json, expected],
  ['application/merge-patch+json', json, expected],
  ['Application/JSON; charset=utf-8', json, expected],
  ['application/apply-patch+yaml', yaml, expected],
  ['application/yaml', yaml, expected],
  [
    'application/json',
    JSON.stringify({ spec: { containers: [{ name: 'app', command: ['own'] }], ephemeralContainers: [container] } }),
    expected,
  ],
  [
    'application/json',
    JSON.stringify({ spec: { ephemeralContainers: [container, { name: 'second', image: 'x' }] } }),
    { container: 'debugger,second', image: 'busybox,x', command: ['sh', '-c', 'id'] },
  ],
  ['application/json-patch+json', patch({ op: 'add', path: `${at}/-`, value: container }), expected],
  ['application/json-patch+json', patch({ op: 'add', path: at, value: [container] }), expected],
  [
    'application/json-patch+json',
    patch({ op: 'replace', path: '/spec', value: { ephemeralContainers: [container] } }),
    expected,
  ],
  [
    'application/json-patch+json',
    patch({ op: 'add', path: `${at}/0/command`, value: ['sh', 'x'] }),
    { command: ['sh', 'x'] },
  ],
  [
    'application/json-patch+json',
    patch({ op: 'add', path: `${at}/0/command/0`, value: 'x' }, { op: 'add', path: `${at}/0/args/-`, value: 'y' }),
    { command: ['x', 'y'] },
  ],
  // A path of the longest body is read within the time of a test.
  [
    'application/json-patch+json',
    patch({ op: 'add', path: `${'/ephemeralContainers'.repeat(50_000)}\n`, value: 'x' }),
    { command: [] },
  ],
  ['application/json', '{}', { command: [] }],
  ['application/json', JSON.stringify({ Spec: { EphemeralContainers: [container] } }), expected],
];
for (const [type, body, wanted] of readable) {
  test(`${type} ${body.slice(0, 120)}: the command is read`, (t) => {
    t.deepEqual(ephemeralContainersIn(Buffer.from(body), [['content-type', type]]), wanted as never);
  });
}

test('a request that changes ephemeral containers is one, and no read of them is', (t) => {
  const of = (verb: string, subresource = 'ephemeralcontainers', resource = 'pods'): boolean =>
    isEphemeral({ verb, resource, subresource, isStream: false });
  t.deepEqual(
    ['patch', 'update', 'create', 'delete', 'get', 'watch'].map((verb) => of(verb)),
    [true, true, true, true, false, false],
  );
  t.false(of('patch', 'status'));
  t.false(of('patch', 'ephemeralcontainers', 'nodes'));
});

const unreadable: readonly (readonly [title: string, headers: Readonly<Record<string, string>>, body: string])[] = [
  ['protobuf', { 'Content-Type': 'application/vnd.kubernetes.protobuf' }, 'k8s\0x'],
  ['CBOR', { 'Content-Type': 'application/cbor' }, 'x'],
  ['a compressed body', { 'Content-Type': 'application/json', 'Content-Encoding': 'gzip' }, json],
  ['no JSON', { 'Content-Type': 'application/json' }, '{'],
  ['bytes that are no UTF-8', { 'Content-Type': 'application/json' }, '"\xff"'],
  ['two documents of YAML', { 'Content-Type': 'application/yaml' }, `${yaml}---\n${yaml}`],
  [
    'JSON with a list twice, of which the API server keeps the first command',
    { 'Content-Type': 'application/json' },
    '{"spec":{"ephemeralContainers":[{"name":"a","command":["id"]}],"ephemeralContainers":[{"name":"a"}]}}',
  ],
  [
    'YAML with a key twice',
    { 'Content-Type': 'application/yaml' },
    'spec:\n  ephemeralContainers: [{command: [id]}]\n  ephemeralContainers: []\n',
  ],
  [
    'YAML with a merge key',
    { 'Content-Type': 'application/apply-patch+yaml' },
    'spec:\n  ephemeralContainers:\n  - <<: {command: [id]}\n',
  ],
  [
    'YAML with a tag',
    { 'Content-Type': 'application/yaml' },
    'spec: {ephemeralContainers: [{!!binary Y29tbWFuZA==: [id]}]}\n',
  ],
  [
    'YAML of more than 16 KiB',
    { 'Content-Type': 'application/yaml' },
    `${yaml}${Array.from({ length: 2000 }, (_, i) => `x${i}: 1\n`).join('')}`,
  ],
  ['a nesting without an end', { 'Content-Type': 'application/json' }, `${'['.repeat(200_000)}${']'.repeat(200_000)}`],
  [
    'a container copied from the pod',
    { 'Content-Type': 'application/json-patch+json' },
    patch({ op: 'copy', from: '/spec/containers/0', path: `${at}/-` }),
  ],
];

const request = (
  on: Fixture,
  method: string,
  target: string,
  headers: Readonly<Record<string, string>>,
  body: string,
): string => {
  const lines = Object.entries({
    ...headers,
    'Content-Length': String(Buffer.byteLength(body, 'latin1')),
    Connection: 'close',
  });
  return `${on.head(method, target, 'alice')}${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${body}`;
};
const auditOf = (on: Fixture): Record<string, unknown> => on.log.find((line) => line['audit'] === true) ?? {};
const recorderThat = (fail: 'open' | 'closed', warnings: string[] = []) =>
  createRecorder({
    directory: '/nonexistent',
    fail,
    maxBytes: 1_000_000,
    failed: () => undefined,
    log: { warn: (_line, message) => void warnings.push(message) },
    now: () => new Date(),
  });

for (const [title, headers, body] of unreadable) {
  test(`${title}: refused with closed, let through with a warning with open`, async (t) => {
    await using closed = await createFixture({ deps: { recorder: recorderThat('closed') } });
    const refused = await closed.ask('alice', request(closed, 'PATCH', path, headers, body));
    t.is(statusOf(refused), 403);
    t.regex(refused, /cannot be read for the audit/);
    t.is(closed.upstream.length, 0);
    const warnings: string[] = [];
    await using open = await createFixture({ deps: { recorder: recorderThat('open', warnings) } });
    t.is(statusOf(await open.ask('alice', request(open, 'PATCH', path, headers, body))), 200);
    t.is(warnings.length, 1);
    await using without = await createFixture();
    t.is(statusOf(await without.ask('alice', request(without, 'PATCH', path, headers, body))), 200);
    t.true(without.log.some(({ message }) => /ephemeral container could not be read/.test(String(message))));
  });
}

for (const method of ['PATCH', 'PUT', 'POST'])
  for (const target of [
    path,
    `${path}/`,
    path.replace('pods/b/ephemeralcontainers', 'pods%2Fb%2Fephemeral%63ontainers'),
  ]) {
    test(`${method} ${target} is forwarded as it came, its command in the audit`, async (t) => {
      await using on = await createFixture({ deps: { recorder: recorderThat('closed') } });
      t.is(
        statusOf(await on.ask('alice', request(on, method, target, { 'Content-Type': 'application/json' }, json))),
        200,
      );
      await turns();
      t.true(on.upstream[0]?.bytes().endsWith(`\r\n\r\n${json}`));
      t.like(auditOf(on), {
        resource: 'pods',
        name: 'b',
        subresource: 'ephemeralcontainers',
        status: 200,
        sentBytes: json.length,
        ...expected,
      });
    });
  }

test('a body in chunks, after a 100, is read and forwarded with its length', async (t) => {
  await using on = await createFixture();
  const head = `${on.head('PATCH', path, 'alice')}Content-Type: application/merge-patch+json\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n`;
  const wire = await on.dial('alice', head);
  await wire.until(/^HTTP\/1\.1 100 Continue\r\n\r\n/);
  wire.send(`${json.length.toString(16)}\r\n${json}\r\n0\r\n\r\n`);
  t.regex(await wire.closed, /\r\n\r\nHTTP\/1\.1 200/);
  await turns();
  t.regex(on.upstream[0]?.bytes() ?? '', new RegExp(`content-length: ${json.length}\\r\\n`, 'i'));
  t.like(auditOf(on), expected);
});

test('a body that is too long to be read is refused, and nothing is forwarded', async (t) => {
  await using on = await createFixture();
  const wire = await on.dial(
    'alice',
    request(on, 'PATCH', path, { 'Content-Type': 'application/json' }, 'x'.repeat(mostBodyBytes + 1)),
  );
  t.is(statusOf(await wire.until(/\r\n\r\n/)), 413);
  t.is(on.upstream.length, 0);
});

test('a caller that goes while its body is read leaves nothing behind', async (t) => {
  await using on = await createFixture();
  const wire = await on.dial('alice', `${on.head('PATCH', path, 'alice')}Content-Length: 100\r\n\r\n{`);
  while (on.proxy.open === 0) await turns();
  wire.socket.destroy();
  while (on.proxy.open !== 0) await turns();
  t.is(on.upstream.length, 0);
});

test('no body is read for a caller without a session', async (t) => {
  await using on = await createFixture();
  const head = `PATCH ${path} HTTP/1.1\r\nHost: tka\r\nAuthorization: Bearer wrong\r\nContent-Length: 100\r\n\r\n`;
  const wire = await on.dial('alice', head);
  t.is(statusOf(await wire.until(/\r\n\r\n/)), 401);
});
