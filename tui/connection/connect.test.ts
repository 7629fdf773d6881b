import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { reach, type Reached, type ReachOptions } from './connect.ts';
import { UnreachableError, UserError } from '../errors.ts';
import type { GlobalFlags } from '../flags.ts';
import type { Interaction, Question } from '../terminal/interaction.ts';
import { knownServersPath, readKnownServers, rememberServer } from '../trust/known-servers.ts';
import { sendJson, startStubServer, type StubServer } from '../testing/stub-server.ts';
import {
  createTestRuntime,
  type FakeTailscaled,
  type NodeOptions,
  startTailscaled,
  type Status,
  statusOf,
  type TestRuntime,
} from '../testing/tailscaled.ts';
import { TailnetError } from '../tailnet/types.ts';

interface Setup {
  readonly runtime: TestRuntime;
  readonly stub: StubServer;
  readonly tailscaled: FakeTailscaled;
  /** By its name on the tailnet, which nothing but tailscaled knows: `http://tka:PORT`. */
  readonly server: string;
}

const tka: NodeOptions = { id: 'n1', name: 'tka', tags: ['tag:tka'] };

async function setup(
  t: ExecutionContext,
  options: { peers?: readonly NodeOptions[]; status?: Status; config?: string; env?: Record<string, string> } = {},
): Promise<Setup> {
  const stub = await startStubServer();
  t.teardown(() => stub.close());
  const tailscaled = await startTailscaled(t, options.status ?? statusOf(options.peers ?? [tka]));
  const { config, env = {} } = options;
  const runtime = createTestRuntime(t, {
    socket: tailscaled.socket,
    ...(config === undefined ? {} : { config }),
    env,
  });
  return { runtime, stub, tailscaled, server: `http://tka:${new URL(stub.url).port}` };
}

/** Where every name leads to the stub: found servers are on port 80. */
const throughStub = (stub: StubServer): Record<string, string> => ({ http_proxy: stub.url });

const act = (more: Partial<ReachOptions> = {}): ReachOptions => ({
  purpose: 'act',
  warn: () => {},
  signal: new AbortController().signal,
  ...more,
});

async function connected(
  t: ExecutionContext,
  runtime: TestRuntime,
  flags: GlobalFlags,
  options: ReachOptions = act(),
): Promise<Reached> {
  const reached = await reach(runtime, flags, options);
  t.teardown(() => reached.close());
  return reached;
}

function person(answer: boolean | number | undefined): Interaction & { readonly asked: Question[] } {
  const asked: Question[] = [];
  return {
    asked,
    confirm: async (question) => {
      asked.push(question);
      return answer === true;
    },
    choose: async (question, choices) => {
      asked.push({ ...question, details: choices.map(({ label, hint }) => `${label} ${hint ?? ''}`) });
      return typeof answer === 'number' ? answer : undefined;
    },
  };
}

const { signal } = new AbortController();

test('a new server that is named by hand is used, by the address that tailscaled has for it, and pinned once it has answered', async (t) => {
  const { runtime, server, tailscaled, stub } = await setup(t);
  const reached = await connected(t, runtime, { server });
  t.like(reached, { server, trust: 'new', proxy: undefined });
  t.is(reached.peer?.id, 'n1');
  t.deepEqual(readKnownServers(runtime.env), []);
  await reached.api.sessions({ signal });
  t.deepEqual(readKnownServers(runtime.env), [{ server, nodeId: 'n1', tags: ['tag:tka'], tailnet: 'tail.example' }]);
  reached.named('prod');
  t.is(readKnownServers(runtime.env)[0]?.cluster, 'prod');
  reached.named('../evil');
  t.is(readKnownServers(runtime.env)[0]?.cluster, 'prod');
  t.is(tailscaled.asked.length, 2);
  t.is(stub.calls.length, 1);
  t.is((await connected(t, runtime, { server })).trust, 'pinned');
});

