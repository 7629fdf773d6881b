import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import anyTest from 'ava';
import {
  EngineGoneError,
  EngineNotFoundError,
  IdentityChangedError,
  JoinError,
  JoinRefusedError,
  NodeClosedError,
  ProtocolMismatchError,
} from './errors.ts';
import { start, until } from './testing/node-fixture.ts';

// One after another: twenty engines that start at once on a busy machine do not greet in time.
const test = anyTest.serial;

/** A server that keeps requests until a test answers them. */
function server() {
  const http = createServer();
  const next = async (): Promise<[IncomingMessage, ServerResponse]> => {
    // The types of once() know nothing of an event's arguments.
    return (await once(http, 'request')) as [IncomingMessage, ServerResponse];
  };
  return { http, next };
}

test('becomes ready, answers, closes', async (t) => {
  const { node } = start(t);
  t.is(node.state.status, 'Starting');
  await node.whenReady();
  t.like(node.state, { status: 'Running', dnsName: 'tka.tail.test', restarts: 0 });
  t.is((await node.whoIs('100.64.0.5')).nodeId, 'n1');
  await node.close();
  t.like(node.state, { status: 'Stopped', ready: false });
  await t.throwsAsync(node.whenReady(), { instanceOf: NodeClosedError });
  await t.throwsAsync(node.listen(80, { tls: false }), { instanceOf: NodeClosedError });
});

test('before it is ready nobody is known', async (t) => {
  const { node } = start(t);
  t.is((await node.whoIs('100.64.0.5')).refusal, 'unknown');
});

test('whoever waits may stop waiting', async (t) => {
  const { node } = start(t, 'login');
  await until(node, ({ status }) => status === 'NeedsLogin');
  t.is(node.state.authUrl, 'https://control/a/1');
  await t.throwsAsync(node.whenReady(AbortSignal.timeout(20)));
});

for (const [fault, error] of [
  ['version', ProtocolMismatchError],
  ['babble', ProtocolMismatchError],
  ['no-start', JoinError],
  ['refused', JoinRefusedError],
] as const) {
  test(`${fault}: fails for good and says why`, async (t) => {
    const { node } = start(t, fault);
    const listening = node.listen(80, { tls: false });
    const reason = await t.throwsAsync(node.whenReady(), { instanceOf: error });
    t.is(node.state.status, 'Failed');
    t.is(node.state.reason, reason?.message);
    // A client that was refused runs, and listens, all the same.
    if (fault === 'refused') await t.notThrowsAsync(listening);
    else await t.throwsAsync(listening, { instanceOf: error });
    t.is(node.state.restarts, 0);
  });
}

test('a binary that cannot be run is no engine', async (t) => {
  const { node } = start(t, '', '/nowhere/tka-engine');
  await t.throwsAsync(node.whenReady(), { instanceOf: EngineNotFoundError, message: /\/nowhere\/tka-engine/ });
});

test('the engine sees no secret of this process', async (t) => {
  const { node } = start(t);
  await node.whenReady();
  const { tags } = await node.whoIs('environment');
  t.true(tags.includes('HTTPS_PROXY'));
  t.deepEqual(
    tags.filter((name) => /AUTHKEY|HOME|PATH|NODE_/.test(name)),
    [],
  );
});

for (const [order, reason] of [
  ['die', /exit code 7/],
  ['silence', /silent for 150 ms/],
  ...(process.platform === 'linux' ? ([['stop-yourself', /is stopped/]] as const) : []),
] as const) {
  test(`${order}: pending calls fail, a new engine comes, the listeners with it`, async (t) => {
    const { node, logged } = start(t);
    const { http, next } = server();
    const listener = await node.listen(80, { tls: false });
    listener.attach(http);
    await node.whenReady();
    await t.throwsAsync(node.whoIs(order), { instanceOf: EngineGoneError, message: reason });
    t.like(await until(node, ({ restarts }) => restarts === 1), { status: 'Restarting', ready: false });
    await t.throwsAsync(node.whoIs('100.64.0.5'), { instanceOf: EngineGoneError });
    await node.whenReady();
    const request = next();
    await node.whoIs('connect 1');
    t.is((await request)[0].socket.remoteAddress, '100.64.0.1');
    t.true(logged.some((line) => reason.test(line)));
  });
}

