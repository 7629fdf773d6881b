/**
 * Every road into a container, with `recording.fail: closed` it is recorded or refused before the API server
 * hears of it, and its line of audit says which command was to run where.
 */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { switches, switching } from './testing/upgrades.ts';
import { createFixture, type Fixture, statusOf, turns, until } from './testing/fixture.ts';
import { createRecorder, type Recorder } from './recording.ts';
import { ask } from './testing/asked.ts';

const kubelet = '/k8s/api/v1/nodes/worker/proxy';
const websocket = 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: v4.channel.k8s.io\r\n';
const spdy = 'Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\n';

function recorderOf(t: ExecutionContext, fail: 'open' | 'closed') {
  const directory = mkdtempSync(join(tmpdir(), 'tka-roads-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const warnings: string[] = [];
  const recorder: Recorder = createRecorder({
    directory,
    fail,
    maxBytes: 1_000_000,
    failed: () => undefined,
    log: { warn: (_line, message) => void warnings.push(message) },
    now: () => new Date(),
  });
  return { recorder, warnings, recordings: () => readdirSync(directory).length };
}

const auditOf = (at: Fixture): Record<string, unknown> => at.log.find((line) => line['audit'] === true) ?? {};

type Road = readonly [method: string, target: string, more: string, audited: Readonly<Record<string, unknown>>];

const inPod = { resource: 'nodes', subresource: 'proxy', pod: 'a/b', container: 'c' };
const refused: readonly Road[] = [
  ['POST', `${kubelet}/run/a/b/c?cmd=id`, '', { ...inPod, name: 'worker', path: '/run/a/b/c', command: ['id'] }],
  ['GET', `${kubelet}/run/a/b/c?cmd=sh+-c+id`, '', { ...inPod, command: ['sh', '-c', 'id'] }],
  ['POST', `${kubelet}/run/a/b/uid/c?cmd=id`, '', { ...inPod, command: ['id'] }],
  ['PUT', `${kubelet}/run/a/b/c?cmd=id`, '', { ...inPod, command: ['id'] }],
  ['POST', `${kubelet}/exec/a/b/c?command=sh&command=-c`, '', { ...inPod, command: ['sh', '-c'] }],
  ['GET', `${kubelet}/exec/a/b/c?command=sh`, '', { ...inPod, command: ['sh'] }],
  ['GET', `${kubelet}/attach/a/b/c`, '', { ...inPod, path: '/attach/a/b/c' }],
  ['POST', `${kubelet}/portForward/a/b`, spdy, { resource: 'nodes', pod: 'a/b', path: '/portForward/a/b' }],
  ['GET', `${kubelet}/portForward/a/b?port=22`, websocket, { resource: 'nodes', pod: 'a/b' }],
  ['GET', `${kubelet}/cri/exec/token`, '', { resource: 'nodes', path: '/cri/exec/token' }],
  ['POST', `${kubelet}/checkpoint/a/b/c`, '', { ...inPod, path: '/checkpoint/a/b/c' }],
  ['POST', `${kubelet}/pods`, '', { resource: 'nodes', path: '/pods' }],
  ['GET', `${kubelet}/unknown`, '', { resource: 'nodes', path: '/unknown' }],
  ['GET', `${kubelet}/healthz`, websocket, { resource: 'nodes', path: '/healthz' }],
  // Whatever the name of the node says besides.
  ['POST', '/k8s/api/v1/nodes/worker:10250/proxy/run/a/b/c?cmd=id', '', { ...inPod, name: 'worker:10250' }],
  ['POST', '/k8s/api/v1/nodes/https:worker:10250/proxy/run/a/b/c?cmd=id', '', { ...inPod, name: 'https:worker:10250' }],
  ['POST', '/k8s/api/v1/nodes/https:worker:/proxy/run/a/b/c?cmd=id', '', { ...inPod, name: 'https:worker:' }],
  [
    'POST',
    '/k8s/api/v1/nodes/worker:2375/proxy/containers/c/exec',
    '',
    { name: 'worker:2375', path: '/containers/c/exec' },
  ],
  // The API server decodes once, then looks for the segments.
  ['POST', `${kubelet}/%72un/a/b/c?cmd=id`, '', { ...inPod, path: '/run/a/b/c', command: ['id'] }],
  ['POST', '/k8s/api/v1/nodes%2Fworker%2Fproxy%2Frun%2Fa%2Fb%2Fc?cmd=id', '', { ...inPod, command: ['id'] }],
  ['POST', '/k8s/api/v1/%6eodes/worker/pr%6Fxy/run/a/b/c?%63md=%69d', '', { ...inPod, command: ['id'] }],
  ['POST', `${kubelet}/r%2575n/a/b/c?cmd=id`, '', { resource: 'nodes', path: '/r%75n/a/b/c' }],
  ['POST', `${kubelet}/RUN/a/b/c?cmd=id`, '', { resource: 'nodes', path: '/RUN/a/b/c', command: ['id'] }],
  ['POST', `${kubelet}/run/a/b/c/?cmd=id`, '', { ...inPod, command: ['id'] }],
  // Of two commands both are written down, whichever the kubelet takes.
  ['POST', `${kubelet}/run/a/b/c?command=ls&cmd=id`, '', { ...inPod, command: ['ls', 'id'] }],
  ['POST', '/k8s/api/v1/proxy/nodes/worker/run/a/b/c?cmd=id', '', { ...inPod, name: 'worker', command: ['id'] }],
  // Pods: what asks for no upgrade.
  [
    'POST',
    '/k8s/api/v1/namespaces/a/pods/b/exec?command=id&container=c',
    '',
    { name: 'b', command: ['id'], container: 'c' },
  ],
  // Another version of SPDY's protocol than those of exec; a subprotocol of websocket makes SPDY no websocket.
  [
    'POST',
    '/k8s/api/v1/namespaces/a/pods/b/exec?command=id&container=d',
    'Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: x\r\nSec-WebSocket-Protocol: v4.channel.k8s.io\r\n',
    { name: 'b', command: ['id'], container: 'd' },
  ],
];

for (const [method, target, more, audited] of refused) {
  const kind = more === '' ? 'as a request' : more.startsWith(spdy) ? 'over SPDY' : 'over websocket';
  test(`closed: ${method} ${target} ${kind} is refused and audited`, async (t) => {
    const { recorder, recordings } = recorderOf(t, 'closed');
    await using at = await createFixture({ deps: { recorder } });
    const answer = await at.ask(
      'alice',
      `${at.head(method, target, 'alice')}${more === '' ? 'Connection: close\r\n' : more}\r\n`,
    );
    t.is(statusOf(answer), 403);
    t.regex(answer, /would have to be recorded/);
    t.is(at.upstream.length, 0);
    t.is(recordings(), 0);
    t.like(auditOf(at), { by: 'engine', result: 'refused', status: 403, username: 'alice@example.com', ...audited });
  });
}

const recorded: readonly Road[] = [
  ['POST', `${kubelet}/exec/a/b/c?command=sh`, spdy, { ...inPod, command: ['sh'] }],
  ['POST', `${kubelet}/attach/a/b/c`, spdy, { ...inPod, path: '/attach/a/b/c' }],
  ['POST', `${kubelet}/cri/exec/token`, spdy, { resource: 'nodes', path: '/cri/exec/token' }],
  ['POST', '/k8s/api/v1/namespaces/a/pods/b/exec?command=id', spdy, { name: 'b', command: ['id'] }],
  ['POST', '/k8s/api/v1/namespaces/a/pods/b/attach?container=debugger', spdy, { name: 'b', container: 'debugger' }],
  ['GET', '/k8s/api/v1/namespaces/a/pods/b%2Fexec?command=id', spdy, { name: 'b', command: ['id'] }],
  ['GET', '/k8s/api/v1/namespaces/a/pods/b/exec/x?command=id', spdy, { name: 'b', command: ['id'] }],
  [
    'GET',
    `${kubelet}/exec/a/b/c?command=sh&command=-i`,
    websocket,
    { ...inPod, command: ['sh', '-i'], phase: 'start' },
  ],
  ['POST', `${kubelet}/%65xec/a/b/c?command=sh`, websocket, { ...inPod, command: ['sh'] }],
  ['GET', `${kubelet}/attach/a/b/c`, websocket, { ...inPod, path: '/attach/a/b/c' }],
  ['GET', `${kubelet}/cri/exec/token`, websocket, { resource: 'nodes', path: '/cri/exec/token' }],
  ['GET', '/k8s/api/v1/nodes/https:worker:10250/proxy/exec/a/b/c?command=sh', websocket, { ...inPod, command: ['sh'] }],
  ['GET', '/k8s/api/v1/namespaces/a/pods/b/attach?container=debugger', websocket, { name: 'b', container: 'debugger' }],
  ['POST', '/k8s/api/v1/namespaces/a/pods/b%2Fexec?command=id', websocket, { name: 'b', command: ['id'] }],
];
for (const [method, target, more, audited] of recorded) {
  test(`closed: ${method} ${target} over ${more === spdy ? 'SPDY' : 'websocket'} is recorded and audited`, async (t) => {
    const { recorder, recordings } = recorderOf(t, 'closed');
    const { options } = switches(more === spdy ? switching('SPDY/3.1', 'v4.channel.k8s.io') : switching());
    await using at = await createFixture({ ...options, deps: { recorder } });
    const wire = await at.dial('alice', `${at.head(method, target, 'alice')}${more}\r\n`);
    t.is(statusOf(await wire.until(/\r\n\r\n/)), 101);
    wire.socket.end();
    await until(() => at.proxy.open === 0);
    t.is(recordings(), 1);
    t.like(auditOf(at), { status: 101, ...audited });
  });
}

const open: readonly Road[] = [
  ['GET', `${kubelet}/metrics/cadvisor`, '', { name: 'worker', path: '/metrics/cadvisor' }],
  ['GET', `${kubelet}/stats/summary`, '', { path: '/stats/summary' }],
  ['HEAD', `${kubelet}/healthz`, '', { path: '/healthz' }],
  ['GET', `${kubelet}/`, '', { path: '/' }],
  ['GET', kubelet, '', { path: '/' }],
  ['GET', `${kubelet}/containerLogs/a/b/c?tailLines=1`, '', { ...inPod, path: '/containerLogs/a/b/c' }],
  [
    'POST',
    '/k8s/api/v1/namespaces/a/pods/b:8080/proxy/run/x?cmd=y',
    '',
    { resource: 'pods', name: 'b:8080', path: '/run/x' },
  ],
  [
    'GET',
    '/k8s/api/v1/namespaces/a/services/https:web:443/proxy/a/b?token=secret',
    '',
    { name: 'https:web:443', path: '/a/b' },
  ],
  ['GET', '/k8s/api/v1/nodes/worker', '', { resource: 'nodes', name: 'worker' }],
];
for (const [method, target, , audited] of open) {
  test(`closed: ${method} ${target} reads, and is let through and audited`, async (t) => {
    const { recorder, warnings } = recorderOf(t, 'closed');
    await using at = await createFixture({ deps: { recorder } });
    t.is(statusOf(await at.ask('alice', `${at.head(method, target, 'alice')}Connection: close\r\n\r\n`)), 200);
    await turns();
    t.like(auditOf(at), { status: 200, ...audited });
    t.false(JSON.stringify(at.log).includes('secret'), 'a query behind a proxy may hold credentials');
    const asked = await ask(at, { method, target });
    t.is(asked.forwarded.length, 1);
    asked.end();
    t.deepEqual(warnings, []);
  });
}

test('closed: an empty segment in a path to the kubelet gets nowhere', async (t) => {
  const { recorder } = recorderOf(t, 'closed');
  await using at = await createFixture({ deps: { recorder } });
  for (const path of ['//run/a/b/c', '/run//a/b/c', '/run/a/b//c', '/healthz//../run/a/b/c']) {
    const head = at.head('POST', `${kubelet}${path}?cmd=id`, 'alice');
    t.true([400, 403].includes(statusOf(await at.ask('alice', `${head}Connection: close\r\n\r\n`))), path);
  }
  t.is(at.upstream.length, 0);
});

test('open: a command through the kubelet runs unrecorded, with a warning and its line of audit', async (t) => {
  const { recorder, warnings } = recorderOf(t, 'open');
  await using at = await createFixture({ deps: { recorder } });
  const asked = await ask(at, { method: 'POST', target: `${kubelet}/run/a/b/c?cmd=id` });
  t.is(asked.forwarded.length, 1);
  asked.end();
  await turns();
  t.deepEqual(warnings, ['a stream is not recorded']);
  t.like(auditOf(at), { ...inPod, command: ['id'], status: 200 });
});

test('without recordings a command through the kubelet has its line of audit', async (t) => {
  await using at = await createFixture();
  const asked = await ask(at, { method: 'POST', target: `${kubelet}/run/a/b/c?cmd=id` });
  asked.end();
  await turns();
  t.like(auditOf(at), { ...inPod, command: ['id'], status: 200 });
});

test('no number of words hides one from the audit', async (t) => {
  await using at = await createFixture();
  const words = [...Array.from({ length: 600 }, () => 'x'), 'evil', 'y'.repeat(6000)];
  const query = words.map((word) => `command=${word}`).join('&');
  await at.ask(
    'alice',
    `${at.head('POST', `/k8s/api/v1/namespaces/a/pods/b/exec?${query}`, 'alice')}Connection: close\r\n\r\n`,
  );
  await turns();
  t.deepEqual(auditOf(at)['command'], words);
});