test('a machine that does not answer as tka is not pinned', async (t) => {
  const { runtime, server, stub } = await setup(t);
  stub.answer('GET /api/v1alpha1/sessions', (_, response) => response.end('<html>'));
  const reached = await connected(t, runtime, { server });
  await t.throwsAsync(reached.api.sessions({ signal }), { instanceOf: UserError, message: /is not a tka server/ });
  t.false(existsSync(knownServersPath(runtime.env)));
});

test('who only looks pins nothing, and is warned of a change', async (t) => {
  const { runtime, server, tailscaled } = await setup(t);
  const warnings: string[] = [];
  const look = act({ purpose: 'look', warn: (line) => void warnings.push(line) });
  const reached = await connected(t, runtime, { server }, look);
  await reached.api.sessions({ signal });
  t.deepEqual([readKnownServers(runtime.env), warnings], [[], []]);
  rememberServer(runtime.env, { server, nodeId: 'n1', tags: ['tag:tka'] });
  tailscaled.status = statusOf([{ ...tka, id: 'n666' }]);
  t.is((await connected(t, runtime, { server }, look)).trust, 'changed');
  t.deepEqual(warnings, [`${server} has changed its identity: it is now node n666, tag:tka`]);
});

const changes: readonly [string, readonly NodeOptions[], RegExp][] = [
  ['another node', [{ ...tka, id: 'n666' }], /now it is node n666, tag:tka\./],
  ['other tags', [{ ...tka, tags: ['tag:web'] }], /now it is node n1, tag:web\./],
  ['no node at all', [], /now it is no machine of this tailnet\./],
];
for (const [what, peers, said] of changes) {
  test(`a server that has become ${what} is refused, though named by hand, and nothing is sent`, async (t) => {
    const { runtime, server, stub } = await setup(t, { peers });
    rememberServer(runtime.env, { server, nodeId: 'n1', tags: ['tag:tka'], cluster: 'prod' });
    const error = await t.throwsAsync(reach(runtime, { server }, act()), { instanceOf: UserError });
    t.is(error?.exitCode, 3);
    t.regex(error?.message ?? '', /has changed its identity/);
    t.regex(error?.advice.join('\n') ?? '', said);
    t.regex(error?.advice.join('\n') ?? '', /tka clusters forget prod/);
    t.deepEqual(stub.calls, []);
  });
}

test('a person may agree to the change, and is asked no more', async (t) => {
  const { runtime, server } = await setup(t, { peers: [{ ...tka, id: 'n2' }] });
  rememberServer(runtime.env, { server, nodeId: 'n1', tags: ['tag:tka'], cluster: 'prod' });
  const no = person(false);
  const refused = await t.throwsAsync(reach(runtime, { server }, act({ interaction: no })), { instanceOf: UserError });
  t.is(refused?.exitCode, 3);
  t.regex(no.asked[0]?.details?.join(' ') ?? '', /node n1, tag:tka; now it is node n2, tag:tka/);
  const yes = person(true);
  t.is((await connected(t, runtime, { server }, act({ interaction: yes }))).trust, 'pinned');
  t.like(readKnownServers(runtime.env)[0], { nodeId: 'n2', cluster: 'prod' });
  await connected(t, runtime, { server }, act({ interaction: yes }));
  t.is(yes.asked.length, 1);
});

test('a server that was found is used after a yes alone, which pins it', async (t) => {
  const stub = await startStubServer();
  t.teardown(() => stub.close());
  const { runtime } = await setup(t, { env: throughStub(stub) });
  const script = await t.throwsAsync(reach(runtime, {}, act()), { instanceOf: UserError });
  t.is(script?.exitCode, 3);
  t.regex(script?.advice.join('\n') ?? '', /--server http:\/\/tka\.tail\.example/);
  const no = await t.throwsAsync(reach(runtime, {}, act({ interaction: person(false) })), { instanceOf: UserError });
  t.is(no?.exitCode, 3);
  t.deepEqual(readKnownServers(runtime.env), []);
  const yes = person(true);
  const reached = await connected(t, runtime, {}, act({ interaction: yes }));
  t.like(reached, { server: 'http://tka.tail.example', trust: 'pinned' });
  t.is(yes.asked[0]?.title, 'Trust http://tka.tail.example?');
  t.like(readKnownServers(runtime.env), [{ nodeId: 'n1', server: 'http://tka.tail.example' }]);
  // From now on a script may, too.
  t.is((await connected(t, runtime, {})).trust, 'pinned');
});

