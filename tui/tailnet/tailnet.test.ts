import { chmodSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import test from 'ava';
import { askTailscaled } from './local-api.ts';
import { createTestRuntime, startTailscaled, statusOf, temporaryDirectory } from '../testing/tailscaled.ts';
import { readTailnet } from './tailnet.ts';
import { peerAt, type Tailnet, TailnetError, type TailnetProblem } from './types.ts';
import { readStatus } from './status.ts';

const signal = new AbortController().signal;

const states: readonly [string, object, TailnetProblem, RegExp][] = [
  ['NeedsLogin', {}, 'logged-out', /logged out/],
  ['NoState', {}, 'logged-out', /logged out/],
  ['NoState', { HaveNodeKey: true }, 'starting', /still starting/],
  ['NeedsMachineAuth', {}, 'logged-out', /waits for approval/],
  ['Stopped', { HaveNodeKey: true }, 'stopped', /stopped/],
  ['Starting', { HaveNodeKey: true }, 'starting', /still starting/],
  ['InUseOtherUser', {}, 'forbidden', /another user/],
  ['Running', { HaveNodeKey: true, Self: undefined }, 'starting', /still starting/],
  ['Dreaming', {}, 'absent', /unexpected answer/],
];
for (const [state, more, problem, message] of states) {
  test(`a tailscaled that is ${state} ${JSON.stringify(more)} is ${problem}, with a remedy and exit code 4`, async (t) => {
    const { socket } = await startTailscaled(t, { BackendState: state, ...more });
    const runtime = createTestRuntime(t, { socket });
    const error = await t.throwsAsync(readTailnet(runtime, { signal }), { instanceOf: TailnetError, message });
    t.like(error, { problem, exitCode: 4 });
    t.true((error?.advice.length ?? 0) > 0);
  });
}

for (const [what, answer, problem, message] of [
  ['refuses this user', 403, 'forbidden', /refuses this user/],
  ['is something else', 'hello', 'absent', /not its kind of answer/],
  ['answers a list', '[]', 'absent', /unexpected answer/],
] as const) {
  test(`a socket that ${what} is ${problem}`, async (t) => {
    const { socket } = await startTailscaled(t, undefined, (_, response) => {
      if (typeof answer === 'number') response.writeHead(answer).end('status access denied');
      else response.end(answer);
    });
    const runtime = createTestRuntime(t, { socket });
    const error = await t.throwsAsync(readTailnet(runtime, { signal }), { instanceOf: TailnetError, message });
    t.is(error?.problem, problem);
  });
}

test('a tailscaled that hangs is given up after the time that it has', async (t) => {
  const { socket } = await startTailscaled(t, undefined, () => {});
  const asked = readTailnet(createTestRuntime(t, { socket }), { signal, timeoutMs: 100 });
  t.is((await t.throwsAsync(asked, { instanceOf: TailnetError, message: /within 0\.1 s/ }))?.problem, 'absent');
});

test('an aborted request is not a tailnet problem', async (t) => {
  const { socket } = await startTailscaled(t, undefined, () => {});
  const stop = new AbortController();
  const asked = readTailnet(createTestRuntime(t, { socket }), { signal: stop.signal });
  stop.abort(new Error('stopped'));
  await t.throwsAsync(asked, { message: 'stopped' });
});

for (const [what, answer, control] of [
  ['a URL', '{"ControlURL":"https://control.example:8443/"}', 'control.example:8443'],
  ['none', '{"ControlURL":""}', undefined],
  ['no URL', '{"ControlURL":"control"}', undefined],
  ['nothing that is JSON', 'no', undefined],
] as const) {
  test(`the control server is known where tailscaled tells; it tells ${what}`, async (t) => {
    const { socket } = await startTailscaled(t, undefined, (request, response) => {
      response.end(request.url?.endsWith('/prefs') === true ? answer : JSON.stringify(statusOf([])));
    });
    const tailnet = await readTailnet(createTestRuntime(t, { socket }), { signal });
    t.is(tailnet.control, control);
    t.is(tailnet.suffix, 'tail.example');
  });
}

test('it is asked once, by the name that proves that no web page asks', async (t) => {
  const tailscaled = await startTailscaled(t);
  await readTailnet(createTestRuntime(t, { socket: tailscaled.socket }), { signal });
  const asked = ['status', 'prefs'].map((what) => `GET local-tailscaled.sock/localapi/v0/${what}`);
  t.deepEqual(tailscaled.asked.toSorted(), asked.toSorted());
});

test('TKA_TAILSCALE_SOCKET goes before the configuration file, and a chosen socket is the only one', async (t) => {
  const fromFile = await startTailscaled(t);
  const fromVariable = await startTailscaled(t);
  const config = `tailscale: {socket: ${fromFile.socket}}`;
  await readTailnet(createTestRuntime(t, { config, socket: fromVariable.socket }), { signal });
  t.deepEqual([fromVariable.asked.length, fromFile.asked.length], [2, 0]);
  await readTailnet(createTestRuntime(t, { config, env: { TKA_TAILSCALE_SOCKET: '' } }), { signal });
  t.deepEqual([fromVariable.asked.length, fromFile.asked.length], [2, 2]);
  const missing = createTestRuntime(t, { config, socket: '/nowhere/socket' });
  const error = await t.throwsAsync(readTailnet(missing, { signal }), { instanceOf: TailnetError });
  t.regex(error?.message ?? '', /\/nowhere\/socket \(ENOENT\)/);
});

test('without a socket the tailscale program on PATH is run, from absolute directories alone', async (t) => {
  const directory = temporaryDirectory(t);
  const program = join(directory, 'tailscale');
  writeFileSync(program, `#!/bin/sh\n[ "$*" = "status --json" ] && echo '{"BackendState":"Stopped"}'\n`);
  chmodSync(program, 0o755);
  const options = { signal, timeoutMs: 5000, usual: [join(directory, 'none')] };
  const env = (PATH: string): Record<string, string> => ({ TKA_TAILSCALE_SOCKET: '', PATH });
  const runtime = createTestRuntime(t, { env: env(`${directory}:/bin`) });
  t.deepEqual(await askTailscaled(runtime, options), { status: { BackendState: 'Stopped' } });
  const here = process.cwd();
  process.chdir(directory);
  t.teardown(() => process.chdir(here));
  const relative = askTailscaled(createTestRuntime(t, { env: env('.:') }), options);
  t.is((await t.throwsAsync(relative, { instanceOf: TailnetError }))?.problem, 'absent');
});

test('of the usual sockets the first that answers counts', async (t) => {
  const { socket } = await startTailscaled(t);
  const directory = temporaryDirectory(t);
  const notOne = join(directory, 'file');
  writeFileSync(notOne, '');
  const runtime = createTestRuntime(t, { env: { TKA_TAILSCALE_SOCKET: '', PATH: '' } });
  const usual = [join(directory, 'none'), notOne, socket];
  t.like(await askTailscaled(runtime, { signal, timeoutMs: 1000, usual }), { status: { BackendState: 'Running' } });
});

const network = (): Tailnet =>
  readStatus(
    statusOf([
      { id: 'n1', name: 'tka', address: '100.64.0.1', tags: ['tag:tka', 'evil\u001B[31m'] },
      { id: 'n2', name: 'TKA-old', address: 'fd7a:115c:a1e0::2', Expired: true },
      { id: 'n3', name: 'tka.other.ts.net', address: '100.64.0.3', tags: ['tag:tka'], AltSharerUserID: 7 },
      { id: 'n4', name: 'guest', address: '100.64.0.4', ShareeNode: true },
      { id: 'n5', name: 'away', address: '100.64.0.5', online: false },
      { id: 'n6', name: 'twin', address: '100.64.0.6' },
      { id: 'n7', name: 'twin', address: '100.64.0.7' },
      { id: '', name: 'nobody', address: '100.64.0.8' },
      { id: 'n9', name: 'x'.repeat(80), address: 'not an address', HostName: 'a\u001B]0;evil\u0007b' },
    ]),
  );

const places: readonly [string, string | undefined][] = [
  ['tka', 'n1'],
  ['TKA', 'n1'],
  ['tka.tail.example', 'n1'],
  ['tka.tail.example.', 'n1'],
  ['100.64.0.1', 'n1'],
  ['[fd7a:115c:a1e0::2]', 'n2'],
  ['tka.other.ts.net', 'n3'],
  ['tka.other', undefined],
  ['guest', undefined],
  ['100.64.0.4', undefined],
  ['twin', undefined],
  ['laptop', 'nSelf'],
  ['nobody', undefined],
  ['', undefined],
  ['.', undefined],
  ['tail.example', undefined],
];
for (const [host, id] of places) {
  test(`${JSON.stringify(host)} is ${id ?? 'no peer'}`, (t) => {
    t.is(peerAt(network(), host)?.id, id);
  });
}

test('a node with an expired key is offline, a shared one has no tags of ours, and only what fits is taken', (t) => {
  const { peers, self } = network();
  t.like(
    peers.find(({ id }) => id === 'n2'),
    { online: false, expired: true },
  );
  t.like(
    peers.find(({ id }) => id === 'n3'),
    { shared: true, tags: [] },
  );
  t.false(peers.some(({ id }) => id === 'n4' || id === ''));
  t.deepEqual(peers.find(({ id }) => id === 'n1')?.tags, ['tag:tka']);
  t.like(
    peers.find(({ id }) => id === 'n9'),
    { name: '', addresses: [], hostName: 'ab' },
  );
  t.true(self.online);
});

test('a name from another tailnet is a shared node, whatever the status says of its sharer', (t) => {
  const { peers } = readStatus(statusOf([{ id: 'n1', name: 'tka.evil.ts.net', tags: ['tag:tka'] }]));
  t.like(peers[0], { shared: true, tags: [] });
});

for (const [what, status, expected] of [
  ['MagicDNS and an interface', {}, true],
  ['no interface', { TUN: false }, false],
  ['no MagicDNS', { CurrentTailnet: { MagicDNSSuffix: 'tail.example', MagicDNSEnabled: false } }, false],
] as const) {
  test(`with ${what} names ${expected ? 'resolve' : 'do not resolve'}`, (t) => {
    t.is(readStatus(statusOf([], status)).namesResolve, expected);
  });
}

test('a server that never ends its answer is given up', async (t) => {
  const socket = join(temporaryDirectory(t), 'socket');
  const server = createServer((_, response) => void response.write('{"BackendState":'));
  await new Promise<void>((resolve) => {
    server.listen(socket, resolve);
  });
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const asked = readTailnet(createTestRuntime(t, { socket }), { signal, timeoutMs: 100 });
  await t.throwsAsync(asked, { instanceOf: TailnetError, message: /does not answer/ });
});

for (const [CI, expected] of [
  ['true', /tka exec --join/],
  ['false', /^Install Tailscale/],
] as const) {
  test(`without a tailscaled, CI=${CI}: the first remedy is ${expected.source}`, async (t) => {
    const env = { HOME: '/nonexistent', PATH: '/nonexistent', CI };
    const { signal } = new AbortController();
    const asked = askTailscaled({ env }, { signal, timeoutMs: 1000, usual: ['/nonexistent/socket'] });
    const error = await t.throwsAsync(asked, { instanceOf: TailnetError });
    t.regex(error?.advice[0] ?? '', expected);
  });
}