test('a request that is under way when the engine dies is cut off', async (t) => {
  const { node } = start(t);
  const { http, next } = server();
  (await node.listen(80, { tls: false })).attach(http);
  await node.whenReady();
  const request = next();
  await node.whoIs('connect 1');
  const [{ socket }] = await request;
  const closed = once(socket, 'close');
  await t.throwsAsync(node.whoIs('die'));
  await closed;
  t.true(socket.destroyed);
});

test('a connection carries who is calling, and ends when that changes', async (t) => {
  const { node } = start(t);
  const { http, next } = server();
  (await node.listen(80, { tls: false })).attach(http);
  await node.whenReady();
  const request = next();
  await node.whoIs('connect 1');
  const [{ socket }] = await request;
  const connection = node.connectionOf(socket);
  t.like(connection, { remoteAddress: '100.64.0.1', localPort: 80, tls: false });
  t.is((await connection?.identity())?.nodeKey, 'k1');
  const closed = once(socket, 'close');
  let hints = 0;
  node.on('peers', () => hints++);
  await node.whoIs('peers');
  t.is(hints, 1);
  await t.throwsAsync(async () => connection?.identity(), { instanceOf: IdentityChangedError });
  await closed;
});

test('who connects to the socket without the nonce is nobody', async (t) => {
  const { node, logged } = start(t);
  const { http } = server();
  (await node.listen(80, { tls: false })).attach(http);
  http.on('request', () => t.fail('was served'));
  await node.whenReady();
  await node.whoIs('connect 1 wrong-nonce');
  while (!logged.some((line) => line.includes('wrong nonce'))) await new Promise((resolve) => setImmediate(resolve));
  t.pass();
});

test('a port that cannot be had is told to whoever asked for it', async (t) => {
  const { node } = start(t);
  await t.throwsAsync(node.listen(1, { tls: false }), { message: 'cannot listen on tailnet port 1: port in use' });
  await node.whenReady();
});

test('a proxy is one, has a password of its own, and comes back as it was with the next engine', async (t) => {
  const { node, logged } = start(t);
  const [{ url }, again] = await Promise.all([node.proxy(), node.proxy()]);
  t.is(again.url, url);
  const { hostname, username, password } = new URL(url);
  t.is(hostname, '127.0.0.1');
  t.true(username.length >= 8 && password.length >= 32);
  await node.whenReady();
  await t.throwsAsync(node.whoIs('die'), { instanceOf: EngineGoneError });
  await until(node, ({ restarts, ready }) => restarts === 1 && ready);
  // The fake one takes another port each time it may.
  t.is((await node.whoIs('proxy')).nodeName, new URL(url).host);
  t.is((await node.proxy()).url, url);
  t.false(logged.some((line) => line.includes(password)));
  await node.close();
  await t.throwsAsync(node.proxy(), { instanceOf: NodeClosedError });
});

test('a proxy that cannot be had is told to whoever asked for it, and the node goes on', async (t) => {
  const { node } = start(t, 'no-port');
  await t.throwsAsync(node.proxy(), { message: 'cannot serve a proxy on loopback: no port' });
  await node.whenReady();
});

test('a proxy that was waited for ends with a node that fails', async (t) => {
  const { node } = start(t, 'no-start');
  await t.throwsAsync(node.proxy(), { instanceOf: JoinError });
});

test('a peer is found by its name', async (t) => {
  const { node } = start(t);
  await node.whenReady();
  t.deepEqual((await node.findPeer('tka')).tags, ['tag:tka']);
  t.is((await node.findPeer('nobody')).refusal, 'unknown');
});

test('a closed listener stays closed, also with the next engine', async (t) => {
  const { node } = start(t);
  const { http } = server();
  const listener = await node.listen(80, { tls: false });
  listener.attach(http);
  http.on('request', () => t.fail('was served'));
  await listener.close();
  await node.whenReady();
  await node.whoIs('connect 1');
  await t.throwsAsync(node.whoIs('die'));
  await node.whenReady();
  await node.whoIs('connect 1');
});

test('a server that never listens by itself times slow clients out all the same', async (t) => {
  const { node } = start(t);
  const http = createServer({ requestTimeout: 50, headersTimeout: 50, connectionsCheckingInterval: 10 });
  (await node.listen(80, { tls: false })).attach(http);
  t.teardown(() => http.close());
  await node.whenReady();
  const timedOut = once(http, 'clientError');
  await node.whoIs('connect-slowly 1');
  t.like((await timedOut)[0], { code: 'ERR_HTTP_REQUEST_TIMEOUT' });
});