test('of several servers a person chooses, a script is told to, and a trusted one goes before unknown ones', async (t) => {
  const stub = await startStubServer();
  t.teardown(() => stub.close());
  stub.answer('GET /.well-known/tka', ({ headers }, response) => {
    const [cluster] = (headers.host ?? '').split('.');
    sendJson(response, 200, { cluster, labels: {}, version: '1', modes: [] });
  });
  const peers = [tka, { id: 'n2', name: 'tka-b' }];
  const { runtime } = await setup(t, { peers, env: throughStub(stub) });
  const script = await t.throwsAsync(reach(runtime, {}, act()), { instanceOf: UserError });
  t.is(script?.exitCode, 2);
  t.regex(script?.message ?? '', /several clusters were found: tka, tka-b/);
  t.deepEqual(script?.advice, ['Choose one: --cluster NAME, or --server URL.']);
  const none = await t.throwsAsync(reach(runtime, {}, act({ interaction: person(undefined) })), {
    instanceOf: UserError,
  });
  t.is(none?.exitCode, 1);
  const look = act({ purpose: 'look', interaction: person(1) });
  t.is((await connected(t, runtime, {}, look)).server, 'http://tka-b.tail.example');

  rememberServer(runtime.env, { server: 'http://tka.tail.example', nodeId: 'n1', tags: ['tag:tka'], cluster: 'prod' });
  t.like(await connected(t, runtime, {}), { server: 'http://tka.tail.example', trust: 'pinned' });
});

test('--cluster is a trusted one, without a search; else a discovered one, which needs confirmation', async (t) => {
  const stub = await startStubServer();
  t.teardown(() => stub.close());
  const { runtime } = await setup(t, { env: throughStub(stub) });
  const error = await t.throwsAsync(reach(runtime, { cluster: 'prod' }, act()), { instanceOf: UserError });
  t.is(error?.exitCode, 3);
  await connected(t, runtime, { cluster: 'prod' }, act({ interaction: person(true) }));
  const unknown = await t.throwsAsync(reach(runtime, { cluster: 'nope' }, act()), { instanceOf: UserError });
  t.is(unknown?.exitCode, 2);
  t.regex(unknown?.message ?? '', /no cluster is named nope; found: prod/);
  const before = stub.calls.length;
  rememberServer(runtime.env, { server: 'http://tka.tail.example', nodeId: 'n1', tags: ['tag:tka'], cluster: 'prod' });
  t.is((await connected(t, runtime, { cluster: 'prod' })).trust, 'pinned');
  t.is(stub.calls.length, before);
  t.is((await t.throwsAsync(reach(runtime, { cluster: '../x' }, act()), { instanceOf: UserError }))?.exitCode, 2);
});

test('a trusted cluster is not used if its machine cannot be identified', async (t) => {
  const { runtime } = await setup(t, { status: { BackendState: 'NeedsLogin' } });
  rememberServer(runtime.env, { server: 'http://tka', nodeId: 'n1', tags: [], cluster: 'prod' });
  const error = await t.throwsAsync(reach(runtime, { cluster: 'prod' }, act()), { instanceOf: TailnetError });
  t.like(error, { problem: 'logged-out', exitCode: 4 });
  t.regex(error?.message ?? '', /which machine http:\/\/tka is: this machine is logged out/);
});

const problems: readonly [string, Status | undefined, RegExp, RegExp][] = [
  ['no tailscaled', undefined, /no tailscaled answers/, /Install Tailscale/],
  ['a tailscaled that is logged out', { BackendState: 'NeedsLogin' }, /logged out of its tailnet/, /tailscale up/],
  ['a tailscaled that is stopped', { BackendState: 'Stopped' }, /stopped/, /tailscale up/],
];
for (const [what, status, message, remedy] of problems) {
  test(`with ${what} and no server by hand: exit code 4 and the remedy; with one, it is used`, async (t) => {
    const { runtime, stub } = await setup(t, status === undefined ? {} : { status });
    const env = { ...runtime.env, ...(status === undefined ? { TKA_TAILSCALE_SOCKET: '/nowhere' } : {}) };
    const error = await t.throwsAsync(reach({ ...runtime, env }, {}, act()), { instanceOf: TailnetError, message });
    t.is(error?.exitCode, 4);
    t.regex(error?.advice.join('\n') ?? '', remedy);
    t.regex(error?.advice.join('\n') ?? '', /--server/);
    const reached = await connected(t, { ...runtime, env }, { server: stub.url });
    t.is(reached.trust, 'unverifiable');
    await reached.api.sessions({ signal });
    t.deepEqual(readKnownServers(env), []);
  });
}

test('with no server on the tailnet: exit code 4, who was asked, and how to name one', async (t) => {
  const { runtime } = await setup(t, { peers: [{ ...tka, online: false }] });
  const error = await t.throwsAsync(reach(runtime, {}, act()), { instanceOf: UnreachableError });
  t.regex(error?.message ?? '', /no tka server was found on this tailnet/);
  t.regex(error?.advice.join('\n') ?? '', /http:\/\/tka\.tail\.example: offline\n[^]*--server URL/);
});

test('that a server cannot be reached is explained by what the local tailscaled knows', async (t) => {
  const { runtime } = await setup(t);
  const { api } = await connected(t, runtime, { server: 'http://tka:1' });
  const error = await t.throwsAsync(api.whoami({ signal, timeoutMs: 1000 }), { instanceOf: UnreachableError });
  t.regex(error?.message ?? '', /^http:\/\/tka:1 .*: tka\.tail\.example is online, but nothing answers there$/);
  t.regex(error?.advice.join('\n') ?? '', /policy lets you reach/);
});

test('a server of this very machine has nothing to do with a tailnet: tailscaled is not asked', async (t) => {
  const { runtime, stub, tailscaled } = await setup(t);
  t.is((await connected(t, runtime, { server: stub.url })).trust, 'unverifiable');
  t.deepEqual(tailscaled.asked, []);
});

test('the server of a login before goes before the search, and counts as named by hand', async (t) => {
  const { runtime, server } = await setup(t);
  const reached = await connected(t, runtime, {}, act({ remembered: { server } }));
  t.like(reached, { server, trust: 'new' });
});

test('a file of known servers that cannot be read stops everything', async (t) => {
  const { runtime, server } = await setup(t);
  mkdirSync(dirname(knownServersPath(runtime.env)), { recursive: true });
  writeFileSync(knownServersPath(runtime.env), '{');
  await t.throwsAsync(reach(runtime, { server }, act()), { instanceOf: UserError, message: /known-servers\.json/ });
});

test('a pin that cannot be written is a warning, and the login continues', async (t) => {
  const { runtime, server } = await setup(t, { env: { XDG_CONFIG_HOME: '/dev/null' } });
  const warnings: string[] = [];
  const reached = await connected(t, runtime, { server }, act({ warn: (line) => void warnings.push(line) }));
  await reached.api.sessions({ signal });
  t.regex(warnings.join('\n'), /could not save trust for \S+: .*known-servers\.json cannot be written/);
});

test('--port goes with a host name, wherever that came from', async (t) => {
  const { runtime, stub } = await setup(t);
  const port = Number(new URL(stub.url).port);
  t.is((await connected(t, runtime, { server: 'tka', port })).server, `http://tka:${port}`);
  const variable = { ...runtime, env: { ...runtime.env, TKA_SERVER: 'tka' } };
  t.is((await connected(t, variable, { port })).server, `http://tka:${port}`);
  t.is((await connected(t, runtime, { server: 'tka', port: 443 })).server, 'https://tka');
  for (const flags of [{ port }, { server: 'tka:80', port }]) {
    t.is((await t.throwsAsync(reach(runtime, flags, act()), { instanceOf: UserError }))?.exitCode, 2);
  }
});
